//! Retention: removes invocations that have ended and leaves a tombstone of each, which expires later.

use rusqlite::{OptionalExtension as _, params};

use super::command::Command;
use super::index_newest::index_all;
use super::transaction::{Found, Tx};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::store::sqlite::newest::Place;

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
        let is_over = |place| match place {
            Place::Ended { purge_time } => purge_time.is_some_and(|time| time <= self.now),
            Place::Accepted { .. } | Place::Pending => false,
        };
        if tx.newest().iter().any(|(_, newest)| is_over(newest.place)) {
            index_all(tx)?;
        }
        let limit = i64::try_from(self.max).unwrap_or(i64::MAX);
        let select =
            "SELECT id FROM purge_queue WHERE purge_time <= ?1 ORDER BY purge_time, id LIMIT ?2";
        let mut select = tx.prepare(select)?;
        let ids = select.query_map([self.now, limit], |row| row.get(0))?;
        let ids = ids.collect::<rusqlite::Result<Vec<i64>>>()?;
        drop(select);
        for id in &ids {
            leave_tombstone(tx, *id)?;
        }
        let left = i64::try_from(self.max - ids.len()).unwrap_or_default();
        let delete = "DELETE FROM tombstone WHERE cid IN
             (SELECT cid FROM tombstone WHERE until <= ?1 ORDER BY until LIMIT ?2)";
        let expired = tx.execute(delete, [self.now, left])?;
        Ok(Ok(ids.len() + expired))
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
        let Some(found) = tx.find(self.0)? else {
            return Ok(Ok(false));
        };
        let select = "SELECT 1 FROM outcome WHERE id = ?1 AND held = 0";
        let has_ended = tx.prepare(select)?.query_row([found.id()], |_| Ok(()));
        let has_ended = has_ended.optional()?.is_some();
        if has_ended {
            leave_tombstone(tx, found.id())?;
            if let Found::Newest(_) = found {
                tx.forget_newest(self.0);
            }
        }
        Ok(Ok(has_ended))
    }
}

/// Replaces an invocation that has ended by a tombstone.
fn leave_tombstone(tx: &Tx<'_>, id: i64) -> rusqlite::Result<()> {
    let insert = "INSERT OR REPLACE INTO tombstone (cid, state, end_time, until)
         SELECT cid, state, end_time, coalesce(tombstone_until, purge_time + (purge_time - end_time), end_time)
         FROM invocation JOIN outcome ON outcome.id = invocation.id WHERE invocation.id = ?1";
    tx.execute(insert, [id])?;
    let delete = "DELETE FROM purge_queue WHERE (purge_time, id) = (SELECT purge_time, id FROM outcome WHERE id = ?1)";
    tx.execute(delete, [id])?;
    let delete = "DELETE FROM cid_index WHERE cid = (SELECT cid FROM invocation WHERE id = ?1)";
    tx.execute(delete, [id])?;
    let delete = "DELETE FROM service_index WHERE service = (SELECT service FROM invocation WHERE id = ?1) AND id = ?1";
    tx.execute(delete, [id])?;
    tx.execute("DELETE FROM outcome WHERE id = ?1", [id])?;
    tx.execute("DELETE FROM invocation WHERE id = ?1", params![id])?;
    Ok(())
}
