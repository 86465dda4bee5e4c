//! Records attempts of recovered invocations before they run, so that one that crashes the node is counted.

use super::command::Command;
use super::pending_row::OpenInvocation;
use super::transaction::Tx;
use crate::model::error::Result;
use crate::model::id::Cid;

/// Counts an attempt of each of these invocations as a crash until its result is recorded.
#[derive(Debug)]
pub(in crate::store::sqlite) struct RecordAttempts(pub(in crate::store::sqlite) Vec<Cid>);

impl Command for RecordAttempts {
    type Reply = ();

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<()>> {
        for cid in &self.0 {
            let open = match OpenInvocation::find(tx, *cid)? {
                None => continue,
                Some(Err(error)) => return Ok(Err(error)),
                Some(Ok(open)) => open,
            };
            open.insert_row(tx)?;
            let update = "UPDATE pending SET losses = losses + 1 WHERE id = ?1";
            tx.execute(update, [open.id])?;
        }
        Ok(Ok(()))
    }

    fn rows(&self) -> usize {
        self.0.len()
    }
}
