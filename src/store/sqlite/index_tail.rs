//! Adds the invocations to the indexes that they lack after a crash, when the store is opened.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::commands::IndexedRow;
use super::error::{corrupt, failed, is_damage};
use super::newest::{Limits, MAX_NEWEST, Place, SELECT_INDEXED, SET_INDEXED};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::store::blob;

/// No store gives out higher ids: a million a second for three centuries.
const MAX_ID: i64 = 1 << 53;
/// How many ids are left out where the end of the table is damaged, so that none is given out twice.
const MAX_GAP: i64 = 1 << 32;

/// Adds all invocations to the indexes, and returns the highest id and CID. `generation`: the present one. What cannot
/// be read is left out, and logged.
pub(super) fn index_tail(connection: &mut Connection, generation: u32) -> Result<Limits> {
    let mut add = || -> rusqlite::Result<_> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = connection.transaction_with_behavior(behavior)?;
        let indexed: i64 = transaction.query_row(SELECT_INDEXED, [], |row| row.get(0))?;
        let tail = Tail::read(&transaction, indexed)?;
        if tail.ids.is_empty() {
            return Ok(indexed);
        }
        let last_generation = generation.saturating_sub(1);
        for id in tail.ids {
            match add_row(&transaction, id, last_generation) {
                Err(error) if is_damage(&error) => {
                    tracing::error!(id, %error, "cannot add an invocation to the indexes; it does not run");
                }
                added => added?,
            }
        }
        transaction.execute(SET_INDEXED, [tail.last])?;
        transaction.commit()?;
        Ok(tail.last)
    };
    let id = add().map_err(failed)?;
    let cid = highest_cid(connection).map_err(failed)?;
    Ok(Limits { id, cid })
}

/// The highest CID. If that is damaged, the highest possible one: each new CID is then looked up.
fn highest_cid(connection: &Connection) -> rusqlite::Result<Option<Cid>> {
    let highest_possible = Cid::from_bytes([0xff; 16]);
    let max = "SELECT max(cid) FROM (SELECT max(cid) AS cid FROM cid_index UNION ALL SELECT max(cid) FROM tombstone)";
    match connection.query_row(max, [], |row| row.get::<_, Option<Vec<u8>>>(0)) {
        Err(error) if is_damage(&error) => Ok(Some(highest_possible)),
        highest => {
            let highest = highest?;
            Ok(highest.map(|cid| blob::cid(&cid).unwrap_or(highest_possible)))
        }
    }
}

/// The invocations that the indexes lack.
struct Tail {
    ids: Vec<i64>,
    last: i64,
}

impl Tail {
    fn read(connection: &Connection, indexed: i64) -> rusqlite::Result<Self> {
        let select = "SELECT id FROM invocation WHERE id > ?1 ORDER BY id";
        let mut select = connection.prepare(select)?;
        let ids = select.query_map([indexed], |row| row.get(0));
        match ids.and_then(Iterator::collect::<rusqlite::Result<Vec<i64>>>) {
            Ok(ids) => {
                let last = ids.last().copied().unwrap_or(indexed);
                match last <= MAX_ID {
                    true => Ok(Self { ids, last }),
                    false => Err(corrupt("an id that was never given out")),
                }
            }
            Err(error) if is_damage(&error) => {
                // Any of these may be there, and later ones if the others were removed.
                let few = i64::try_from(4 * MAX_NEWEST).unwrap_or(i64::MAX);
                let ids = (indexed + 1..=indexed.saturating_add(few)).collect();
                let last = indexed.saturating_add(MAX_GAP);
                Ok(Self { ids, last })
            }
            Err(error) => Err(error),
        }
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
