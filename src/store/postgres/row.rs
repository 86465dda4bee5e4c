//! The row of an invocation, and how it is decoded.

use std::sync::Arc;

use tokio_postgres::Row;
use uuid::Uuid;

use super::error::Failed;
use super::new_rows::cid;
use super::services::Services;
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::invocation::{AsyncCompletion, Event, Invocation};
use crate::model::token::TokenHash;
use crate::store::blob;
use crate::store::cipher::BlobCipher;
use crate::store::state_column::decode_state;

/// The columns that [`decode`] reads, of `invocation` and the tables of its state.
macro_rules! columns {
    () => {
        "invocation.cid, invocation.service, invocation.accept_time, invocation.sequence, invocation.request,
         coalesce(outcome.state, pending.started, 0::smallint),
         coalesce(outcome.due, pending.due, invocation.accept_time),
         coalesce(outcome.claim, pending.claim, 0), coalesce(pending.session, 0),
         coalesce(outcome.losses, pending.losses, 0), coalesce(outcome.attempts, pending.attempts, 0),
         coalesce(outcome.events, pending.events), coalesce(outcome.progress, pending.progress),
         pending.last_failure, coalesce(outcome.first_attempt_time, pending.first_attempt_time),
         outcome.end_time, outcome.purge_time,
         coalesce(outcome.cancel_requested, pending.cancel_requested, false),
         coalesce(pending.leads, true), coalesce(outcome.later, pending.later),
         coalesce(pending.awaited, false), coalesce(outcome.open_members, pending.open_members),
         coalesce(pending.recovered, false),
         CASE WHEN outcome.state > 2 THEN (SELECT retried_as FROM retry WHERE retry.id = outcome.id) END"
    };
}

/// The tables of the state of an invocation, joined to it.
macro_rules! state_tables {
    () => {
        "LEFT JOIN outcome ON outcome.id = invocation.id LEFT JOIN pending ON pending.id = invocation.id"
    };
}

pub(super) use {columns, state_tables};

/// Roughly how many bytes a row takes on a page of a list without its blobs.
const ENVELOPE_BYTES: usize = 512;

/// Whether an invocation is read by the holder of its claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadBy {
    /// It was claimed just now.
    Claim,
    Anyone,
}

/// Roughly how many bytes a row takes on a page of a list.
pub(super) fn bytes(row: &Row) -> Result<usize, Failed> {
    let mut bytes = ENVELOPE_BYTES;
    for column in [4, 11, 12, 13] {
        bytes += row
            .try_get::<_, Option<&[u8]>>(column)?
            .map_or(0, <[u8]>::len);
    }
    Ok(bytes)
}

/// Decodes a row of [`columns`]. The inner error: it is damaged.
pub(super) fn decode(
    row: &Row,
    services: &Services,
    cipher: &BlobCipher,
    read_by: ReadBy,
) -> Result<Result<Invocation>, Failed> {
    let named = cid(row.try_get(0)?);
    let columns = Columns::of(row)?;
    let decoded = columns.decode(named, services, cipher, read_by);
    Ok(decoded.map_err(|error| error.with_cid(named)))
}

/// The columns of a row.
struct Columns<'r> {
    service: i32,
    accept_time: i64,
    sequence: i64,
    request: &'r [u8],
    state: i16,
    due: i64,
    claim: i64,
    losses: i32,
    attempts: i32,
    events: Option<&'r [u8]>,
    progress: Option<&'r [u8]>,
    last_failure: Option<&'r [u8]>,
    first_attempt_time: Option<i64>,
    end_time: Option<i64>,
    purge_time: Option<i64>,
    cancel_requested: bool,
    leads: bool,
    later: Option<&'r [u8]>,
    awaited: bool,
    open_members: Option<i32>,
    recovered: bool,
    retried_as: Option<Uuid>,
}

impl<'r> Columns<'r> {
    fn of(row: &'r Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            service: row.try_get(1)?,
            accept_time: row.try_get(2)?,
            sequence: row.try_get(3)?,
            request: row.try_get(4)?,
            state: row.try_get(5)?,
            due: row.try_get(6)?,
            claim: row.try_get(7)?,
            losses: row.try_get(9)?,
            attempts: row.try_get(10)?,
            events: row.try_get(11)?,
            progress: row.try_get(12)?,
            last_failure: row.try_get(13)?,
            first_attempt_time: row.try_get(14)?,
            end_time: row.try_get(15)?,
            purge_time: row.try_get(16)?,
            cancel_requested: row.try_get(17)?,
            leads: row.try_get(18)?,
            later: row.try_get(19)?,
            awaited: row.try_get(20)?,
            open_members: row.try_get(21)?,
            recovered: row.try_get(22)?,
            retried_as: row.try_get(23)?,
        })
    }

    fn decode(
        self,
        named: Cid,
        services: &Services,
        cipher: &BlobCipher,
        read_by: ReadBy,
    ) -> Result<Invocation> {
        let service = services.name(self.service);
        let service = service.ok_or_else(|| blob::damaged("a service without a name"))?;
        let request = blob::decode_request(named, service, self.accept_time, self.request, cipher)?;
        let accepted = Event::accepted(&request, u64::try_from(self.sequence).unwrap_or_default());
        let mut events = vec![Arc::new(accepted)];
        let stored = self.events.unwrap_or_default();
        events.extend(blob::decode_events(named, stored, cipher)?);
        let progress = self.progress;
        let progress = progress.map(|progress| blob::decode_progress(named, progress, cipher));
        let state = decode_state(self.state.into())?;
        let last_failure = blob::decode_last_failure(named, self.last_failure, cipher)?;
        let next_claim = match read_by {
            ReadBy::Claim => self.claim,
            ReadBy::Anyone => self.claim.saturating_add(1),
        };
        let count = |count: i32| u32::try_from(count).unwrap_or_default();
        let completion = self.later.map(|token| match <[u8; 32]>::try_from(token) {
            Ok(token) => Ok(AsyncCompletion {
                token: TokenHash(token),
                pending: self.awaited,
            }),
            Err(_) => Err(blob::damaged("a completion token")),
        });
        Ok(Invocation {
            request: Arc::new(request),
            state,
            key_busy: !self.leads && !state.is_terminal(),
            attempts: count(self.attempts),
            due: blob::timestamp(self.due),
            first_attempt_time: self.first_attempt_time.map(blob::timestamp),
            end_time: self.end_time.map(blob::timestamp),
            purge_time: self.purge_time.map(blob::timestamp),
            progress: progress.transpose()?.map(Arc::new),
            last_failure: last_failure.error,
            deferred: last_failure.deferred,
            events,
            crash_count: count(self.losses),
            generation: u32::try_from(next_claim).unwrap_or(u32::MAX),
            cancel_requested: self.cancel_requested,
            cancel_reason: last_failure.cancel_reason,
            completion: completion.transpose()?,
            open_members: self.open_members.map(count).unwrap_or_default(),
            retried_as: self.retried_as.map(cid),
            recovered: self.recovered,
        })
    }
}

/// Decodes rows, and leaves out those that are damaged, which are logged.
pub(super) fn decode_all<'r>(
    rows: impl IntoIterator<Item = &'r Row>,
    services: &Services,
    cipher: &BlobCipher,
    read_by: ReadBy,
) -> Result<Vec<Invocation>, Failed> {
    let mut invocations = Vec::new();
    for row in rows {
        match decode(row, services, cipher, read_by)? {
            Ok(invocation) => invocations.push(invocation),
            Err(error) => log_damage(&error),
        }
    }
    Ok(invocations)
}

/// Logs that an invocation cannot be read.
pub(super) fn log_damage(error: &Error) {
    match error.cid() {
        Some(cid) => tracing::error!(%cid, %error, "cannot read an invocation"),
        None => tracing::error!(%error, "cannot read an invocation"),
    }
}
