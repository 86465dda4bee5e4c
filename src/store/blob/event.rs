//! Events: starts, items, retries and the outcome, one after another in a single blob.
//!
//! The events of one record are sealed together, and appended to those before: a column has plain events, sealed parts,
//! or first the ones and then the others, where encryption was turned on in between.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;

use super::failure::{
    FailureBlob, FailureMessageBlob, decode_last_failure_message, from_failure, to_failure,
};
use super::payload::{PayloadBlob, from_payload, to_payload};
use super::scalars::{PairBlob, damaged, duration_nanos, metadata, nanos, pairs, timestamp};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::{Event, EventKind, NestedCall, NestedCalls};
use crate::model::payload::Reply;
use crate::store::cipher::{BlobCipher, Column, Place, Sealed, is_sealed};

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
    /// Starts: the synchronous calls that the attempt made.
    #[prost(message, repeated, tag = "10")]
    calls: Vec<CallBlob>,
    /// Starts: how many calls are not among those.
    #[prost(uint32, tag = "11")]
    omitted_calls: u32,
}

#[derive(Clone, PartialEq, Message)]
struct CallBlob {
    #[prost(string, tag = "1")]
    service: String,
    #[prost(string, tag = "2")]
    caller: String,
    #[prost(uint32, tag = "3")]
    depth: u32,
    #[prost(sint64, tag = "4")]
    start: i64,
    /// Nanoseconds.
    #[prost(uint64, tag = "5")]
    duration: u64,
    #[prost(message, optional, tag = "6")]
    failure: Option<FailureBlob>,
}

fn to_call(call: &NestedCall) -> CallBlob {
    CallBlob {
        service: call.service.to_string(),
        caller: call.caller.to_string(),
        depth: call.depth,
        start: nanos(call.start),
        duration: duration_nanos(call.duration),
        failure: call.failure.as_ref().map(to_failure),
    }
}

fn from_call(call: CallBlob) -> Result<NestedCall> {
    Ok(NestedCall {
        service: call.service.parse().map_err(damaged)?,
        caller: call.caller.parse().map_err(damaged)?,
        depth: call.depth,
        start: timestamp(call.start),
        duration: Duration::from_nanos(call.duration),
        failure: call
            .failure
            .map(|failure| from_failure(Some(failure)))
            .transpose()?,
    })
}

/// Where a part of the events of an invocation is sealed for. Their sequences, in it, rise from part to part.
fn place(cid: Cid) -> Place {
    Place::of(cid, Column::Events)
}

/// Encodes the events of a record, length-delimited, and seals them together. `Accepted` is left out: the columns of
/// the row contain all of it.
pub(in crate::store) fn encode_events(
    cid: Cid,
    events: &[Arc<Event>],
    cipher: &BlobCipher,
) -> Result<Vec<u8>> {
    let mut blob = Vec::new();
    append_events(&mut blob, events)?;
    match blob.is_empty() {
        true => Ok(blob),
        false => cipher.seal(place(cid), blob),
    }
}

fn append_events(blob: &mut Vec<u8>, events: &[Arc<Event>]) -> Result<()> {
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
            EventKind::Started { worker, calls } => {
                message.kind = 1;
                message.worker.clone_from(worker);
                message.calls = calls.calls.iter().map(to_call).collect();
                message.omitted_calls = calls.omitted;
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

/// Splits the first event, or the first sealed part, from what follows it.
fn split_first(blob: &[u8]) -> Result<(Part<'_>, &[u8])> {
    if is_sealed(blob) {
        let (sealed, behind) = Sealed::split(blob)?;
        return Ok((Part::Sealed(sealed), behind));
    }
    let mut rest = blob;
    let length = prost::decode_length_delimiter(&mut rest).map_err(damaged)?;
    let split = rest.split_at_checked(length);
    let (event, behind) = split.ok_or_else(|| damaged("an event that is cut off"))?;
    Ok((Part::Event(event), behind))
}

/// A part of the events.
enum Part<'b> {
    Event(&'b [u8]),
    Sealed(Sealed<'b>),
}

/// The last part of a blob of events; `None` if that is empty.
fn last_part(mut blob: &[u8]) -> Result<Option<Part<'_>>> {
    let mut last = None;
    while !blob.is_empty() {
        let (part, behind) = split_first(blob)?;
        (last, blob) = (Some(part), behind);
    }
    Ok(last)
}

/// The sealed parts of a blob of events, and whether it has plain ones.
pub(in crate::store) fn sealed_events(mut blob: &[u8]) -> Result<(Vec<Sealed<'_>>, bool)> {
    let (mut sealed, mut has_plain) = (Vec::new(), false);
    while !blob.is_empty() {
        let (part, behind) = split_first(blob)?;
        match part {
            Part::Event(_) => has_plain = true,
            Part::Sealed(part) => sealed.push(part),
        }
        blob = behind;
    }
    Ok((sealed, has_plain))
}

/// Decodes the message of the last failure: that of the last event or, if that has none, that of the column
/// `last_failure`. `None` if nothing has failed. Only what it is in is opened.
pub(in crate::store) fn decode_failure_message(
    cid: Cid,
    events: Option<&[u8]>,
    last_failure: Option<&[u8]>,
    cipher: &BlobCipher,
) -> Result<Option<String>> {
    let message = match last_part(events.unwrap_or_default())? {
        None => None,
        Some(Part::Event(event)) => {
            cipher.check_plain(event)?;
            event_message(event)?
        }
        Some(Part::Sealed(sealed)) => match last_part(&cipher.open_sealed(place(cid), &sealed)?)? {
            Some(Part::Event(event)) => event_message(event)?,
            Some(Part::Sealed(_)) | None => return Err(damaged("a sealed part without events")),
        },
    };
    match (message, last_failure) {
        (Some(message), _) => Ok(Some(message)),
        (None, Some(blob)) => decode_last_failure_message(cid, blob, cipher),
        (None, None) => Ok(None),
    }
}

fn event_message(event: &[u8]) -> Result<Option<String>> {
    let event = FailedEventBlob::decode(event).map_err(damaged)?;
    Ok(event.failure.map(|failure| failure.message))
}

/// Decodes the events of a blob, in order.
pub(in crate::store) fn decode_events(
    cid: Cid,
    mut blob: &[u8],
    cipher: &BlobCipher,
) -> Result<Vec<Arc<Event>>> {
    let mut decoder = Decoder::default();
    while !blob.is_empty() {
        if is_sealed(blob) {
            let (sealed, behind) = Sealed::split(blob)?;
            decoder.decode_part(&cipher.open_sealed(place(cid), &sealed)?)?;
            blob = behind;
        } else {
            cipher.check_plain(blob)?;
            decoder.decode(&mut blob)?;
        }
    }
    Ok(decoder.events)
}

/// Decodes events one after another.
#[derive(Default)]
struct Decoder {
    events: Vec<Arc<Event>>,
    sequence: u64,
    attempt: u32,
}

impl Decoder {
    /// Decodes a part that was sealed. It follows what was before: parts cannot be repeated or change places.
    fn decode_part(&mut self, mut part: &[u8]) -> Result<()> {
        let (before, first) = (self.sequence, self.events.len());
        while !part.is_empty() {
            self.decode(&mut part)?;
        }
        match self.events.get(first) {
            Some(event) if event.sequence > before => Ok(()),
            _ => Err(damaged("encrypted events that are not in their order")),
        }
    }

    /// Decodes the first event of a blob, and takes it from there.
    fn decode(&mut self, blob: &mut &[u8]) -> Result<()> {
        let message = EventBlob::decode_length_delimited(blob).map_err(damaged)?;
        self.sequence = match message.sequence {
            0 => self.sequence.saturating_add(1),
            given => given,
        };
        self.attempt = match message.attempt {
            0 => self.attempt,
            given => given,
        };
        let kind = match message.kind {
            1 => EventKind::Started {
                worker: message.worker,
                calls: NestedCalls {
                    calls: message
                        .calls
                        .into_iter()
                        .map(from_call)
                        .collect::<Result<_>>()?,
                    omitted: message.omitted_calls,
                },
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
        self.events.push(Arc::new(Event {
            sequence: self.sequence,
            attempt: self.attempt,
            time: timestamp(message.time),
            kind,
        }));
        Ok(())
    }
}
