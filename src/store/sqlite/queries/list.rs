//! Lists: pages of the invocations that match a filter, newest first.

use rusqlite::{Connection, Row};

use super::part::{Part, Rows};
use super::row::{COLUMNS, Decoder, InvocationRow, NEXT_COLUMN, Readable};
use super::scan::scan;
use crate::engine::store::{Filter, PageSize};
use crate::model::error::Result;
use crate::store::cipher::BlobCipher;

/// Reads a page of invocations that match a filter, newest first, and where the next one begins. `last_id`: the highest
/// id that was given out.
pub(in crate::store::sqlite) fn list(
    connection: &Connection,
    filter: &Filter,
    before: Option<u64>,
    size: PageSize,
    last_id: i64,
    cipher: &BlobCipher,
) -> Result<(Readable, Option<u64>)> {
    let page = PageRows {
        rows: Vec::new(),
        bytes: 0,
        size,
    };
    let mut part = Part::new(filter, page, size.invocations, cipher);
    let (next, damage) = scan(connection, filter, before, last_id, &mut part)?;
    let mut found = Readable::default();
    found.damaged.extend(damage);
    for (row, name) in part.rows.rows {
        found.decode(row, &name, Decoder::of(cipher));
    }
    Ok((found, next))
}

/// A page of a list that is being read.
struct PageRows {
    /// Each with the name of its service.
    rows: Vec<(InvocationRow, String)>,
    bytes: usize,
    size: PageSize,
}

impl Rows for PageRows {
    const WIDTH: usize = NEXT_COLUMN + 1;

    fn columns() -> String {
        format!("{COLUMNS}, service.name")
    }

    fn add(&mut self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let name = row.get(NEXT_COLUMN)?;
        let found = InvocationRow::of(row)?;
        let bytes = self.bytes.saturating_add(found.bytes());
        let is_full = self.rows.len() >= self.size.invocations || bytes > self.size.bytes;
        if is_full && !self.rows.is_empty() {
            return Ok(false);
        }
        self.bytes = bytes;
        self.rows.push((found, name));
        Ok(true)
    }
}
