//! Finds the invocation of each service that has been due longest, for the status of the node.

use rusqlite::{Connection, params};

use crate::engine::store::OldestDue;
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::store::blob;
use crate::store::ledger::Claims;
use crate::store::sqlite::error::failed;

/// What is known of a service before its rows are read.
pub(in crate::store::sqlite) struct DueService {
    pub(in crate::store::sqlite) service: ServiceName,
    pub(in crate::store::sqlite) claims: Claims,
    /// Of those that are as they were accepted and have no row in the table of pending ones, the one that was due
    /// first.
    pub(in crate::store::sqlite) accepted: Option<OldestDue>,
}

/// Reads the first rows of each service in the index of claimable ones: claimed ones, which are at the front, and one
/// more.
const SELECT: &str = "SELECT cid, due, concurrency_key FROM pending
     CROSS JOIN invocation ON invocation.id = pending.id
     WHERE pending.service = (SELECT id FROM service WHERE name = ?1)
     AND leads = 1 AND wake <= ?2 AND due <= ?2 AND awaited = 0 ORDER BY wake, pending.id LIMIT ?3";

/// Finds them.
pub(in crate::store::sqlite) fn oldest_due(
    connection: &Connection,
    services: Vec<DueService>,
    now: i64,
) -> Result<Vec<OldestDue>> {
    let mut oldest = Vec::new();
    for known in services {
        let stored = first_of(connection, &known, now).map_err(failed)?;
        let of_service = stored.into_iter().chain(known.accepted);
        oldest.extend(of_service.min_by_key(|found| found.due));
    }
    Ok(oldest)
}

fn first_of(
    connection: &Connection,
    known: &DueService,
    now: i64,
) -> rusqlite::Result<Option<OldestDue>> {
    // Claimed ones, and heads whose key is busy.
    let limit = i64::try_from(2 * known.claims.len() + 1).unwrap_or(i64::MAX);
    let mut select = connection.prepare_cached(SELECT)?;
    let mut rows = select.query(params![known.service.as_str(), now, limit])?;
    while let Some(row) = rows.next()? {
        let (cid, due): (Vec<u8>, i64) = (row.get(0)?, row.get(1)?);
        let key: Option<String> = row.get(2)?;
        let is_busy = key.is_some_and(|key| known.claims.is_busy(&key));
        // A row that is damaged is left to those who read it as a whole.
        if let Ok(cid) = blob::cid(&cid)
            && !is_busy
            && !known.claims.contains(cid)
        {
            return Ok(Some(OldestDue {
                service: known.service.clone(),
                cid,
                due: blob::timestamp(due),
            }));
        }
    }
    Ok(None)
}

/// The number of held invocations: those that are due at the last instant there is. Reads an index alone.
const HELD_COUNT: &str = "SELECT count(*) FROM pending INDEXED BY dead_letters
     WHERE due >= 9223372036854775807 AND awaited = 0";

/// Counts them.
pub(in crate::store::sqlite) fn held_count(connection: &Connection) -> Result<usize> {
    let read = || {
        let mut select = connection.prepare_cached(HELD_COUNT)?;
        select.query_row([], |row| row.get::<_, i64>(0))
    };
    let count = read().map_err(failed)?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// The number of invocations of a service that are claimed later. Reads an index alone.
const LATER_COUNT: &str = "SELECT count(*) FROM (
         SELECT 1 FROM pending INDEXED BY claimable
         WHERE service = (SELECT id FROM service WHERE name = ?1) AND leads = 1 AND wake > ?2 LIMIT ?3)";

/// Counts them, up to `max`.
pub(in crate::store::sqlite) fn later_count(
    connection: &Connection,
    service: &ServiceName,
    now: i64,
    max: usize,
) -> Result<usize> {
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let read = || {
        let mut select = connection.prepare_cached(LATER_COUNT)?;
        select.query_row(params![service.as_str(), now, max], |row| {
            row.get::<_, i64>(0)
        })
    };
    let count = read().map_err(failed)?;
    Ok(usize::try_from(count).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::invocation::HELD;
    use crate::store::sqlite::open::SCHEMA;

    #[test]
    fn the_status_reads_indexes_in_order() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        assert_eq!(blob::nanos(HELD), i64::MAX);
        let plan = |statement: &str| {
            let mut explain = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
                .unwrap();
            let named = explain.parameter_count();
            let values = rusqlite::params_from_iter(std::iter::repeat_n(0, named));
            let rows = explain.query_map(values, |row| row.get::<_, String>(3));
            let rows: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
            rows.join("; ")
        };
        let oldest = plan(SELECT);
        assert!(
            oldest.contains("USING INDEX claimable (service=? AND wake<?)"),
            "{oldest}"
        );
        assert!(!oldest.contains("TEMP B-TREE"), "{oldest}");
        let later = plan(LATER_COUNT);
        assert!(
            later.contains("USING COVERING INDEX claimable (service=? AND wake>?)"),
            "{later}"
        );
        let held = plan(HELD_COUNT);
        assert!(held.contains("USING COVERING INDEX dead_letters"), "{held}");
    }
}
