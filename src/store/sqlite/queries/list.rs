//! Lists: a filter becomes SQL, with a condition that leads SQLite to the right index.

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;

use super::row::{COLUMNS, InvocationRow, NEXT_COLUMN, decode_rows, with_services};
use crate::engine::store::{Filter, Page};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::State;
use crate::store::sqlite::blob;
use crate::store::sqlite::error::failed;
use crate::store::sqlite::state_column::encode_state;

/// How many bytes of invocations are on a page at most, the last one aside: 16 MiB.
const MAX_PAGE_BYTES: usize = 16 << 20;
/// Up to 10 000 open invocations: use the index of open ones. Above: scan from the newest, as some open ones are close
/// to it.
const FEW_OPEN: i64 = 10_000;
/// Restricts a list to open invocations, by the indexes `pending` and `alone`.
const AMONG_OPEN: &str = "invocation.id IN (
    SELECT id FROM invocation WHERE state < 2 AND leads = 1
    UNION ALL SELECT id FROM invocation WHERE state < 2 AND concurrency_key IS NOT NULL)";
/// Restricts a list to invocations that ended without a response, by the index `failures`.
const AMONG_FAILURES: &str = "state > 2";

/// Reads a page of invocations that match a filter, newest first.
pub(in crate::store::sqlite) fn list(
    connection: &Connection,
    filter: &Filter,
    before: Option<u64>,
    max: usize,
) -> Result<Page> {
    let read = || {
        let (select, mut values) = select(connection, filter, before)?;
        let limit = i64::try_from(max.saturating_add(1)).unwrap_or(i64::MAX);
        values.push(SqlValue::Integer(limit));
        let mut select = connection.prepare(&select)?;
        let mut rows = select.query(rusqlite::params_from_iter(values))?;
        let (mut found, mut bytes, mut more) = (Vec::new(), 0, false);
        while let Some(row) = rows.next()? {
            more = found.len() == max || bytes > MAX_PAGE_BYTES;
            if more {
                break;
            }
            let (name, id) = (
                row.get::<_, String>(NEXT_COLUMN)?,
                row.get::<_, i64>(NEXT_COLUMN + 1)?,
            );
            let next = InvocationRow::of(row)?;
            bytes += next.bytes();
            found.push((next, name, id));
        }
        Ok((found, more))
    };
    let (rows, more) = read().map_err(|error: rusqlite::Error| failed(&error))?;
    let last = rows.last().filter(|_| more);
    let next = last.map(|(.., id)| u64::try_from(*id).unwrap_or_default());
    let rows = rows.into_iter().map(|(found, name, _)| (found, name));
    Ok(Page {
        invocations: decode_rows(with_services(rows.collect())?, None).0,
        next,
    })
}

/// The statement of a filter with its values, except the last one, the number of rows.
fn select(
    connection: &Connection,
    filter: &Filter,
    before: Option<u64>,
) -> rusqlite::Result<(String, Vec<SqlValue>)> {
    let before = before.and_then(|id| i64::try_from(id).ok());
    let mut conditions = vec!["invocation.id < ?".to_owned()];
    let mut values = vec![SqlValue::Integer(before.unwrap_or(i64::MAX))];
    let mut is_in = |column: &str, allowed: Vec<SqlValue>| {
        let placeholders = vec!["?"; allowed.len()].join(", ");
        values.extend(allowed);
        format!("{column} IN ({placeholders})")
    };
    let cid_value = |cid: &Cid| SqlValue::Blob(cid.as_bytes().to_vec());
    let states = filter.states.iter();
    let states = states.map(|state| SqlValue::Integer(encode_state(*state)));
    let states = states.collect::<Vec<_>>();
    let in_states = (!states.is_empty()).then(|| is_in("state", states));
    let by_cid = (!filter.cids.is_empty()).then(|| {
        let cids = is_in("cid", filter.cids.iter().map(cid_value).collect());
        format!("SELECT id FROM invocation WHERE {cids}")
    });
    let waiting = filter
        .include_waiting
        .then(|| "SELECT id FROM invocation WHERE awaited = 1".to_owned());
    let ids: Vec<_> = by_cid.into_iter().chain(waiting).collect();
    let by_id = match ids.is_empty() {
        true => None,
        false => Some(format!("invocation.id IN ({})", ids.join(" UNION ALL "))),
    };
    let alternatives: Vec<_> = in_states.into_iter().chain(by_id).collect();
    if !alternatives.is_empty() {
        conditions.push(format!("({})", alternatives.join(" OR ")));
    }
    // With `=` instead of `IN`, the index of the service also gives the order.
    let services = filter.services.iter();
    let services: Vec<_> = services
        .map(|name| SqlValue::Text(name.to_string()))
        .collect();
    if !services.is_empty() {
        let named = is_in("name", services);
        let id = format!("(SELECT id FROM service WHERE {named})");
        let equals = if filter.services.len() == 1 {
            "="
        } else {
            "IN"
        };
        conditions.push(format!("invocation.service {equals} {id}"));
    }
    let reasons = filter.failure_reasons.iter().cloned().map(SqlValue::Text);
    for (column, allowed) in [
        ("failure_reason", reasons.collect::<Vec<_>>()),
        ("parent", filter.parent.iter().map(cid_value).collect()),
        ("root", filter.root.iter().map(cid_value).collect()),
        ("group_cid", filter.group.iter().map(cid_value).collect()),
    ] {
        if !allowed.is_empty() {
            conditions.push(is_in(column, allowed));
        }
    }
    for (condition, time) in time_conditions(filter) {
        conditions.push(condition.to_owned());
        values.push(SqlValue::Integer(blob::nanos(time)));
    }
    conditions.extend(index_hint(connection, filter)?.map(str::to_owned));
    let condition = conditions.join(" AND ");
    let select = format!(
        "SELECT {COLUMNS}, service.name, invocation.id FROM invocation
         JOIN service ON service.id = service WHERE {condition} ORDER BY invocation.id DESC LIMIT ?"
    );
    Ok((select, values))
}

/// The conditions on times.
fn time_conditions(filter: &Filter) -> impl Iterator<Item = (&'static str, Timestamp)> {
    let times = [
        ("accept_time >= ?", filter.accepted_after),
        ("accept_time < ?", filter.accepted_before),
        ("end_time >= ?", filter.ended_after),
        ("end_time < ?", filter.ended_before),
    ];
    times
        .into_iter()
        .filter_map(|(condition, time)| Some((condition, time?)))
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
    use crate::model::id::ServiceName;

    /// The query plan of a filter.
    fn plan(filter: &Filter, open: i64) -> String {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(crate::store::sqlite::open::SCHEMA)
            .unwrap();
        let insert = "INSERT INTO service (name, open) VALUES ('a', ?1)";
        connection.execute(insert, [open]).unwrap();
        let (select, mut values) = select(&connection, filter, None).unwrap();
        values.push(SqlValue::Integer(20));
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
