//! Retention: removes invocations that have ended and leaves a tombstone of each, which expires later.

use rusqlite::Params;

use super::command::Command;
use super::transaction::Tx;
use crate::model::error::Result;
use crate::model::id::Cid;

/// Removes invocations and tombstones whose time has passed. Returns how many.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Purge {
    pub(in crate::store::sqlite) now: i64,
    pub(in crate::store::sqlite) max: usize,
}

impl Command for Purge {
    type Reply = usize;

    const IS_PURGE: bool = true;

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<usize>> {
        let limit = i64::try_from(self.max).unwrap_or(i64::MAX);
        let ids = "SELECT id FROM invocation WHERE purge_time <= ?1 AND held = 0 ORDER BY purge_time LIMIT ?2";
        let removed = leave_tombstones(tx, ids, (self.now, limit))?;
        let left = i64::try_from(self.max - removed).unwrap_or_default();
        let delete = "DELETE FROM tombstone WHERE cid IN
             (SELECT cid FROM tombstone WHERE until <= ?1 ORDER BY until LIMIT ?2)";
        let expired = tx.execute(delete, [self.now, left])?;
        Ok(Ok(removed + expired))
    }

    fn rows(&self) -> usize {
        self.max
    }
}

/// Removes an invocation that has ended. Returns whether it was there, had ended, and is not held for its group.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Remove(pub(in crate::store::sqlite) Cid);

impl Command for Remove {
    type Reply = bool;

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<bool>> {
        let id = "SELECT id FROM invocation WHERE cid = ?1 AND state >= 2 AND held = 0";
        let removed = leave_tombstones(tx, id, (self.0.as_bytes(),))?;
        Ok(Ok(removed == 1))
    }
}

/// Replaces invocations by tombstones. `ids` selects the rows. Returns how many there were.
fn leave_tombstones(tx: &Tx<'_>, ids: &str, values: impl Params + Copy) -> rusqlite::Result<usize> {
    let insert = format!(
        "INSERT OR REPLACE INTO tombstone (cid, state, end_time, until)
         SELECT cid, state, end_time, coalesce(tombstone_until, purge_time) FROM invocation
         WHERE id IN ({ids})"
    );
    tx.execute(&insert, values)?;
    let delete = format!("DELETE FROM invocation WHERE id IN ({ids})");
    tx.execute(&delete, values)
}
