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
        let select = "SELECT purge_time, id FROM purge_queue WHERE purge_time <= ?1
             ORDER BY purge_time, id LIMIT ?2";
        let mut select = tx.prepare(select)?;
        let due = select.query_map([self.now, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let due = due.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
        drop(select);
        for (purge_time, id) in &due {
            leave_tombstone(tx, *id)?;
            remove_from_queue(tx, *purge_time, *id)?;
        }
        let left = i64::try_from(self.max - due.len()).unwrap_or_default();
        let delete = "DELETE FROM tombstone WHERE cid IN
             (SELECT cid FROM tombstone WHERE until <= ?1 ORDER BY until LIMIT ?2)";
        let expired = tx.execute(delete, [self.now, left])?;
        Ok(Ok(due.len() + expired))
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
        let select = "SELECT purge_time FROM outcome WHERE id = ?1 AND held = 0";
        let ended = tx
            .prepare(select)?
            .query_row([found.id()], |row| row.get(0));
        let Some(purge_time) = ended.optional()? else {
            return Ok(Ok(false));
        };
        leave_tombstone(tx, found.id())?;
        match (found, purge_time) {
            (Found::Newest(_), _) => tx.forget_newest(self.0),
            (Found::Indexed(id), Some(time)) => remove_from_queue(tx, time, id)?,
            (Found::Indexed(_), None) => {}
        }
        Ok(Ok(true))
    }
}

/// Replaces an invocation that has ended by a tombstone.
fn leave_tombstone(tx: &Tx<'_>, id: i64) -> rusqlite::Result<()> {
    let insert = "INSERT OR REPLACE INTO tombstone (cid, state, end_time, until, owner, owner_group)
         SELECT cid, state, end_time, coalesce(tombstone_until, purge_time + (purge_time - end_time), end_time),
             owner, owner_group
         FROM invocation JOIN outcome ON outcome.id = invocation.id WHERE invocation.id = ?1";
    tx.execute(insert, [id])?;
    let delete = "DELETE FROM cid_index WHERE cid = (SELECT cid FROM invocation WHERE id = ?1)";
    tx.execute(delete, [id])?;
    let delete = "DELETE FROM service_index WHERE service = (SELECT service FROM invocation WHERE id = ?1) AND id = ?1";
    tx.execute(delete, [id])?;
    tx.execute("DELETE FROM outcome WHERE id = ?1", [id])?;
    tx.execute("DELETE FROM retry WHERE id = ?1", [id])?;
    tx.execute("DELETE FROM invocation WHERE id = ?1", params![id])?;
    Ok(())
}

fn remove_from_queue(tx: &Tx<'_>, purge_time: i64, id: i64) -> rusqlite::Result<()> {
    let delete = "DELETE FROM purge_queue WHERE purge_time = ?1 AND id = ?2";
    tx.execute(delete, [purge_time, id])?;
    Ok(())
}
