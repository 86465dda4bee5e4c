//! The row of an invocation, and how it is decoded.

use std::sync::Arc;

use rusqlite::Row;

use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{AsyncCompletion, Event, Invocation};
use crate::model::token::TokenHash;
use crate::store::sqlite::blob;
use crate::store::sqlite::state_column::decode_state;

/// The columns that [`InvocationRow`] reads.
pub(super) const COLUMNS: &str =
    "cid, state, due, generation, losses, attempts, sequence, request, events, progress,
     last_failure, first_attempt_time, end_time, purge_time, cancel_requested, leads, later,
     awaited, open_members";
/// The index of the first column after them.
pub(super) const NEXT_COLUMN: usize = 19;

/// The row of an invocation, not decoded yet.
pub(super) struct InvocationRow {
    cid: Vec<u8>,
    state: i64,
    due: i64,
    generation: u32,
    crash_count: u32,
    attempts: u32,
    sequence: i64,
    request: Vec<u8>,
    events: Option<Vec<u8>>,
    progress: Option<Vec<u8>>,
    last_failure: Option<Vec<u8>>,
    first_attempt_time: Option<i64>,
    end_time: Option<i64>,
    purge_time: Option<i64>,
    cancel_requested: bool,
    is_head: bool,
    completion_token: Option<[u8; 32]>,
    is_waiting: bool,
    open_members: Option<u32>,
}

impl InvocationRow {
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            cid: row.get(0)?,
            state: row.get(1)?,
            due: row.get(2)?,
            generation: row.get(3)?,
            crash_count: row.get(4)?,
            attempts: row.get(5)?,
            sequence: row.get(6)?,
            request: row.get(7)?,
            events: row.get(8)?,
            progress: row.get(9)?,
            last_failure: row.get(10)?,
            first_attempt_time: row.get(11)?,
            end_time: row.get(12)?,
            purge_time: row.get(13)?,
            cancel_requested: row.get(14)?,
            is_head: row.get(15)?,
            completion_token: row.get(16)?,
            is_waiting: row.get(17)?,
            open_members: row.get(18)?,
        })
    }

    /// How many bytes its request and its events take.
    pub(super) fn bytes(&self) -> usize {
        self.request.len() + self.events.as_ref().map_or(0, Vec::len)
    }

    /// Decodes the row. `recovering`: the generation that was opened after the last unclean end.
    pub(super) fn decode(
        self,
        service: &ServiceName,
        recovering: Option<u32>,
    ) -> Result<Invocation> {
        let cid = blob::cid(&self.cid)?;
        let request = blob::decode_request(cid, service.clone(), &self.request)?;
        let sequence = u64::try_from(self.sequence).unwrap_or_default();
        let accepted = Event::accepted(&request, sequence);
        let mut events = vec![Arc::new(accepted)];
        events.extend(blob::decode_events(
            self.events.as_deref().unwrap_or_default(),
        )?);
        let progress = self
            .progress
            .as_deref()
            .map(blob::decode_progress)
            .transpose()?;
        let state = decode_state(self.state)?;
        let last_failure = self.last_failure.as_deref();
        let last_failure = last_failure.map(blob::decode_last_failure).transpose()?;
        let (last_failure, deferred) = last_failure.unzip();
        let deferred = deferred.unwrap_or_default();
        Ok(Invocation {
            request: Arc::new(request),
            state,
            key_busy: !self.is_head && !state.is_terminal(),
            attempts: self.attempts,
            due: blob::timestamp(self.due),
            first_attempt_time: self.first_attempt_time.map(blob::timestamp),
            end_time: self.end_time.map(blob::timestamp),
            purge_time: self.purge_time.map(blob::timestamp),
            progress: progress.map(Arc::new),
            last_failure,
            deferred,
            events,
            crash_count: self.crash_count,
            cancel_requested: self.cancel_requested,
            completion: self.completion_token.map(|token| AsyncCompletion {
                token: TokenHash(token),
                pending: self.is_waiting,
            }),
            open_members: self.open_members.unwrap_or_default(),
            recovered: recovering.is_some_and(|generation| self.generation < generation),
        })
    }
}

/// Decodes rows. Those that are damaged do not fail the others: their CIDs are returned separately.
pub(super) fn decode_rows(
    rows: impl IntoIterator<Item = (InvocationRow, ServiceName)>,
    recovering: Option<u32>,
) -> (Vec<Invocation>, Vec<Cid>) {
    let (mut decoded, mut damaged) = (Vec::new(), Vec::new());
    for (row, service) in rows {
        let cid = blob::cid(&row.cid);
        match row.decode(&service, recovering) {
            Ok(invocation) => decoded.push(invocation),
            Err(error) => {
                let name = cid.as_ref().map(ToString::to_string).unwrap_or_default();
                tracing::error!(cid = name, %error, "cannot decode an invocation; skipping it");
                damaged.extend(cid);
            }
        }
    }
    (decoded, damaged)
}

/// Parses the names of services beside rows.
pub(super) fn with_services(
    rows: Vec<(InvocationRow, String)>,
) -> Result<Vec<(InvocationRow, ServiceName)>> {
    let rows = rows.into_iter();
    let rows = rows.map(|(found, name)| Ok((found, ServiceName::from_record(&name)?)));
    rows.collect()
}
