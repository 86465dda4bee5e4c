//! Lists: a filter becomes SQL, with a condition that leads SQLite to the right index.

use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;

use super::conditions::conditions;
use super::page::{PageRows, select};
use super::row::Readable;
use super::salvage::salvage;
use crate::engine::store::Filter;
use crate::model::error::Result;
use crate::model::invocation::State;
use crate::store::sqlite::error::{failed, is_damage};

/// Up to 10 000 open invocations: use the index of open ones. Above: scan from the newest, as some open ones are close
/// to it.
const FEW_OPEN: i64 = 10_000;
/// Restricts a list to open invocations, by the indexes `pending` and `alone`.
const AMONG_OPEN: &str = "invocation.id IN (
    SELECT id FROM invocation WHERE state < 2 AND leads = 1
    UNION ALL SELECT id FROM invocation WHERE state < 2 AND concurrency_key IS NOT NULL)";
/// Restricts a list to invocations that ended without a response, by the index `failures`.
const AMONG_FAILURES: &str = "state > 2";

/// Reads a page of invocations that match a filter, newest first, and where the next one begins.
pub(in crate::store::sqlite) fn list(
    connection: &Connection,
    filter: &Filter,
    before: Option<u64>,
    max: usize,
) -> Result<(Readable, Option<u64>)> {
    let before = before.and_then(|id| i64::try_from(id).ok());
    let before = before.unwrap_or(i64::MAX);
    let (mut page, mut found) = (PageRows::new(max), Readable::default());
    match read(connection, filter, before, &mut page) {
        Err(error) if is_damage(&error) => {
            found.damaged.push(failed(error));
            let before = page.last_id().unwrap_or(before);
            salvage(connection, filter, before, &mut page).map_err(failed)?;
        }
        read => read.map_err(failed)?,
    }
    let next = page.next.and_then(|id| u64::try_from(id).ok());
    page.decode(&mut found);
    Ok((found, next))
}

/// Reads the rows of a page by the index that fits best.
fn read(
    connection: &Connection,
    filter: &Filter,
    before: i64,
    page: &mut PageRows,
) -> rusqlite::Result<()> {
    let (mut conditions, mut values) = conditions(filter, false);
    conditions.extend(index_hint(connection, filter)?.map(str::to_owned));
    conditions.push("invocation.id < ?".to_owned());
    values.push(SqlValue::Integer(before));
    let mut select = connection.prepare(&select(&conditions, "invocation"))?;
    page.fill(&mut select, values)
}

/// A redundant condition for filters that match only a small part of the store: it leads SQLite to the index of that
/// part.
fn index_hint(connection: &Connection, filter: &Filter) -> rusqlite::Result<Option<&'static str>> {
    if filter.states.is_empty() || !filter.cids.is_empty() || filter.include_waiting {
        return Ok(None);
    }
    let all = |is: fn(&State) -> bool| filter.states.iter().all(is);
    if all(|state| state.is_terminal() && *state != State::Succeeded) {
        return Ok(Some(AMONG_FAILURES));
    }
    if !all(|state| !state.is_terminal()) {
        return Ok(None);
    }
    let sum = "SELECT COALESCE(SUM(open), 0) FROM service";
    let open: i64 = connection.query_row(sum, [], |row| row.get(0))?;
    Ok((open <= FEW_OPEN).then_some(AMONG_OPEN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{Cid, ServiceName};
    use crate::store::sqlite::open::keep_plans;

    /// The query plan of a filter.
    fn plan(filter: &Filter, open: i64) -> String {
        let connection = Connection::open_in_memory().unwrap();
        keep_plans(&connection).unwrap();
        connection
            .execute_batch(crate::store::sqlite::open::SCHEMA)
            .unwrap();
        let insert = "INSERT INTO service (name, open) VALUES ('a', ?1)";
        connection.execute(insert, [open]).unwrap();
        let (mut conditions, mut values) = conditions(filter, false);
        let hint = index_hint(&connection, filter).unwrap();
        conditions.extend(hint.map(str::to_owned));
        conditions.push("invocation.id < ?".to_owned());
        values.extend([i64::MAX, 20].map(SqlValue::Integer));
        let select = select(&conditions, "invocation");
        let explain = format!("EXPLAIN QUERY PLAN {select}");
        let mut explain = connection.prepare(&explain).unwrap();
        let rows = explain
            .query_map(rusqlite::params_from_iter(values), |row| {
                row.get::<_, String>(3)
            })
            .unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn lists_use_indexes() {
        let of_states = |states: &[State]| Filter {
            states: states.to_vec(),
            ..Filter::default()
        };
        let failures = plan(&of_states(&[State::Failed]), 0);
        assert!(failures.contains("INDEX failures (state=?"), "{failures}");
        let pending = [false, true].map(|started| State::Pending { started });
        let few = plan(&of_states(&pending), FEW_OPEN);
        assert!(few.contains("INDEX pending"), "{few}");
        assert!(few.contains("INDEX alone"), "{few}");
        let many = plan(&of_states(&pending), FEW_OPEN + 1);
        assert!(!many.contains("INDEX pending"), "{many}");
        let of_service = Filter {
            services: vec![ServiceName::parse("a").unwrap()],
            ..Filter::default()
        };
        let of_service = plan(&of_service, 0);
        assert!(
            of_service.contains("of_service (service=? AND"),
            "{of_service}"
        );
        let running = Filter {
            cids: vec![Cid::new()],
            include_waiting: true,
            ..Filter::default()
        };
        let running = plan(&running, 0);
        assert!(running.contains("(cid=?"), "{running}");
        assert!(running.contains("INDEX awaited"), "{running}");
        for plan in [failures, few, many, of_service, running] {
            assert!(
                !plan.contains("TEMP B-TREE FOR ORDER") || plan.contains("(cid=?"),
                "{plan}"
            );
        }
    }
}
