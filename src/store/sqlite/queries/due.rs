//! Finds the invocations of a service that a claim takes.

use rusqlite::{Connection, params};

use super::row::{COLUMNS, InvocationRow, Readable};
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::store::ledger::Claims;
use crate::store::sqlite::blob;
use crate::store::sqlite::error::{failed, is_damage};

/// How many damaged invocations a claim skips at most, to find sound ones that have become due later.
const MAX_DAMAGED: i64 = 10_000;

/// The due invocations that a claim finds.
pub(in crate::store::sqlite) struct Due {
    pub(in crate::store::sqlite) found: Readable,
    /// When the next one of the service is due.
    pub(in crate::store::sqlite) next_due: Option<i64>,
}

/// Finds due invocations of a service that are not claimed, those that have been due longest first.
pub(in crate::store::sqlite) fn due(
    connection: &Connection,
    service: &ServiceName,
    now: i64,
    max: usize,
    claims: &Claims,
    recovering: Option<u32>,
) -> Result<Due> {
    // Rows that are skipped: claimed ones, and heads whose key is busy.
    let limit = max.saturating_add(2 * claims.len());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let read = || {
        let found = match read_due(connection, service, now, limit, max, claims, recovering) {
            Err(error) if is_damage(&error) => {
                let limit = limit.saturating_add(MAX_DAMAGED);
                read_readable(connection, service, now, limit, max, claims, recovering)
            }
            found => found,
        }?;
        let select = "SELECT min(wake) FROM invocation
             WHERE service = (SELECT id FROM service WHERE name = ?1)
             AND state < 2 AND leads = 1 AND wake > ?2";
        let mut select = connection.prepare_cached(select)?;
        let next_due = select.query_row(params![service.as_str(), now], |row| row.get(0))?;
        Ok(Due { found, next_due })
    };
    read().map_err(failed)
}

fn read_due(
    connection: &Connection,
    service: &ServiceName,
    now: i64,
    limit: i64,
    max: usize,
    claims: &Claims,
    recovering: Option<u32>,
) -> rusqlite::Result<Readable> {
    // The heads of the concurrency keys alone are in this index.
    let select = "SELECT id, cid, concurrency_key FROM invocation
         WHERE service = (SELECT id FROM service WHERE name = ?1)
         AND state < 2 AND leads = 1 AND wake <= ?2 ORDER BY wake, id LIMIT ?3";
    let mut select = connection.prepare_cached(select)?;
    let mut rows = select.query(params![service.as_str(), now, limit])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()?
        && ids.len() < max
    {
        let (cid, key): (Vec<u8>, Option<String>) = (row.get(1)?, row.get(2)?);
        let is_claimed = blob::cid(&cid).is_ok_and(|cid| claims.contains(cid));
        if !is_claimed && key.is_none_or(|key| !claims.is_busy(&key)) {
            ids.push(row.get::<_, i64>(0)?);
        }
    }
    let select = format!("SELECT {COLUMNS} FROM invocation WHERE id = ?1");
    let mut select = connection.prepare_cached(&select)?;
    let mut found = Readable::default();
    for id in ids {
        let row = select.query_row([id], InvocationRow::of)?;
        found.decode(row, service.as_str(), recovering);
    }
    Ok(found)
}

/// The same where the file is damaged: the ids are in the index alone, and each row is read on its own.
fn read_readable(
    connection: &Connection,
    service: &ServiceName,
    now: i64,
    limit: i64,
    max: usize,
    claims: &Claims,
    recovering: Option<u32>,
) -> rusqlite::Result<Readable> {
    let select = "SELECT id FROM invocation
         WHERE service = (SELECT id FROM service WHERE name = ?1)
         AND state < 2 AND leads = 1 AND wake <= ?2 ORDER BY wake, id LIMIT ?3";
    let mut select = connection.prepare_cached(select)?;
    let ids = select.query_map(params![service.as_str(), now, limit], |row| row.get(0))?;
    let mut found = Readable::default();
    for id in ids {
        let Some((row, name, key)) = found.read_row(connection, id?)? else {
            continue;
        };
        let is_claimed = row.cid().is_some_and(|cid| claims.contains(cid));
        if !is_claimed && key.is_none_or(|key| !claims.is_busy(&key)) {
            found.decode(row, &name, recovering);
        }
        if found.invocations.len() == max {
            break;
        }
    }
    Ok(found)
}
