//! A page of a list: its statement, and the rows that fit on it.

use rusqlite::types::Value as SqlValue;
use rusqlite::{Row, Statement};

use super::row::{COLUMNS, InvocationRow, NEXT_COLUMN, Readable, STATE_TABLES};
use crate::engine::store::LIST_PAGE_BYTES;

/// Where a list begins to read, in the order of the ids. `CROSS JOIN` keeps SQLite from beginning elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// All invocations, or an index of them.
    Invocations,
    /// All invocations, and no index.
    Scan,
    /// Those of one service.
    OfService,
    /// Those that have not ended.
    Pending,
    /// Those that have ended.
    Outcomes,
    /// Those that ended without a response.
    Failures,
}

impl Source {
    /// The column of the ids by which the list is read.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Invocations | Self::Scan => "invocation.id",
            Self::OfService => "service_index.id",
            Self::Pending => "pending.id",
            Self::Outcomes | Self::Failures => "outcome.id",
        }
    }

    /// The statement of a list with these conditions. Its last value is the number of rows.
    pub(super) fn select(self, conditions: &[String]) -> String {
        let invocation = format!("invocation ON invocation.id = {}", self.id());
        let of_row = "CROSS JOIN service ON service.id = invocation.service";
        let from_outcome = format!(
            "CROSS JOIN {invocation} LEFT JOIN pending ON pending.id = invocation.id {of_row}"
        );
        let from = match self {
            Self::Invocations => format!("invocation {STATE_TABLES} {of_row}"),
            Self::Scan => format!("invocation NOT INDEXED {STATE_TABLES} {of_row}"),
            Self::OfService => format!(
                "service CROSS JOIN service_index ON service_index.service = service.id
                 CROSS JOIN {invocation} {STATE_TABLES}"
            ),
            Self::Pending => format!(
                "pending CROSS JOIN {invocation} LEFT JOIN outcome ON outcome.id = invocation.id {of_row}"
            ),
            Self::Outcomes => format!("outcome {from_outcome}"),
            Self::Failures => format!("outcome INDEXED BY failures {from_outcome}"),
        };
        let conditions = conditions.join(" AND ");
        let is_failure = match self {
            Self::Failures => "outcome.state > 2 AND ",
            _ => "",
        };
        let id = self.id();
        format!(
            "SELECT {COLUMNS}, service.name, invocation.id FROM {from}
             WHERE {is_failure}{conditions} ORDER BY {id} DESC LIMIT ?"
        )
    }
}

/// A page of a list that is being read.
#[derive(Default)]
pub(super) struct PageRows {
    rows: Vec<(InvocationRow, String, i64)>,
    bytes: usize,
    max: usize,
    /// Where the next page begins, once this one is full.
    pub(super) next: Option<i64>,
}

impl PageRows {
    /// An empty page for `max` rows.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            ..Self::default()
        }
    }

    /// Decodes the rows.
    pub(super) fn decode(self, found: &mut Readable) {
        for (row, name, _) in self.rows {
            found.decode(row, &name, None);
        }
    }

    /// Adds a row, unless the page is full; returns whether it was added. The first one always fits.
    fn add(&mut self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let (name, id) = (row.get(NEXT_COLUMN)?, row.get(NEXT_COLUMN + 1)?);
        let found = InvocationRow::of(row)?;
        let bytes = self.bytes.saturating_add(found.bytes());
        if let Some(last) = self.last_id()
            && (self.rows.len() >= self.max || bytes > LIST_PAGE_BYTES)
        {
            self.next = Some(last);
            return Ok(false);
        }
        self.bytes = bytes;
        self.rows.push((found, name, id));
        Ok(true)
    }

    /// The id of the oldest row so far.
    pub(super) fn last_id(&self) -> Option<i64> {
        self.rows.last().map(|(.., id)| *id)
    }

    /// Reads the rows of a statement that fit on the page.
    pub(super) fn fill(
        &mut self,
        select: &mut Statement<'_>,
        mut values: Vec<SqlValue>,
    ) -> rusqlite::Result<()> {
        // One more, to know whether there is another page.
        let limit = self.max.saturating_sub(self.rows.len()).saturating_add(1);
        values.push(SqlValue::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let mut rows = select.query(rusqlite::params_from_iter(values))?;
        while let Some(row) = rows.next()?
            && self.add(row)?
        {}
        Ok(())
    }
}
