//! Accepts one invocation.

use super::command::Command;
use super::new_invocation::NewInvocation;
use super::transaction::Tx;
use crate::engine::store::Acceptance;
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::model::invocation::Invocation;
use crate::store::cipher::BlobCipher;
use crate::store::sqlite::bookkeeping::Entries;
use crate::store::sqlite::error::store_full;

/// Accepts an invocation.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Accept {
    invocation: Invocation,
    new: NewInvocation,
}

impl Accept {
    pub(in crate::store::sqlite) fn new(
        invocation: Invocation,
        cipher: &BlobCipher,
    ) -> Result<Self> {
        let new = NewInvocation::encode(&invocation, cipher)?;
        Ok(Self { invocation, new })
    }
}

impl Command for Accept {
    type Reply = Acceptance;

    const IS_NEW_WORK: bool = true;

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<Acceptance>> {
        accept(tx, &self.new, tx.has_room)
    }

    fn update_entries(&self, reply: &Acceptance, entries: &mut Entries) {
        if let Acceptance::Stored = reply {
            self.new.count(&mut entries.ledger);
            entries.hand_over(&self.invocation, self.new.request.len());
        }
    }

    fn service(&self) -> Option<&ServiceName> {
        Some(&self.new.service)
    }

    fn bytes(&self) -> usize {
        self.new.request.len()
    }
}

/// Accepts an invocation, unless its CID or idempotency key is known.
pub(super) fn accept(
    tx: &mut Tx<'_>,
    new: &NewInvocation,
    has_room: bool,
) -> rusqlite::Result<Result<Acceptance>> {
    if let Some(known) = new.known(tx)? {
        return Ok(known);
    }
    if !has_room {
        return Ok(Err(store_full()));
    }
    new.insert(tx)?;
    Ok(Ok(Acceptance::Stored))
}
