//! Reads the counts that the ledger starts with when the store is opened.

use std::collections::HashMap;

use rusqlite::Connection;

use crate::model::access::Principal;
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::store::sqlite::error::failed;

/// Each service with the id of its row.
pub(in crate::store::sqlite) fn services(
    connection: &Connection,
) -> Result<Vec<(ServiceName, i64)>> {
    let read = || {
        let mut select = connection.prepare("SELECT name, id FROM service")?;
        let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(failed)?;
    let parsed = rows
        .into_iter()
        .map(|(name, id)| Ok((ServiceName::from_record(&name)?, id)));
    parsed.collect()
}

/// The number of pending invocations, by the id of their service: those that can be claimed, and those that wait for
/// their concurrency key, of each of which one can be claimed. Reads indexes alone. All invocations are indexed.
const OPEN_COUNTS: &str = "SELECT service, sum(open) FROM (
         SELECT service, count(*) AS open FROM pending INDEXED BY claimable WHERE leads = 1 GROUP BY service
         UNION ALL
         SELECT service, count(*) - count(DISTINCT concurrency_key) FROM pending INDEXED BY alone
         WHERE concurrency_key IS NOT NULL GROUP BY service
     ) GROUP BY service";

/// How many invocations of each service have not ended, by the id of its row.
pub(in crate::store::sqlite) fn open_counts(
    connection: &Connection,
) -> Result<HashMap<i64, usize>> {
    let read = || {
        let mut select = connection.prepare(OPEN_COUNTS)?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(failed)?.into_iter();
    let counts = rows.map(|(service, open)| (service, usize::try_from(open).unwrap_or_default()));
    Ok(counts.collect())
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

/// The owner of each invocation that has not ended and is no group. All invocations are indexed. They are counted here:
/// SQLite would sort them.
const OWNERS: &str = "SELECT invocation.owner FROM pending
     CROSS JOIN invocation ON invocation.id = pending.id
     WHERE pending.open_members IS NULL AND invocation.owner IS NOT NULL";

/// How many invocations of each principal have not ended, without groups. Where authentication was always off, nothing
/// is read.
pub(in crate::store::sqlite) fn owned_counts(
    connection: &Connection,
) -> Result<Vec<(Principal, usize)>> {
    let read = || {
        let has_principals = "SELECT EXISTS (SELECT 1 FROM principal)";
        if !connection.query_row(has_principals, [], |row| row.get(0))? {
            return Ok(Vec::new());
        }
        let mut counts: HashMap<i64, usize> = HashMap::new();
        let mut select = connection.prepare(OWNERS)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            *counts.entry(row.get(0)?).or_default() += 1;
        }
        let mut select = connection.prepare("SELECT name FROM principal WHERE id = ?1")?;
        let named = counts.into_iter().map(|(id, count)| {
            let name: String = select.query_row([id], |row| row.get(0))?;
            Ok((Principal::known(&name), count))
        });
        named.collect::<rusqlite::Result<Vec<_>>>()
    };
    read().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::open::SCHEMA;

    #[test]
    fn open_invocations_are_counted_by_indexes_alone() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        let insert = "INSERT INTO pending (id, service, due, wake, generation, concurrency_key, leads) VALUES
             (1, 1, 0, 0, 1, NULL, 1), (2, 1, 0, 0, 1, 'x', 1), (3, 1, 0, 0, 1, 'x', 0), (4, 2, 0, 0, 1, 'x', 1),
             (5, 1, 0, 0, 1, 'y', 1), (6, 1, 0, 0, 1, 'x', 0)";
        connection.execute(insert, []).unwrap();
        let counts = open_counts(&connection).unwrap();
        assert_eq!(counts, HashMap::from([(1, 5), (2, 1)]));
        let explain = format!("EXPLAIN QUERY PLAN {OPEN_COUNTS}");
        let mut explain = connection.prepare(&explain).unwrap();
        let rows = explain
            .query_map([], |row| row.get::<_, String>(3))
            .unwrap();
        let plan: Vec<_> = rows.map(Result::unwrap).collect();
        let plan = plan.join("; ");
        assert!(plan.contains("USING COVERING INDEX claimable"), "{plan}");
        assert!(plan.contains("USING COVERING INDEX alone"), "{plan}");
    }
}
