//! Finds pending invocations that have expired.

use rusqlite::Connection;

use super::row::{COLUMNS, InvocationRow, NEXT_COLUMN, decode_rows, with_services};
use crate::model::error::Result;
use crate::model::invocation::Invocation;
use crate::store::sqlite::error::failed;

/// Finds pending invocations that have expired at `now`, those that expired first.
pub(in crate::store::sqlite) fn expired(
    connection: &Connection,
    now: i64,
    max: usize,
) -> Result<Vec<Invocation>> {
    let read = || {
        let select = format!(
            "SELECT {COLUMNS}, service.name FROM invocation JOIN service ON service.id = service
             WHERE state < 2 AND over <= ?1 ORDER BY over LIMIT ?2"
        );
        let mut select = connection.prepare_cached(&select)?;
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        let rows = select.query_map([now, limit], |row| {
            Ok((InvocationRow::of(row)?, row.get::<_, String>(NEXT_COLUMN)?))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(|error: rusqlite::Error| failed(&error))?;
    Ok(decode_rows(with_services(rows)?, None).0)
}
