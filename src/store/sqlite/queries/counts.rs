//! Reads the counts that the ledger starts with when the store is opened.

use std::collections::HashMap;

use rusqlite::Connection;

use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::store::sqlite::error::failed;

/// Each service with the id of its row and the number of its invocations that have not ended. The indexes lack none.
pub(in crate::store::sqlite) fn open_counts(
    connection: &Connection,
) -> Result<Vec<(ServiceName, i64, i64)>> {
    let read = || {
        let mut select = connection.prepare("SELECT name, service.id, ifnull(open, 0) FROM service LEFT JOIN
             (SELECT service, count(*) AS open FROM pending GROUP BY service) ON service = service.id")?;
        let rows = select.query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
            ))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(failed)?;
    let parsed = rows
        .into_iter()
        .map(|(name, id, open)| Ok((ServiceName::from_record(&name)?, id, open)));
    parsed.collect()
}

/// How many invocations of each service wait for an outcome from outside.
pub(in crate::store::sqlite) fn awaiting_completion_counts(
    connection: &Connection,
) -> Result<HashMap<ServiceName, usize>> {
    let read = || {
        let select = "SELECT service.name, count(*) FROM pending
             JOIN service ON service.id = service
             WHERE awaited = 1 AND open_members IS NULL GROUP BY service.name";
        let mut select = connection.prepare(select)?;
        let rows = select.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(failed)?;
    let parsed = rows.into_iter().map(|(name, count)| {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok((ServiceName::from_record(&name)?, count))
    });
    parsed.collect()
}
