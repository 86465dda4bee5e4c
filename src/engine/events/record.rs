//! The events of records: an invocation ended, an attempt of it failed, or it was held.

use std::sync::Arc;

use crate::engine::events::event::NodeEventKind;
use crate::engine::store::Record;
use crate::model::error::Error;
use crate::model::invocation::{Event, EventKind, HELD, Invocation, NestedCalls, Request};
use crate::model::payload::{Payload, Reply};

/// The kind of the event that follows from a record of an invocation; `None` where it is no news for an operator: an
/// attempt that was handed back and does not count, or an invocation that was released.
pub(in crate::engine) fn kind_of(
    invocation: &Invocation,
    record: &Record,
) -> Option<NodeEventKind> {
    if record.state.is_terminal() {
        return Some(NodeEventKind::InvocationEnded);
    }
    let last = record.events.last()?;
    let has_counted =
        (record.attempts, record.crash_count) != (invocation.attempts, invocation.crash_count);
    match &last.kind {
        EventKind::RetryScheduled { due, .. } if *due >= HELD => {
            Some(NodeEventKind::InvocationHeld)
        }
        EventKind::RetryScheduled { .. } if has_counted => Some(NodeEventKind::AttemptFailed),
        _ => None,
    }
}

/// The invocation as the record leaves it, without its payloads.
pub(super) fn outline(invocation: &Invocation, record: &Record) -> Invocation {
    let request = &invocation.request;
    let last = record.events.last().map(|event| outline_of(event));
    Invocation {
        request: Arc::new(Request {
            input: Payload::empty(),
            ..Request::clone(request)
        }),
        state: record.state,
        attempts: record.attempts,
        due: record.due,
        first_attempt_time: record.first_attempt_time,
        end_time: record.end_time,
        purge_time: record.purge_time,
        progress: None,
        last_failure: record.last_failure.as_ref().map(outline_of_failure),
        deferred: record.deferred,
        events: Vec::from_iter(last.map(Arc::new)),
        crash_count: record.crash_count,
        generation: record.generation,
        recovered: false,
        cancel_requested: invocation.cancel_requested,
        cancel_reason: None,
        key_busy: false,
        completion: record.completion,
        open_members: 0,
        retried_as: None,
    }
}

/// The event without what can be large: the payload of a response, the details and the causes of a failure.
fn outline_of(event: &Event) -> Event {
    let kind = match &event.kind {
        EventKind::Succeeded(reply) => EventKind::Succeeded(Reply {
            payload: Payload::empty(),
            metadata: reply.metadata.clone(),
        }),
        EventKind::RetryScheduled { failure, due } => EventKind::RetryScheduled {
            failure: outline_of_failure(failure),
            due: *due,
        },
        EventKind::Failed(error) => EventKind::Failed(outline_of_failure(error)),
        EventKind::Cancelled(error) => EventKind::Cancelled(outline_of_failure(error)),
        EventKind::Expired(error) => EventKind::Expired(outline_of_failure(error)),
        // None of them is the last event of a record that is told.
        EventKind::Accepted { .. } | EventKind::Started { .. } | EventKind::Item(_) => {
            EventKind::Started {
                worker: String::new(),
                calls: NestedCalls::default(),
            }
        }
    };
    Event { kind, ..*event }
}

fn outline_of_failure(failure: &Error) -> Error {
    let reason = failure.reason().to_owned();
    let outline = Error::new(failure.kind(), reason, failure.truncated_message());
    outline
        .with_retryable(failure.retryable_override())
        .without_location()
}
