//! Notes that a key encrypts from now on, before it does.

use super::command::Command;
use super::transaction::Tx;
use crate::model::error::Result;
use crate::store::cipher::KeyRing;
use crate::store::sqlite::keys::note_key;

/// Notes the first key of these.
#[derive(Debug)]
pub(in crate::store::sqlite) struct NoteKey(pub(in crate::store::sqlite) KeyRing);

impl Command for NoteKey {
    type Reply = ();

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<()>> {
        note_key(tx.connection(), self.0.first())
    }
}
