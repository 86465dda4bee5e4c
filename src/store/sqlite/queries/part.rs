//! The rows that match a filter, read newest first: as many of them as one query reads.

use rusqlite::types::Value as SqlValue;
use rusqlite::{Row, Statement};

use super::source::Source;
use crate::engine::store::Filter;
use crate::store::sqlite::blob;

/// How many rows one query reads whose blobs decide whether they match.
const MAX_DECODED: usize = 20_000;
/// How many bytes these blobs have, roughly.
const MAX_DECODED_BYTES: usize = 64 << 20;

/// What is made of the rows.
pub(super) trait Rows {
    /// How many columns it reads.
    const WIDTH: usize;

    /// The columns that it reads. The id follows them.
    fn columns() -> String;

    /// Adds a row, unless there are enough; returns whether it was added. The first one always is.
    fn add(&mut self, row: &Row<'_>) -> rusqlite::Result<bool>;
}

/// A part of the rows that is being read.
pub(super) struct Part<'f, R> {
    pub(super) rows: R,
    filter: &'f Filter,
    /// How many rows it still reads, and how many bytes of their blobs.
    left: usize,
    bytes_left: usize,
    /// The id of the last row that was read.
    last_id: Option<i64>,
    /// Where the next part begins, once this one has all that it reads.
    next: Option<i64>,
}

impl<'f, R: Rows> Part<'f, R> {
    /// An empty part of at most `max` rows.
    pub(super) fn new(filter: &'f Filter, rows: R, max: usize) -> Self {
        let left = match decides_by_blobs(filter) {
            true => MAX_DECODED,
            false => max,
        };
        Self {
            rows,
            filter,
            left: left.max(1),
            bytes_left: MAX_DECODED_BYTES,
            last_id: None,
            next: None,
        }
    }

    /// The statement that reads it.
    pub(super) fn select(&self, source: Source, conditions: &[String]) -> String {
        let mut columns = format!("{}, invocation.id", R::columns());
        if decides_by_blobs(self.filter) {
            columns.push_str(BLOBS);
        }
        source.select(&columns, conditions)
    }

    /// Reads the rows of a statement that belong to it.
    pub(super) fn fill(
        &mut self,
        select: &mut Statement<'_>,
        mut values: Vec<SqlValue>,
    ) -> rusqlite::Result<()> {
        // One more, to know whether there is another part.
        let limit = i64::try_from(self.left.saturating_add(1)).unwrap_or(i64::MAX);
        values.push(SqlValue::Integer(limit));
        let mut rows = select.query(rusqlite::params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let id = row.get(R::WIDTH)?;
            let is_over = self.left == 0 || self.bytes_left == 0;
            if is_over || (self.matches(row)? && !self.rows.add(row)?) {
                self.next = self.last_id;
                return Ok(());
            }
            self.left -= 1;
            self.last_id = Some(id);
        }
        Ok(())
    }

    /// Whether the blobs of a row match. Those that are damaged do not.
    fn matches(&mut self, row: &Row<'_>) -> rusqlite::Result<bool> {
        if !decides_by_blobs(self.filter) {
            return Ok(true);
        }
        let request = row.get_ref(R::WIDTH + 1)?.as_blob()?;
        let events = row.get_ref(R::WIDTH + 2)?.as_blob_or_null()?;
        let last_failure = row.get_ref(R::WIDTH + 3)?.as_blob_or_null()?;
        let bytes = request.len() + events.map_or(0, <[u8]>::len);
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        let text = self.filter.failure_text.as_ref();
        let has_text = text.is_none_or(|text| {
            let message = blob::decode_failure_message(events, last_failure);
            message.is_ok_and(|message| message.is_some_and(|message| text.is_in(&message)))
        });
        let has_metadata = || {
            self.filter.metadata.is_empty()
                || blob::decode_metadata(request)
                    .is_ok_and(|metadata| self.filter.matches_metadata(&metadata))
        };
        Ok(has_text && has_metadata())
    }

    /// The id of the last row that was read.
    pub(super) fn last_id(&self) -> Option<i64> {
        self.last_id
    }

    /// Where the next part begins, once this one has all that it reads.
    pub(super) fn next(&self) -> Option<i64> {
        self.next
    }

    /// Ends the part: rows with ids below `id` belong to the next one.
    pub(super) fn end_at(&mut self, id: i64) {
        self.next.get_or_insert(id);
    }
}

/// The columns with the blobs that decide.
const BLOBS: &str =
    ", invocation.request, coalesce(outcome.events, pending.events), pending.last_failure";

/// Whether a filter has criteria that no column has.
fn decides_by_blobs(filter: &Filter) -> bool {
    !filter.metadata.is_empty() || filter.failure_text.is_some()
}
