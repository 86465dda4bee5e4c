//! Adds the invocations to the indexes that they lack after a crash, when the store is opened.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::blob;
use super::commands::{IndexedRow, SET_INDEXED};
use super::error::{failed, is_damage};
use super::newest::{Limits, MAX_NEWEST, Place};
use crate::model::error::Result;
use crate::model::id::Cid;

/// Adds all invocations to the indexes, and returns the highest id and CID. `generation`: the present one. What cannot
/// be read is left out, and logged.
pub(super) fn index_tail(connection: &mut Connection, generation: u32) -> Result<Limits> {
    let mut add = || -> rusqlite::Result<_> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = connection.transaction_with_behavior(behavior)?;
        let indexed = "SELECT value FROM meta WHERE key = 'indexed'";
        let indexed: i64 = transaction.query_row(indexed, [], |row| row.get(0))?;
        let last = last_id(&transaction, indexed)?;
        if last <= indexed {
            return Ok(indexed);
        }
        let last_generation = generation.saturating_sub(1);
        for id in indexed + 1..=last {
            match add_row(&transaction, id, last_generation) {
                Err(error) if is_damage(&error) => {
                    tracing::error!(id, %error, "cannot add an invocation to the indexes; it is not found by its CID");
                }
                added => added?,
            }
        }
        transaction.execute(SET_INDEXED, [last])?;
        transaction.commit()?;
        Ok(last)
    };
    let id = add().map_err(failed)?;
    let cid = highest_cid(connection).map_err(failed)?;
    Ok(Limits { id, cid })
}

/// The highest CID, or the highest of all if the file is damaged there: each new one is then looked up.
fn highest_cid(connection: &Connection) -> rusqlite::Result<Option<Cid>> {
    let max = "SELECT max(cid) FROM (SELECT max(cid) AS cid FROM cid_index UNION ALL SELECT max(cid) FROM tombstone)";
    match connection.query_row(max, [], |row| row.get::<_, Option<Vec<u8>>>(0)) {
        Err(error) if is_damage(&error) => Ok(Some(Cid::from_bytes([0xff; 16]))),
        highest => {
            let highest = highest?;
            Ok(highest.and_then(|cid| blob::cid(&cid).ok()))
        }
    }
}

/// The highest id. If the end of the table is damaged, the highest one that it can have.
fn last_id(connection: &Connection, indexed: i64) -> rusqlite::Result<i64> {
    let max = "SELECT coalesce(max(id), 0) FROM invocation";
    match connection.query_row(max, [], |row| row.get(0)) {
        Err(error) if is_damage(&error) => {
            let newest = i64::try_from(MAX_NEWEST).unwrap_or(i64::MAX);
            Ok(indexed.saturating_add(newest))
        }
        last => last,
    }
}

fn add_row(connection: &Connection, id: i64, generation: u32) -> rusqlite::Result<()> {
    let select = "SELECT cid, invocation.service, accept_time, outcome.id IS NOT NULL, pending.id IS NOT NULL,
             CASE WHEN outcome.held THEN NULL ELSE purge_time END
         FROM invocation LEFT JOIN outcome ON outcome.id = invocation.id LEFT JOIN pending ON pending.id = invocation.id
         WHERE invocation.id = ?1";
    let mut select = connection.prepare_cached(select)?;
    let row = select.query_row([id], |row| {
        let place = match (row.get(3)?, row.get(4)?) {
            (true, _) => Place::Ended {
                purge_time: row.get(5)?,
            },
            (false, true) => Place::Pending,
            (false, false) => Place::Accepted { due: row.get(2)? },
        };
        Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, place))
    });
    let Some((cid, service, place)) = row.optional()? else {
        return Ok(());
    };
    let Ok(cid) = blob::cid(&cid) else {
        tracing::error!(id, "an invocation has a damaged CID; it is not found by it");
        return Ok(());
    };
    let row = IndexedRow {
        id,
        cid,
        service,
        place,
    };
    row.insert(generation, |sql| connection.prepare_cached(sql))
}
