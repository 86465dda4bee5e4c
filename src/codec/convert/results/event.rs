//! Events of result streams, and progress.

use jiff::Timestamp;

use super::state::state_to_proto;
use crate::codec::convert::failure::{failure_from_proto, failure_of_invocation_to_proto};
use crate::codec::convert::metadata::metadata_to_proto;
use crate::codec::convert::payload::{PayloadOneof as _, format_of, reply_from_proto};
use crate::codec::convert::time::timestamp_to_proto;
use crate::codec::payload;
use crate::codec::proto::v1;
use crate::codec::proto::v1::stream_results_response::Event as Proto;
use crate::codec::struct_pb;
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::{Event, EventKind, HELD, Outcome, Progress, ProgressRecord, State};
use crate::model::payload::{Format, Payload, Reply};

/// Converts an event to the contract's form. `run` is the sequence of the `started` event of its run; 0 before the
/// first.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for a value that cannot be encoded.
pub fn event_to_proto(cid: Cid, event: &Event, run: u64) -> Result<v1::StreamResultsResponse> {
    let kind = match &event.kind {
        EventKind::Accepted { service, due } => Proto::Accepted(v1::AcceptedEvent {
            service: service.to_string(),
            start_time: due_to_proto(*due),
        }),
        EventKind::Started { worker, .. } => Proto::Started(v1::StartedEvent {
            worker: worker.clone(),
        }),
        EventKind::Item(item) => Proto::Item(v1::ItemEvent {
            item: Some(item_to_proto(item.clone())?),
        }),
        EventKind::RetryScheduled { failure, due } => {
            Proto::RetryScheduled(v1::RetryScheduledEvent {
                failure: Some(failure_of_invocation_to_proto(cid, failure)),
                start_time: due_to_proto(*due),
            })
        }
        EventKind::Succeeded(reply) => Proto::Succeeded(succeeded_to_proto(reply.clone())?),
        EventKind::Failed(error) => Proto::Failed(v1::FailedEvent {
            failure: Some(failure_of_invocation_to_proto(cid, error)),
        }),
        EventKind::Cancelled(error) => Proto::Cancelled(v1::CancelledEvent {
            failure: Some(failure_of_invocation_to_proto(cid, error)),
        }),
        EventKind::Expired(error) => Proto::Expired(v1::ExpiredEvent {
            failure: Some(failure_of_invocation_to_proto(cid, error)),
        }),
    };
    Ok(v1::StreamResultsResponse {
        cid: cid.to_string(),
        sequence: event.sequence,
        attempt: event.attempt,
        event_time: Some(timestamp_to_proto(event.time)),
        event: Some(kind),
        run,
    })
}

/// When an invocation is due; `None` while it is held.
pub(super) fn due_to_proto(due: Timestamp) -> Option<prost_types::Timestamp> {
    (due < HELD).then(|| timestamp_to_proto(due))
}

/// Converts a terminal event to the outcome that it carries; `None` for every other event.
///
/// # Errors
///
/// `INVALID_ARGUMENT` for a malformed output.
pub fn outcome_from_proto(event: Proto) -> Result<Option<Outcome>> {
    let failed =
        |failure: Option<v1::Failure>| Err(failure_from_proto(failure.unwrap_or_default()));
    Ok(Some(match event {
        Proto::Succeeded(event) => Ok(reply_from_proto(
            event.output,
            event.data_format,
            event.metadata,
        )?),
        Proto::Failed(event) => failed(event.failure),
        Proto::Cancelled(event) => failed(event.failure),
        Proto::Expired(event) => failed(event.failure),
        Proto::NotFound(event) => Err(not_found_from_proto(event)),
        Proto::Accepted(_)
        | Proto::Started(_)
        | Proto::Progress(_)
        | Proto::Item(_)
        | Proto::RetryScheduled(_) => return Ok(None),
    }))
}

/// Converts the event for a CID that is not stored to its error.
#[must_use]
pub fn not_found_from_proto(event: v1::NotFoundEvent) -> Error {
    let kind = match event.reason.as_str() {
        reason::SEQUENCE_UNKNOWN => Kind::OutOfRange,
        reason::STORE_DAMAGED => Kind::DataLoss,
        _ => Kind::NotFound,
    };
    Error::new(kind, event.reason, event.message)
}

/// Converts progress that a handler reported to the event of a result stream.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for a value that cannot be encoded.
pub fn progress_event_to_proto(
    cid: Cid,
    record: &ProgressRecord,
) -> Result<v1::StreamResultsResponse> {
    Ok(v1::StreamResultsResponse {
        cid: cid.to_string(),
        sequence: 0,
        attempt: record.attempt,
        event_time: Some(timestamp_to_proto(record.time)),
        event: Some(Proto::Progress(v1::ProgressEvent {
            progress: Some(progress_to_proto(&record.progress)?),
        })),
        run: 0,
    })
}

/// The event that a result stream sends for a CID that is not stored. `ended` is the state and the end time of an
/// invocation that was removed.
#[must_use]
pub fn not_found_to_proto(
    cid: &str,
    error: &Error,
    ended: Option<(State, Timestamp)>,
) -> v1::StreamResultsResponse {
    let state = ended.map_or(v1::State::Unspecified, |(state, _)| state_to_proto(state));
    v1::StreamResultsResponse {
        cid: cid.to_owned(),
        event: Some(Proto::NotFound(v1::NotFoundEvent {
            reason: error.reason().to_owned(),
            message: error.message().to_owned(),
            state: state.into(),
            end_time: ended.map(|(_, end_time)| timestamp_to_proto(end_time)),
        })),
        ..v1::StreamResultsResponse::default()
    }
}

fn item_to_proto(item: Payload) -> Result<v1::item_event::Item> {
    Ok(match payload::encode(item, Format::Dict)? {
        Payload::Struct(bytes) => v1::item_event::Item::Payload(bytes),
        Payload::Any(bytes) => v1::item_event::Item::Value(bytes),
        Payload::Value(_) | Payload::Document(..) => {
            v1::item_event::Item::Payload(bytes::Bytes::new())
        }
    })
}

fn succeeded_to_proto(reply: Reply) -> Result<v1::SucceededEvent> {
    Ok(v1::SucceededEvent {
        data_format: format_of(&reply.payload).into(),
        metadata: metadata_to_proto(&reply.metadata),
        output: Some(v1::succeeded_event::Output::from_payload(reply.payload)?),
    })
}

/// Converts progress to the contract's form.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for a value that cannot be encoded.
pub fn progress_to_proto(progress: &Progress) -> Result<v1::Progress> {
    Ok(v1::Progress {
        fraction: progress.fraction,
        message: progress.message.clone(),
        value: progress
            .value
            .as_ref()
            .map(struct_pb::encode_value)
            .transpose()?,
    })
}

/// Converts progress of a message.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for a value that cannot be decoded.
pub fn progress_from_proto(progress: v1::Progress) -> Result<Progress> {
    let value = progress
        .value
        .map(|bytes| struct_pb::decode_value(&bytes))
        .transpose()?;
    Ok(Progress {
        value,
        ..progress
            .fraction
            .map_or_else(Progress::default, Progress::at)
            .message(progress.message)
    })
}
