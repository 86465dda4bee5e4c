//! The last invocations of principals: lists by principals begin with them.

use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;

use super::conditions::owned_by;
use crate::engine::store::Filter;

/// Of more principals, all invocations are read.
const MAX_NAMES: usize = 16;

/// The last invocations of principals, as a condition on rows.
pub(super) struct LastOfPrincipals {
    pub(super) condition: String,
    pub(super) values: Vec<SqlValue>,
    /// They have the ids from here on; `None` if these are all.
    pub(super) from: Option<i64>,
}

/// The last `max` invocations of each of the principals that a filter names, with ids below `before`. `None` for a
/// filter that names none, or many.
pub(super) fn last_of_principals(
    connection: &Connection,
    filter: &Filter,
    before: i64,
    max: i64,
) -> rusqlite::Result<Option<LastOfPrincipals>> {
    let named: Vec<_> = match &filter.owners {
        Some(owners) => owned_by(owners).collect(),
        None if filter.principals.len() > MAX_NAMES => return Ok(None),
        None => filter
            .principals
            .iter()
            .map(|it| ("principal", it))
            .collect(),
    };
    if named.is_empty() {
        return Ok(None);
    }
    let (mut from, mut parts, mut values) = (0, Vec::new(), Vec::new());
    for (column, name) in &named {
        from = from.max(first_of_last(
            connection,
            column,
            name.as_str(),
            before,
            max,
        )?);
    }
    for (column, name) in named {
        let ids = ids_of(column);
        parts.push(format!("{ids} AND id >= ? AND id < ?"));
        values.push(SqlValue::Text(name.to_string()));
        values.extend([from, before].map(SqlValue::Integer));
    }
    let condition = format!("invocation.id IN ({})", parts.join(" UNION ALL "));
    Ok(Some(LastOfPrincipals {
        condition,
        values,
        from: (from > 0).then_some(from),
    }))
}

fn ids_of(column: &str) -> String {
    format!("SELECT id FROM invocation WHERE {column} = (SELECT id FROM principal WHERE name = ?)")
}

/// The id of the first of the last `max` invocations of a principal; 0 if it has fewer.
fn first_of_last(
    connection: &Connection,
    column: &str,
    name: &str,
    before: i64,
    max: i64,
) -> rusqlite::Result<i64> {
    let select = format!(
        "SELECT CASE count(*) WHEN {max} THEN min(id) ELSE 0 END FROM
         ({} AND id < ? ORDER BY id DESC LIMIT {max})",
        ids_of(column)
    );
    let mut select = connection.prepare_cached(&select)?;
    select.query_row(rusqlite::params![name, before], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::open::SCHEMA;

    #[test]
    fn the_invocations_of_a_principal_are_found_by_an_index_that_also_sorts_them() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        for (column, index) in [
            ("principal", "asked"),
            ("owner", "owned"),
            ("owner_group", "owned_by_group"),
        ] {
            let explain = format!(
                "EXPLAIN QUERY PLAN {} AND id < ? ORDER BY id DESC LIMIT 10",
                ids_of(column)
            );
            let mut explain = connection.prepare(&explain).unwrap();
            let rows = explain.query_map(rusqlite::params!["x", 9], |row| row.get::<_, String>(3));
            let plan: Vec<_> = rows.unwrap().map(|row| row.unwrap()).collect();
            let plan = plan.join("; ");
            assert!(plan.contains(&format!("INDEX {index} (")), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
