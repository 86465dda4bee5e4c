//! Accepts a group with all of its members, or nothing of it.

use super::command::Command;
use super::new_invocation::NewInvocation;
use super::transaction::Tx;
use crate::engine::store::Acceptance;
use crate::model::error::Result;
use crate::model::invocation::Invocation;
use crate::store::cipher::BlobCipher;
use crate::store::sqlite::bookkeeping::Entries;
use crate::store::sqlite::error::store_full;

/// Accepts a group and its members.
#[derive(Debug)]
pub(in crate::store::sqlite) struct AcceptGroup {
    group: NewInvocation,
    members: Vec<NewInvocation>,
}

impl AcceptGroup {
    pub(in crate::store::sqlite) fn new(
        group: &Invocation,
        members: &[Invocation],
        cipher: &BlobCipher,
    ) -> Result<Self> {
        let encode = |invocation| NewInvocation::encode(invocation, cipher);
        let members = members.iter().map(encode);
        Ok(Self {
            group: encode(group)?,
            members: members.collect::<Result<_>>()?,
        })
    }

    fn invocations(&self) -> impl Iterator<Item = &NewInvocation> {
        std::iter::once(&self.group).chain(&self.members)
    }

    /// Inserts the group and its members. Returns the position of the first member that was accepted before, if there
    /// is one.
    fn insert(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Option<usize>> {
        self.group.insert(tx)?;
        for (position, member) in self.members.iter().enumerate() {
            if member.known(tx)?.is_some() {
                return Ok(Some(position));
            }
            member.insert(tx)?;
        }
        Ok(None)
    }
}

impl Command for AcceptGroup {
    type Reply = Acceptance;

    const IS_NEW_WORK: bool = true;

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<Acceptance>> {
        if let Some(known) = self.group.known(tx)? {
            return Ok(known);
        }
        if !tx.has_room {
            return Ok(Err(store_full()));
        }
        // The transaction keeps the ids of new services: their rows must not be rolled back with the group.
        for invocation in self.invocations() {
            tx.service_id(&invocation.service)?;
        }
        tx.execute("SAVEPOINT accept_group", [])?;
        let known_member = self.insert(tx)?;
        if let Some(position) = known_member {
            tx.execute("ROLLBACK TO accept_group", [])?;
            let inserted = self.invocations().take(1 + position);
            tx.undo_newest(inserted.map(|one| one.cid));
        }
        tx.execute("RELEASE accept_group", [])?;
        let known_member = known_member.and_then(|position| self.members.get(position));
        Ok(Ok(known_member.map_or(Acceptance::Stored, |member| {
            Acceptance::MemberKnown(member.cid)
        })))
    }

    fn update_entries(&self, reply: &Acceptance, entries: &mut Entries) {
        if let Acceptance::Stored = reply {
            for invocation in self.invocations() {
                invocation.count(&mut entries.ledger);
                entries.hand_over.forget(&invocation.service);
            }
        }
    }

    fn rows(&self) -> usize {
        1 + self.members.len()
    }

    fn bytes(&self) -> usize {
        self.invocations().map(|one| one.request.len()).sum()
    }
}
