//! The rows that match a filter, read newest first: as many of them as one query reads.

use rusqlite::types::Value as SqlValue;
use rusqlite::{Row, Statement};

use super::source::Source;
use crate::engine::store::Filter;
use crate::model::error::{Error, Result, reason};
use crate::store::blob;
use crate::store::cipher::BlobCipher;

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
    cipher: &'f BlobCipher,
    /// Why it is unknown whether a row matches: its key is missing.
    failure: Option<Error>,
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
    pub(super) fn new(filter: &'f Filter, rows: R, max: usize, cipher: &'f BlobCipher) -> Self {
        let left = match decides_by_blobs(filter) {
            true => MAX_DECODED,
            false => max,
        };
        Self {
            rows,
            filter,
            cipher,
            failure: None,
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
        let blobs = Blobs {
            cid: row.get_ref(R::WIDTH + 1)?.as_blob()?,
            request: row.get_ref(R::WIDTH + 2)?.as_blob()?,
            events: row.get_ref(R::WIDTH + 3)?.as_blob_or_null()?,
            last_failure: row.get_ref(R::WIDTH + 4)?.as_blob_or_null()?,
        };
        let bytes = blobs.request.len() + blobs.events.map_or(0, <[u8]>::len);
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        let matches = blobs.match_filter(self.filter, self.cipher);
        if let Err(error) = &matches
            && error.reason() == reason::STORE_KEY_MISSING
        {
            self.failure.get_or_insert_with(|| unmatched(error));
        }
        Ok(matches.unwrap_or_default())
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `STORE_KEY_MISSING`: whether one of its rows matches is unknown.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.failure.take().map_or(Ok(()), Err)
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

/// The blobs of a row that decide.
struct Blobs<'r> {
    cid: &'r [u8],
    request: &'r [u8],
    events: Option<&'r [u8]>,
    last_failure: Option<&'r [u8]>,
}

impl Blobs<'_> {
    fn match_filter(&self, filter: &Filter, cipher: &BlobCipher) -> Result<bool> {
        let cid = blob::cid(self.cid)?;
        if let Some(text) = &filter.failure_text {
            let (events, last_failure) = (self.events, self.last_failure);
            let message = blob::decode_failure_message(cid, events, last_failure, cipher)?;
            if !message.is_some_and(|message| text.is_in(&message)) {
                return Ok(false);
            }
        }
        Ok(filter.metadata.is_empty()
            || filter.matches_metadata(&blob::decode_metadata(cid, self.request, cipher)?))
    }
}

/// What is answered in place of a list that would silently lack some.
fn unmatched(error: &Error) -> Error {
    let message = format!(
        "{}; the filter reads the metadata or the failure of each invocation that its other terms leave: narrow these \
         to leave out those that cannot be read",
        error.message()
    );
    error.clone().with_message(message)
}

/// The columns with the blobs that decide.
const BLOBS: &str =
    ", invocation.cid, invocation.request, coalesce(outcome.events, pending.events),
     pending.last_failure";

/// Whether a filter has criteria that no column has.
fn decides_by_blobs(filter: &Filter) -> bool {
    !filter.metadata.is_empty() || filter.failure_text.is_some()
}
