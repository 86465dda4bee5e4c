//! Events: starts, items, retries and the outcome, one after another in a single blob.

use std::sync::Arc;

use prost::Message;

use super::failure::{
    FailureBlob, FailureMessageBlob, decode_last_failure_message, from_failure, to_failure,
};
use super::payload::{PayloadBlob, from_payload, to_payload};
use super::scalars::{PairBlob, damaged, metadata, nanos, pairs, timestamp};
use crate::model::error::Result;
use crate::model::invocation::{Event, EventKind};
use crate::model::payload::Reply;

#[derive(Clone, PartialEq, Message)]
struct EventBlob {
    /// 0: one more than that of the event before it.
    #[prost(uint64, tag = "1")]
    sequence: u64,
    /// 0: that of the event before it.
    #[prost(uint32, tag = "2")]
    attempt: u32,
    #[prost(sint64, tag = "3")]
    time: i64,
    /// 1 started, 2 item, 3 retry scheduled, 4 succeeded, 5 failed, 6 cancelled, 7 expired.
    #[prost(uint32, tag = "4")]
    kind: u32,
    /// Items and responses.
    #[prost(message, optional, tag = "5")]
    payload: Option<PayloadBlob>,
    /// Responses.
    #[prost(message, repeated, tag = "6")]
    metadata: Vec<PairBlob>,
    #[prost(message, optional, tag = "7")]
    failure: Option<FailureBlob>,
    /// Retries.
    #[prost(sint64, tag = "8")]
    due: i64,
    /// Starts.
    #[prost(string, tag = "9")]
    worker: String,
}

/// Appends length-delimited events to a blob. `Accepted` is left out: the columns of the row contain all of it.
pub(in crate::store::sqlite) fn append_events(
    blob: &mut Vec<u8>,
    events: &[Arc<Event>],
) -> Result<()> {
    let mut last: Option<&Event> = None;
    for event in events {
        let follows = last.is_some_and(|last| last.sequence.checked_add(1) == Some(event.sequence));
        let is_same = last.is_some_and(|last| last.attempt == event.attempt);
        let mut message = EventBlob {
            sequence: if follows { 0 } else { event.sequence },
            attempt: if is_same { 0 } else { event.attempt },
            time: nanos(event.time),
            ..EventBlob::default()
        };
        match &event.kind {
            EventKind::Accepted { .. } => continue,
            EventKind::Started { worker } => {
                message.kind = 1;
                message.worker.clone_from(worker);
            }
            EventKind::Item(item) => {
                message.kind = 2;
                message.payload = Some(to_payload(item)?);
            }
            EventKind::RetryScheduled { failure, due } => {
                message.kind = 3;
                message.failure = Some(to_failure(failure));
                message.due = nanos(*due);
            }
            EventKind::Succeeded(reply) => {
                message.kind = 4;
                message.payload = Some(to_payload(&reply.payload)?);
                message.metadata = pairs(&reply.metadata);
            }
            EventKind::Failed(error) => {
                (message.kind, message.failure) = (5, Some(to_failure(error)))
            }
            EventKind::Cancelled(error) => {
                (message.kind, message.failure) = (6, Some(to_failure(error)))
            }
            EventKind::Expired(error) => {
                (message.kind, message.failure) = (7, Some(to_failure(error)))
            }
        }
        message.encode_length_delimited(blob).map_err(damaged)?;
        last = Some(event.as_ref());
    }
    Ok(())
}

/// The failure in an event: the rest is skipped, not decoded.
#[derive(Clone, PartialEq, Message)]
struct FailedEventBlob {
    #[prost(message, optional, tag = "7")]
    failure: Option<FailureMessageBlob>,
}

/// Decodes the message of the last failure: that of the last event or, if that has none, that of the column
/// `last_failure`. `None` if nothing has failed.
pub(in crate::store::sqlite) fn decode_failure_message(
    events: Option<&[u8]>,
    last_failure: Option<&[u8]>,
) -> Result<Option<String>> {
    let (mut rest, mut last) = (events.unwrap_or_default(), None);
    while !rest.is_empty() {
        let length = prost::decode_length_delimiter(&mut rest).map_err(damaged)?;
        let (event, behind) = rest
            .split_at_checked(length)
            .ok_or_else(|| damaged("an event that is cut off"))?;
        (last, rest) = (Some(event), behind);
    }
    let event = last.map(FailedEventBlob::decode).transpose();
    match event.map_err(damaged)?.and_then(|event| event.failure) {
        Some(failure) => Ok(Some(failure.message)),
        None => last_failure.map_or(Ok(None), decode_last_failure_message),
    }
}

/// Decodes the events of a blob, in order.
pub(in crate::store::sqlite) fn decode_events(mut blob: &[u8]) -> Result<Vec<Arc<Event>>> {
    let mut events = Vec::new();
    let (mut sequence, mut attempt) = (0_u64, 0);
    while !blob.is_empty() {
        let message = EventBlob::decode_length_delimited(&mut blob).map_err(damaged)?;
        sequence = match message.sequence {
            0 => sequence.saturating_add(1),
            given => given,
        };
        attempt = match message.attempt {
            0 => attempt,
            given => given,
        };
        let kind = match message.kind {
            1 => EventKind::Started {
                worker: message.worker,
            },
            2 => EventKind::Item(from_payload(message.payload)?),
            3 => EventKind::RetryScheduled {
                failure: from_failure(message.failure)?,
                due: timestamp(message.due),
            },
            4 => EventKind::Succeeded(Reply {
                payload: from_payload(message.payload)?,
                metadata: metadata(message.metadata),
            }),
            5 => EventKind::Failed(from_failure(message.failure)?),
            6 => EventKind::Cancelled(from_failure(message.failure)?),
            7 => EventKind::Expired(from_failure(message.failure)?),
            other => return Err(damaged(format_args!("an event of kind {other}"))),
        };
        events.push(Arc::new(Event {
            sequence,
            attempt,
            time: timestamp(message.time),
            kind,
        }));
    }
    Ok(events)
}
