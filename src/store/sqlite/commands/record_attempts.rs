//! Records attempts of recovered invocations before they run, so that one that crashes the node is counted.

use super::command::Command;
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
            let update = "UPDATE invocation SET losses = losses + 1 WHERE cid = ?1 AND state < 2";
            tx.execute(update, [cid.as_bytes()])?;
        }
        Ok(Ok(()))
    }

    fn rows(&self) -> usize {
        self.0.len()
    }
}
