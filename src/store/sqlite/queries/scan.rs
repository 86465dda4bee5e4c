//! Reads the rows that match a filter. The newest invocations, which the indexes lack, are read one after another; the
//! rest as planned. Where the file is damaged, whatever can be read.

use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;

use super::conditions::conditions;
use super::part::{Part, Rows};
use super::plan::{Plan, plan};
use super::salvage::salvage;
use super::source::Source;
use crate::engine::store::Filter;
use crate::model::error::{Error, Result};
use crate::store::sqlite::error::{failed, is_damage};
use crate::store::sqlite::newest::SELECT_INDEXED;

/// Reads a part of the rows that match a filter, newest first, and returns where the next one begins, with the failure
/// if the file is damaged. `last_id`: the highest id that was given out.
pub(super) fn scan<R: Rows>(
    connection: &Connection,
    filter: &Filter,
    before: Option<u64>,
    last_id: i64,
    part: &mut Part<'_, R>,
) -> Result<(Option<u64>, Option<Error>)> {
    let before = before.and_then(|id| i64::try_from(id).ok());
    let before = before.unwrap_or(i64::MAX);
    let mut damage = None;
    match read(connection, filter, before, part) {
        Err(error) if is_damage(&error) => {
            damage = Some(failed(error));
            let before = part.last_id().unwrap_or(before);
            let before = before.min(last_id.saturating_add(1));
            salvage(connection, filter, before, part).map_err(failed)?;
        }
        read => read.map_err(failed)?,
    }
    part.finish()?;
    let next = part.next().and_then(|id| u64::try_from(id).ok());
    Ok((next, damage))
}

/// Reads the rows of a part from one state of the file.
fn read<R: Rows>(
    connection: &Connection,
    filter: &Filter,
    before: i64,
    part: &mut Part<'_, R>,
) -> rusqlite::Result<()> {
    let _snapshot = connection.unchecked_transaction()?;
    let indexed: i64 = connection
        .prepare_cached(SELECT_INDEXED)?
        .query_row([], |row| row.get(0))?;
    read_newest(connection, filter, (indexed, before), part)?;
    if part.next().is_some() {
        return Ok(());
    }
    let before = before.min(indexed.saturating_add(1));
    let Plan { source, hint, from } = plan(connection, filter, before)?;
    let (mut conditions, mut values) = conditions(filter, false);
    conditions.push(format!("{} < ?", source.id()));
    values.push(SqlValue::Integer(before));
    if let Some(hint) = hint {
        conditions.push(hint.condition);
        values.extend(hint.values);
    }
    let mut select = connection.prepare(&part.select(source, &conditions))?;
    part.fill(&mut select, values)?;
    if let Some(from) = from {
        part.end_at(from);
    }
    Ok(())
}

/// Reads those that the indexes lack.
fn read_newest<R: Rows>(
    connection: &Connection,
    filter: &Filter,
    (indexed, before): (i64, i64),
    part: &mut Part<'_, R>,
) -> rusqlite::Result<()> {
    let (mut conditions, mut values) = conditions(filter, true);
    conditions.push("invocation.id > ? AND invocation.id < ?".to_owned());
    values.extend([indexed, before].map(SqlValue::Integer));
    let mut select = connection.prepare(&part.select(Source::Scan, &conditions))?;
    part.fill(&mut select, values)
}
