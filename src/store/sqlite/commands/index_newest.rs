//! Adds the newest invocations to the indexes over all invocations, many at once.

use rusqlite::{CachedStatement, params};

use super::transaction::Tx;
use crate::model::id::Cid;
use crate::store::sqlite::newest::{KEPT_NEWEST, MAX_NEWEST, Place, SET_INDEXED};

/// Adds the older ones of the newest invocations to the indexes, if there are too many.
pub(in crate::store::sqlite) fn index_if_many(tx: &mut Tx<'_>) -> rusqlite::Result<()> {
    match tx.count_newest() > MAX_NEWEST {
        true => index_newest(tx, KEPT_NEWEST),
        false => Ok(()),
    }
}

/// Adds all of the newest invocations to the indexes.
pub(in crate::store::sqlite) fn index_all(tx: &mut Tx<'_>) -> rusqlite::Result<()> {
    index_newest(tx, 0)
}

/// Adds the newest invocations but the last `kept` ones to the indexes. Those that are as they were accepted become
/// pending rows.
fn index_newest(tx: &mut Tx<'_>, kept: usize) -> rusqlite::Result<()> {
    let mut newest = tx.newest();
    newest.truncate(newest.len().saturating_sub(kept));
    let indexed = match newest.last() {
        None => return Ok(()),
        // Those behind it may be gone.
        Some(_) if kept == 0 => tx.last_id(),
        Some((_, last)) => last.id,
    };
    for (cid, newest) in &newest {
        let service = tx.service_id(&newest.service)?;
        let row = IndexedRow {
            id: newest.id,
            cid: *cid,
            service,
            place: newest.place,
        };
        row.insert(tx.generation, |sql| tx.prepare(sql))?;
        tx.forget_newest(*cid);
    }
    tx.execute(SET_INDEXED, [indexed])?;
    Ok(())
}

/// What the indexes contain of an invocation.
pub(in crate::store::sqlite) struct IndexedRow {
    pub(in crate::store::sqlite) id: i64,
    pub(in crate::store::sqlite) cid: Cid,
    pub(in crate::store::sqlite) service: i64,
    pub(in crate::store::sqlite) place: Place,
}

impl IndexedRow {
    /// Inserts its rows. `generation`: that of its last write, if it is as it was accepted.
    pub(in crate::store::sqlite) fn insert<'t>(
        &self,
        generation: u32,
        prepare: impl Fn(&str) -> rusqlite::Result<CachedStatement<'t>>,
    ) -> rusqlite::Result<()> {
        let Self {
            id,
            cid,
            service,
            place,
        } = self;
        let insert = "INSERT INTO cid_index (cid, id) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        prepare(insert)?.execute(params![cid.as_bytes(), id])?;
        let insert =
            "INSERT INTO service_index (service, id) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        prepare(insert)?.execute(params![service, id])?;
        match place {
            Place::Accepted { due } => {
                prepare(INSERT_ACCEPTED)?.execute(params![id, service, due, generation])?;
            }
            Place::Ended {
                purge_time: Some(time),
            } => {
                prepare(QUEUE_PURGE)?.execute(params![time, id])?;
            }
            Place::Pending | Place::Ended { purge_time: None } => {}
        }
        Ok(())
    }
}

/// The entry of an ended invocation, unless it is there.
pub(super) const QUEUE_PURGE: &str =
    "INSERT INTO purge_queue (purge_time, id) VALUES (?1, ?2) ON CONFLICT DO NOTHING";

/// The row of a pending invocation that is as it was accepted.
pub(super) const INSERT_ACCEPTED: &str =
    "INSERT INTO pending (id, service, due, wake, generation) VALUES (?1, ?2, ?3, ?3, ?4)";
