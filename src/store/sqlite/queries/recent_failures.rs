//! Counts the invocations that failed lately, for the status of the node.

use rusqlite::{Connection, Row, params};

use super::service_names::ServiceNames;
use crate::engine::store::RecentFailures;
use crate::model::error::Result;
use crate::model::invocation::{State, Summaries, SummaryCount, SummaryKey};
use crate::store::blob;
use crate::store::sqlite::error::failed;

/// Reads an index of the outcomes, and a row of each invocation that it finds.
const SELECT: &str =
    "SELECT invocation.cid, invocation.service, service.name, outcome.failure_reason,
         invocation.accept_time, outcome.end_time
     FROM outcome INDEXED BY failed_at
     CROSS JOIN invocation ON invocation.id = outcome.id
     CROSS JOIN service ON service.id = invocation.service
     WHERE outcome.state = 3 AND outcome.end_time >= ?1 ORDER BY outcome.end_time DESC LIMIT ?2";

/// Counts those that failed since then, at most `max`, those that failed last first. What cannot be read is left out.
pub(in crate::store::sqlite) fn recent_failures(
    connection: &Connection,
    since: i64,
    max: usize,
) -> Result<RecentFailures> {
    // One more tells whether there are more.
    let limit = i64::try_from(max.saturating_add(1)).unwrap_or(i64::MAX);
    let read = || {
        let (mut names, mut summaries) = (ServiceNames::default(), Summaries::default());
        let (mut read, mut has_more) = (0, false);
        let mut select = connection.prepare_cached(SELECT)?;
        let mut rows = select.query(params![since, limit])?;
        while let Some(row) = rows.next()? {
            has_more = read == max;
            if has_more {
                break;
            }
            read += 1;
            if let Some((key, count)) = count_of(row, &mut names)? {
                summaries.add(key, &count);
            }
        }
        Ok(RecentFailures {
            summaries: summaries.into_each().collect(),
            has_more,
        })
    };
    read().map_err(failed)
}

/// The count of one invocation; `None` where its CID or the name of its service is damaged.
fn count_of(
    row: &Row<'_>,
    names: &mut ServiceNames,
) -> rusqlite::Result<Option<(SummaryKey, SummaryCount)>> {
    let cid = blob::cid(row.get_ref(0)?.as_blob()?);
    let service = names.name(row.get(1)?, row.get_ref(2)?.as_str()?);
    let (Ok(cid), Ok(service)) = (cid, service) else {
        return Ok(None);
    };
    let key = SummaryKey {
        service,
        state: State::Failed,
        held: false,
        failure_reason: row.get(3)?,
    };
    let end_time = blob::timestamp(row.get(5)?);
    let count = SummaryCount::one(cid, blob::timestamp(row.get(4)?), Some(end_time));
    Ok(Some((key, count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::open::SCHEMA;

    #[test]
    fn failures_are_found_in_their_index_in_order() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        let explain = format!("EXPLAIN QUERY PLAN {SELECT}");
        let mut explain = connection.prepare(&explain).unwrap();
        let rows = explain.query_map([0, 0], |row| row.get::<_, String>(3));
        let plan: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
        let plan = plan.join("; ");
        let index = "SEARCH outcome USING COVERING INDEX failed_at (end_time>?)";
        assert!(plan.contains(index), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}
