//! Plans: begins to read with the table or index that has the least to read.

use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;

use super::principals::last_of_principals;
use super::source::Source;
use crate::engine::store::Filter;
use crate::model::invocation::State;

/// Up to so many invocations, their ids are collected and each is looked up. Above: they are read from the newest,
/// as some of them are close to it.
const FEW: i64 = 10_000;
const OPEN_IDS: &str = "SELECT id FROM pending";
const OPEN_IDS_OF_SERVICES: &str =
    "SELECT id FROM pending WHERE leads = 1 AND service IN (SELECT id FROM service WHERE name IN";
/// Those that wait for their concurrency key are in an index of their own.
const KEYED_IDS_OF_SERVICES: &str = "SELECT id FROM pending WHERE concurrency_key IS NOT NULL
     AND service IN (SELECT id FROM service WHERE name IN";
const IDS_OF_SERVICES: &str = "SELECT service_index.id FROM service_index JOIN service AS named
     ON named.id = service_index.service WHERE named.name IN";

const HELD_IDS: &str = "SELECT id FROM pending INDEXED BY dead_letters
     WHERE due >= 9223372036854775807 AND awaited = 0";
const FAILED_IDS: &str = "SELECT id FROM outcome INDEXED BY failures WHERE state > 2 AND state = 3";
/// Those that ended without a response.
const UNANSWERED_IDS: &str = "SELECT id FROM outcome INDEXED BY failures WHERE state > 2";

/// How rows are read.
pub(super) struct Plan {
    pub(super) source: Source,
    pub(super) hint: Option<Hint>,
    /// The hint covers the ids from here on: earlier rows are read later.
    pub(super) from: Option<i64>,
}

/// A redundant condition for filters that match only a small part of the store: the ids of that part.
pub(super) struct Hint {
    pub(super) condition: String,
    pub(super) values: Vec<SqlValue>,
}

impl Plan {
    pub(super) fn hinted(hint: Hint) -> Self {
        Self {
            source: Source::Invocations,
            hint: Some(hint),
            from: None,
        }
    }
}

/// Plans how the rows that match a filter are read, with ids below `before`.
pub(super) fn plan(
    connection: &Connection,
    filter: &Filter,
    before: i64,
) -> rusqlite::Result<Plan> {
    let of = |source| {
        Ok(Plan {
            source,
            hint: None,
            from: None,
        })
    };
    if filter.parent.is_some() || filter.root.is_some() || filter.group.is_some() {
        return of(Source::Invocations);
    }
    if let Some(last) = last_of_principals(connection, filter, before, FEW)? {
        let (condition, values) = (last.condition, last.values);
        return Ok(Plan {
            from: last.from,
            ..Plan::hinted(Hint { condition, values })
        });
    }
    let all = |is: fn(&State) -> bool| !filter.states.is_empty() && filter.states.iter().all(is);
    let names_running = !filter.cids.is_empty() || filter.include_waiting;
    let names_others = names_running || filter.include_held;
    let is_open = all(|state| !state.is_terminal());
    if filter.held || (filter.dead_letter && is_open && !names_others) {
        return of(Source::Held);
    }
    if is_open
        && !names_others
        && (filter.services.is_empty() || are_few(connection, OPEN_IDS, &[])?)
    {
        return of(Source::Pending);
    }
    let is_unanswered = all(|state| state.is_terminal() && *state != State::Succeeded);
    if !names_others && is_unanswered {
        return of(Source::Failures);
    }
    if filter.dead_letter {
        return held_or(connection, FAILED_IDS, before);
    }
    if !names_running && is_unanswered {
        return held_or(connection, UNANSWERED_IDS, before);
    }
    if is_open && names_others && are_few(connection, OPEN_IDS, &[])? {
        return Ok(Plan::hinted(open_or_named(filter)));
    }
    let names = filter.services.iter();
    let names: Vec<_> = names.map(|name| SqlValue::Text(name.to_string())).collect();
    let placeholders = vec!["?"; names.len()].join(", ");
    let open_of_services = format!(
        "{OPEN_IDS_OF_SERVICES} ({placeholders})) UNION ALL {KEYED_IDS_OF_SERVICES} ({placeholders}))"
    );
    let named_twice = [names.as_slice(), &names].concat();
    let has_ended = !names_others && all(|state| state.is_terminal());
    if has_ended && (names.is_empty() || !are_few(connection, &open_of_services, &named_twice)?) {
        // In the index of a service, they are behind all of its pending ones.
        return of(Source::Outcomes);
    }
    if let [_] = filter.services.as_slice() {
        return of(Source::OfService);
    }
    if !filter.services.is_empty() {
        let ids = format!("{IDS_OF_SERVICES} ({placeholders})");
        if are_few(connection, &ids, &names)? {
            let condition = format!("invocation.id IN ({ids})");
            return Ok(Plan::hinted(Hint {
                condition,
                values: names,
            }));
        }
    }
    of(Source::Invocations)
}

/// The ids of open invocations, and of those that a filter names.
fn open_or_named(filter: &Filter) -> Hint {
    let cids = vec!["?"; filter.cids.len()].join(", ");
    let values = filter
        .cids
        .iter()
        .map(|cid| SqlValue::Blob(cid.as_bytes().to_vec()));
    Hint {
        condition: format!(
            "invocation.id IN ({OPEN_IDS} UNION ALL SELECT id FROM cid_index WHERE cid IN ({cids}))"
        ),
        values: values.collect(),
    }
}

/// The last [`FEW`] held and failed ones: neither table has all of them, and both have their ids in an index.
fn held_or(connection: &Connection, failed: &str, before: i64) -> rusqlite::Result<Plan> {
    let count = format!(
        "SELECT count(*), min(id) FROM ({HELD_IDS} AND id < ?1 UNION ALL {failed} AND id < ?1
         ORDER BY id DESC LIMIT {FEW})"
    );
    let mut count = connection.prepare_cached(&count)?;
    let (count, first) = count.query_row([before], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
    })?;
    let from = first.filter(|_| count == FEW);
    let range = [from.unwrap_or_default(), before].map(SqlValue::Integer);
    let values = [range.clone(), range].concat();
    let condition = format!(
        "invocation.id IN ({HELD_IDS} AND id >= ? AND id < ? UNION ALL {failed} AND id >= ? AND id < ?)"
    );
    Ok(Plan {
        from,
        ..Plan::hinted(Hint { condition, values })
    })
}

/// Whether a statement finds few ids. Reads no more than that.
fn are_few(connection: &Connection, ids: &str, values: &[SqlValue]) -> rusqlite::Result<bool> {
    let count = format!("SELECT count(*) <= {FEW} FROM ({ids} LIMIT {FEW} + 1)");
    connection.query_row(&count, rusqlite::params_from_iter(values), |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{Cid, ServiceName};
    use crate::store::sqlite::open::{SCHEMA, keep_plans};
    use crate::store::sqlite::queries::conditions::conditions;
    use crate::store::sqlite::queries::row::COLUMNS;

    /// A store with so many pending invocations.
    fn store(pending: i64) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        keep_plans(&connection).unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        let insert = "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < ?1)
             INSERT INTO pending (id, service, due, wake, generation) SELECT id, 1, 0, 0, 1 FROM n WHERE id <= ?1";
        connection.execute(insert, [pending]).unwrap();
        let insert = "INSERT INTO service (id, name) VALUES (1, 'a')";
        connection.execute(insert, []).unwrap();
        connection
    }

    /// Where a list begins, and the query plan of it.
    fn planned(filter: &Filter, pending: i64) -> (Source, String) {
        let connection = store(pending);
        let Plan { source, hint, .. } = plan(&connection, filter, i64::MAX).unwrap();
        let (mut conditions, mut values) = conditions(filter, false);
        conditions.push(format!("{} < ?", source.id()));
        values.push(SqlValue::Integer(i64::MAX));
        if let Some(hint) = hint {
            conditions.push(hint.condition);
            values.extend(hint.values);
        }
        values.push(SqlValue::Integer(20));
        let explain = format!("EXPLAIN QUERY PLAN {}", source.select(COLUMNS, &conditions));
        let mut explain = connection.prepare(&explain).unwrap();
        let rows = explain.query_map(rusqlite::params_from_iter(values), |row| row.get(3));
        let rows: Vec<String> = rows.unwrap().map(Result::unwrap).collect();
        (source, rows.join("; "))
    }

    fn of_states(states: &[State]) -> Filter {
        Filter {
            states: states.to_vec(),
            ..Filter::default()
        }
    }

    fn of_services(names: &[&str]) -> Filter {
        Filter {
            services: names
                .iter()
                .map(|name| ServiceName::parse(name).unwrap())
                .collect(),
            ..Filter::default()
        }
    }

    #[test]
    fn lists_begin_with_what_is_least_and_are_not_sorted() {
        let open = [false, true].map(|started| State::Pending { started });
        let of_parent = Filter {
            parent: Some(Cid::new()),
            ..Filter::default()
        };
        for (filter, expected, index) in [
            (
                Filter::default(),
                Source::Invocations,
                "SEARCH invocation USING INTEGER PRIMARY KEY (rowid<?)",
            ),
            (
                of_states(&[State::Failed]),
                Source::Failures,
                "SEARCH outcome USING INDEX failures (id<?)",
            ),
            (
                of_states(&[State::Failed, State::Expired]),
                Source::Failures,
                "INDEX failures (id<?)",
            ),
            (
                Filter {
                    services: of_services(&["a"]).services,
                    ..of_states(&[State::Succeeded, State::Failed])
                },
                Source::Outcomes,
                "SEARCH outcome USING INTEGER PRIMARY KEY (rowid<?)",
            ),
            (
                of_states(&open),
                Source::Pending,
                "SEARCH pending USING INTEGER PRIMARY KEY (rowid<?)",
            ),
            (
                of_services(&["a"]),
                Source::OfService,
                "SEARCH service_index USING PRIMARY KEY (service=? AND id<?)",
            ),
            (
                of_parent,
                Source::Invocations,
                "SEARCH invocation USING INDEX children (parent=? AND rowid<?)",
            ),
        ] {
            let (source, plan) = planned(&filter, FEW + 1);
            assert_eq!(source, expected, "{plan}");
            assert!(plan.contains(index), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }

    #[test]
    fn few_invocations_are_looked_up_by_their_ids() {
        let running = Filter {
            cids: vec![Cid::new()],
            include_waiting: true,
            ..Filter::default()
        };
        let (_, plan) = planned(&running, FEW + 1);
        assert!(
            plan.contains("cid_index USING PRIMARY KEY (cid=?)"),
            "{plan}"
        );
        assert!(plan.contains("INDEX awaited"), "{plan}");
        let open = Filter {
            states: vec![State::ACCEPTED],
            ..running
        };
        let is_looked_up = |filter: &Filter, pending| {
            let (_, plan) = planned(filter, pending);
            plan.contains("SEARCH invocation USING INTEGER PRIMARY KEY (rowid=?)")
        };
        assert!(is_looked_up(&open, FEW));
        assert!(!is_looked_up(&open, FEW + 1));
        assert!(is_looked_up(&of_services(&["a", "b"]), 0));
    }

    #[test]
    fn dead_letters_are_found_by_the_indexes_of_held_and_failed_ones() {
        let dead = Filter {
            dead_letter: true,
            ..Filter::default()
        };
        let to_retry = Filter {
            include_held: true,
            not_retried: true,
            ..of_states(&[State::Failed, State::Cancelled, State::Expired])
        };
        for filter in [&dead, &to_retry] {
            let (_, plan) = planned(filter, FEW + 1);
            for index in [
                "COVERING INDEX dead_letters (id>? AND id<?)",
                "COVERING INDEX failures (id>? AND id<?)",
                "SEARCH invocation USING INTEGER PRIMARY KEY (rowid=?)",
            ] {
                assert!(plan.contains(index), "{plan}");
            }
        }
        let open = Filter {
            states: vec![State::ACCEPTED],
            ..dead
        };
        let held = Filter {
            held: true,
            ..of_services(&["a"])
        };
        for filter in [open, held] {
            let (source, plan) = planned(&filter, FEW + 1);
            assert_eq!(source, Source::Held);
            assert!(plan.contains("INDEX dead_letters (id<?)"), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }

    /// A query reads so many of them, however many there are.
    #[test]
    fn dead_letters_are_looked_up_in_parts() {
        let connection = store(0);
        let insert = "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id <= ?1)
             INSERT INTO outcome (id, state, attempts, end_time, losses, cancel_requested, held, events)
             SELECT id, 3, 1, 0, 0, 0, 0, x'' FROM n";
        connection.execute(insert, [FEW]).unwrap();
        let insert =
            "INSERT INTO pending (id, service, due, wake, generation) VALUES (?1, 1, ?2, 0, 1)";
        connection.execute(insert, [FEW + 2, i64::MAX]).unwrap();
        let from = |before| held_or(&connection, FAILED_IDS, before).unwrap().from;
        assert_eq!(from(i64::MAX), Some(3));
        assert_eq!(from(FEW + 2), Some(2));
        assert_eq!(from(FEW), None);
    }
}
