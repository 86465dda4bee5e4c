//! Lists and summaries of a damaged file: reads what can be read.
//!
//! SQLite ends a statement at the first page that it refuses. The rest is then read without indexes, in
//! ranges of ids: a range with a damaged page is halved, down to the single ids that cannot be read, which are skipped.

use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;

use super::conditions::conditions;
use super::part::{Part, Rows};
use super::source::Source;
use crate::engine::store::Filter;
use crate::store::sqlite::error::is_damage;

/// How many statements one part takes at most; the next one continues where this one ended. About three for each
/// invocation on a damaged page.
const MAX_STATEMENTS: usize = 10_000;

/// Adds the readable invocations with ids below `before` that match a filter, newest first.
///
/// # Errors
///
/// Any error of SQLite other than damage.
pub(super) fn salvage<R: Rows>(
    connection: &Connection,
    filter: &Filter,
    before: i64,
    part: &mut Part<'_, R>,
) -> rusqlite::Result<()> {
    let (mut conditions, values) = conditions(filter, true);
    // Both ends are included: a search for an id beyond the range could lead to a damaged page.
    conditions.push("invocation.id BETWEEN ? AND ?".to_owned());
    let mut select = connection.prepare(&part.select(Source::Scan, &conditions))?;
    let mut end = before;
    let mut size = 1;
    for _ in 0..MAX_STATEMENTS {
        if end <= 1 || part.next().is_some() {
            return Ok(());
        }
        let start = end.saturating_sub(size).max(1);
        let range = [start, end - 1].map(SqlValue::Integer);
        let values = values.iter().cloned().chain(range).collect();
        match part.fill(&mut select, values) {
            Ok(()) => {
                end = start;
                size = size.saturating_mul(2);
            }
            Err(error) if !is_damage(&error) => return Err(error),
            // One id, which cannot be read.
            Err(_) if size == 1 => {
                end = start;
                size = 2;
            }
            Err(_) => {
                // Newer ones of the range may have been read.
                end = part.last_id().map_or(end, |last| last.min(end));
                size = (end - start).min(size) / 2;
                size = size.max(1);
            }
        }
    }
    part.end_at(end);
    Ok(())
}
