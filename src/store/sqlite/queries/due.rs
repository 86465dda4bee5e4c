//! Finds the invocations of a service that a claim takes.

use rusqlite::{Connection, params};

use super::row::{COLUMNS, InvocationRow, decode_rows};
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;
use crate::store::ledger::Claims;
use crate::store::sqlite::blob;
use crate::store::sqlite::error::failed;

/// The due invocations that a claim finds.
pub(in crate::store::sqlite) struct Due {
    pub(in crate::store::sqlite) invocations: Vec<Invocation>,
    /// Invocations that cannot be decoded.
    pub(in crate::store::sqlite) damaged: Vec<Cid>,
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
        let found = ids
            .into_iter()
            .map(|id| select.query_row([id], InvocationRow::of));
        let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
        let select = "SELECT min(wake) FROM invocation
             WHERE service = (SELECT id FROM service WHERE name = ?1)
             AND state < 2 AND leads = 1 AND wake > ?2";
        let mut select = connection.prepare_cached(select)?;
        let next = select.query_row(params![service.as_str(), now], |row| row.get(0))?;
        Ok((found, next))
    };
    let (found, next_due) = read().map_err(|error: rusqlite::Error| failed(&error))?;
    let rows = found.into_iter().map(|row| (row, service.clone()));
    let (invocations, damaged) = decode_rows(rows, recovering);
    Ok(Due {
        invocations,
        damaged,
        next_due,
    })
}
