//! The row of an invocation, and how it is decoded.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::model::error::{Error, Result};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{AsyncCompletion, Event, Invocation};
use crate::model::token::TokenHash;
use crate::store::blob;
use crate::store::cipher::BlobCipher;
use crate::store::sqlite::error::{failed, is_damage};
use crate::store::state_column::decode_state;

/// The columns that [`InvocationRow`] reads from [`STATE_TABLES`] and `invocation`.
pub(super) const COLUMNS: &str =
    "invocation.cid, coalesce(outcome.state, pending.started, 0),
     coalesce(outcome.due, pending.due, invocation.accept_time), pending.generation,
     coalesce(outcome.losses, pending.losses, 0), coalesce(outcome.attempts, pending.attempts, 0),
     invocation.sequence, invocation.request, coalesce(outcome.events, pending.events),
     coalesce(outcome.progress, pending.progress), pending.last_failure,
     coalesce(outcome.first_attempt_time, pending.first_attempt_time), outcome.end_time, outcome.purge_time,
     coalesce(outcome.cancel_requested, pending.cancel_requested, 0), coalesce(pending.leads, 1),
     coalesce(outcome.later, pending.later), coalesce(pending.awaited, 0),
     coalesce(outcome.open_members, pending.open_members), invocation.accept_time,
     CASE WHEN outcome.state > 2 THEN (SELECT retried_as FROM retry WHERE retry.id = outcome.id) END";
/// The index of the first column after them.
pub(super) const NEXT_COLUMN: usize = 21;

/// The tables of the state of an invocation, joined to it.
pub(super) const STATE_TABLES: &str = "LEFT JOIN outcome ON outcome.id = invocation.id
     LEFT JOIN pending ON pending.id = invocation.id";

/// How many bytes the request, the events and the progress of an invocation have. `length` reads the header of a row,
/// and not its blobs.
pub(super) const BYTES: &str =
    "length(request) + ifnull(length(coalesce(outcome.events, pending.events)), 0)
     + ifnull(length(coalesce(outcome.progress, pending.progress)), 0)";

/// Roughly how many bytes a row takes on a page of a list without its blobs: CIDs, times and names.
const ENVELOPE_BYTES: usize = 512;

/// What rows are decoded with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoder<'c> {
    pub(super) cipher: &'c BlobCipher,
    /// For claims: the generation that was opened after the last unclean end.
    pub(super) recovering: Option<u32>,
}

impl<'c> Decoder<'c> {
    /// For others than claims.
    pub(super) fn of(cipher: &'c BlobCipher) -> Self {
        Self {
            cipher,
            recovering: None,
        }
    }
}

/// The row of an invocation, not decoded yet.
pub(super) struct InvocationRow {
    cid: Vec<u8>,
    state: i64,
    due: i64,
    /// `None` if it was accepted since the store was opened, and not attempted; or if it has ended.
    generation: Option<u32>,
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
    accept_time: i64,
    retried_as: Option<Vec<u8>>,
}

impl InvocationRow {
    /// Its CID; `None` if that is damaged.
    pub(super) fn cid(&self) -> Option<Cid> {
        blob::cid(&self.cid).ok()
    }

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
            accept_time: row.get(19)?,
            retried_as: row.get(20)?,
        })
    }

    /// Whether it has not ended.
    pub(super) fn is_open(&self) -> bool {
        self.state < 2
    }

    /// Roughly how many bytes it takes on a page of a list.
    pub(super) fn bytes(&self) -> usize {
        let blobs = [&self.events, &self.progress, &self.last_failure];
        let blobs = blobs.into_iter().flatten().map(Vec::len);
        ENVELOPE_BYTES + self.request.len() + blobs.sum::<usize>()
    }

    /// Decodes the row.
    pub(super) fn decode(self, service: &ServiceName, decoder: Decoder<'_>) -> Result<Invocation> {
        let Decoder { cipher, recovering } = decoder;
        let (cid, service) = (blob::cid(&self.cid)?, service.clone());
        let request = blob::decode_request(cid, service, self.accept_time, &self.request, cipher)?;
        let sequence = u64::try_from(self.sequence).unwrap_or_default();
        let accepted = Event::accepted(&request, sequence);
        let mut events = vec![Arc::new(accepted)];
        let stored = self.events.as_deref().unwrap_or_default();
        events.extend(blob::decode_events(cid, stored, cipher)?);
        let progress = self.progress.as_deref();
        let progress = progress.map(|progress| blob::decode_progress(cid, progress, cipher));
        let progress = progress.transpose()?;
        let state = decode_state(self.state)?;
        let last_failure = self.last_failure.as_deref();
        let last_failure = blob::decode_last_failure(cid, last_failure, cipher)?;
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
            last_failure: last_failure.error,
            deferred: last_failure.deferred,
            events,
            crash_count: self.crash_count,
            // The opened store sets it.
            generation: 0,
            cancel_requested: self.cancel_requested,
            cancel_reason: last_failure.cancel_reason,
            completion: self.completion_token.map(|token| AsyncCompletion {
                token: TokenHash(token),
                pending: self.is_waiting,
            }),
            open_members: self.open_members.unwrap_or_default(),
            retried_as: self.retried_as.as_deref().map(blob::cid).transpose()?,
            recovered: recovering
                .zip(self.generation)
                .is_some_and(|(recovering, generation)| generation < recovering),
        })
    }
}

/// Invocations that were read, and what could not be read of the others.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct Readable {
    pub(in crate::store::sqlite) invocations: Vec<Invocation>,
    /// The failures of the others, each with the CID if that is known.
    pub(in crate::store::sqlite) damaged: Vec<Error>,
}

impl Readable {
    /// Decodes a row.
    pub(super) fn decode(&mut self, row: InvocationRow, service: &str, decoder: Decoder<'_>) {
        let cid = blob::cid(&row.cid);
        let decoded =
            ServiceName::from_record(service).and_then(|service| row.decode(&service, decoder));
        match decoded {
            Ok(invocation) => self.invocations.push(invocation),
            Err(error) => self.damaged.push(match cid {
                Ok(cid) => error.with_cid(cid),
                Err(_) => error,
            }),
        }
    }

    /// Reads the row with an id on its own, with the name of its service and its concurrency key, so that a damaged
    /// page fails no other row; `None` if it is damaged, or gone.
    pub(super) fn read_row(
        &mut self,
        connection: &Connection,
        id: i64,
    ) -> rusqlite::Result<Option<(InvocationRow, String, Option<String>)>> {
        let select = format!(
            "SELECT {COLUMNS}, service.name, pending.concurrency_key FROM invocation {STATE_TABLES}
             JOIN service ON service.id = invocation.service WHERE invocation.id = ?1"
        );
        let mut select = connection.prepare_cached(&select)?;
        let found = select.query_row([id], |row| {
            let (name, key) = (row.get(NEXT_COLUMN)?, row.get(NEXT_COLUMN + 1)?);
            Ok((InvocationRow::of(row)?, name, key))
        });
        match found.optional() {
            Err(error) if is_damage(&error) => {
                self.damaged.push(failed(error));
                Ok(None)
            }
            found => found,
        }
    }
}
