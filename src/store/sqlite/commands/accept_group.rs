//! Accepts a group with all of its members, or nothing of it.

use super::command::Command;
use super::new_invocation::NewInvocation;
use super::transaction::Tx;
use crate::engine::store::Acceptance;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::Invocation;
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
    ) -> Result<Self> {
        let members = members.iter().map(NewInvocation::encode);
        Ok(Self {
            group: NewInvocation::encode(group)?,
            members: members.collect::<Result<_>>()?,
        })
    }

    fn invocations(&self) -> impl Iterator<Item = &NewInvocation> {
        std::iter::once(&self.group).chain(&self.members)
    }

    /// Inserts the group and its members. Returns the ids of their services, or the CID of the first one
    /// that was accepted before.
    fn insert(&self, tx: &mut Tx<'_>) -> rusqlite::Result<std::result::Result<Vec<i64>, Cid>> {
        let Some(service) = self.group.insert(tx)? else {
            return Ok(Err(self.group.cid));
        };
        let mut services = vec![service];
        for member in &self.members {
            let is_new = member.known_before_insert(tx)?.is_none();
            match if is_new { member.insert(tx)? } else { None } {
                Some(service) => services.push(service),
                None => return Ok(Err(member.cid)),
            }
        }
        Ok(Ok(services))
    }
}

impl Command for AcceptGroup {
    type Reply = Acceptance;

    const IS_NEW_WORK: bool = true;

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<Acceptance>> {
        if let Some(known) = self.group.known_before_insert(tx)? {
            return Ok(known);
        }
        if !tx.has_room {
            let known = self.group.known(tx)?;
            return Ok(known.unwrap_or_else(|| Err(store_full())));
        }
        // The transaction keeps the ids of new services: their rows must not be rolled back with the group.
        for invocation in self.invocations() {
            tx.service_id(&invocation.service)?;
        }
        tx.connection().execute_batch("SAVEPOINT accept_group")?;
        let inserted = self.insert(tx);
        if !matches!(inserted, Ok(Ok(_))) {
            tx.connection().execute_batch("ROLLBACK TO accept_group")?;
        }
        tx.connection().execute_batch("RELEASE accept_group")?;
        match inserted? {
            Ok(services) => {
                for service in services {
                    tx.count_open(service, 1);
                }
                Ok(Ok(Acceptance::Stored))
            }
            Err(cid) if cid == self.group.cid => {
                let known = self.group.known(tx)?;
                Ok(known.unwrap_or_else(|| Err(store_full())))
            }
            Err(member) => Ok(Ok(Acceptance::MemberKnown(member))),
        }
    }

    fn update_entries(&self, reply: &Acceptance, entries: &mut Entries) {
        if let Acceptance::Stored = reply {
            for invocation in self.invocations() {
                let NewInvocation {
                    cid,
                    service,
                    promised,
                    ..
                } = invocation;
                entries.ledger.accept(service, *cid, *promised);
                entries.hand_over.forget(service);
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
