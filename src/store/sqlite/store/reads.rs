//! What reads have in common: where to look, how to decrypt, and what only the memory of the store knows.

use super::SqliteStore;
use crate::model::id::Cid;
use crate::model::invocation::Invocation;
use crate::store::cipher::BlobCipher;
use crate::store::sqlite::queries::{Lookup, Readable};

impl SqliteStore {
    /// What a query opens blobs with.
    pub(super) fn cipher(&self) -> BlobCipher {
        self.shared.cipher.clone()
    }

    /// Where to look for an invocation.
    pub(super) fn lookup(&self, cid: Cid) -> Lookup {
        let entries = self.shared.bookkeeping.lock();
        let newest = entries.newest.get(cid).map(|newest| newest.id);
        Lookup { cid, newest }
    }

    /// The invocations that could be read. The log names the first of the others.
    pub(super) fn readable(&self, found: Readable) -> Vec<Invocation> {
        for error in &found.damaged {
            self.shared.failures.log(error);
        }
        let mut invocations = found.invocations;
        for invocation in &mut invocations {
            invocation.generation = self.generation;
        }
        invocations
    }

    /// Adds to invocations that were read whether their concurrency key is busy with a claimed one.
    pub(super) fn set_key_busy<'i>(
        &self,
        invocations: impl IntoIterator<Item = &'i mut Invocation>,
    ) {
        let entries = self.shared.bookkeeping.lock();
        for invocation in invocations {
            let is_head = !invocation.key_busy;
            entries.ledger.set_key_busy(invocation, is_head);
        }
    }
}
