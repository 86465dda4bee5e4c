//! The weight of an invocation: roughly how many bytes of memory it takes. The limit of the store is compared with it.

use crate::model::error::Error;
use crate::model::invocation::{Event, EventKind, Invocation};
use crate::model::metadata::Metadata;
use crate::model::payload::Payload;

/// The weight of an invocation without payloads and events.
const OVERHEAD: usize = 512;
/// The weight of an event, a metadata entry or a detail of a failure, without its content.
const ENTRY_BYTES: usize = 96;

/// Roughly how many bytes an invocation takes.
pub(super) fn weight(invocation: &Invocation) -> usize {
    let Invocation {
        request,
        progress,
        last_failure,
        events,
        ..
    } = invocation;
    let progress = progress.as_ref().map_or(0, |record| {
        let value = record.progress.value.clone().map(Payload::Value);
        record.progress.message.len() + value.map_or(0, |value| value.weight())
    });
    OVERHEAD
        + request.input.weight()
        + of_metadata(&request.metadata)
        + progress
        + last_failure.as_ref().map_or(0, of_error)
        + events.iter().map(|event| of_event(event)).sum::<usize>()
}

fn of_event(event: &Event) -> usize {
    ENTRY_BYTES
        + match &event.kind {
            EventKind::Accepted { .. } | EventKind::Started { .. } => 0,
            EventKind::Item(item) => item.weight(),
            EventKind::Succeeded(reply) => reply.payload.weight() + of_metadata(&reply.metadata),
            EventKind::RetryScheduled { failure, .. }
            | EventKind::Failed(failure)
            | EventKind::Cancelled(failure)
            | EventKind::Expired(failure) => of_error(failure),
        }
}

fn of_metadata(metadata: &Metadata) -> usize {
    metadata
        .iter()
        .map(|(key, value)| ENTRY_BYTES + key.len() + value.len())
        .sum()
}

fn of_error(error: &Error) -> usize {
    let violations = error.field_violations().iter();
    let details = error.details().iter();
    let facts = error.info().iter();
    error.message().len()
        + error.trace().map_or(0, |trace| trace.len())
        + violations
            .map(|v| ENTRY_BYTES + v.path.len() + v.message.len())
            .sum::<usize>()
        + details
            .map(|d| ENTRY_BYTES + d.type_url.len() + d.value.len())
            .sum::<usize>()
        + facts
            .map(|(key, value)| ENTRY_BYTES + key.len() + value.len())
            .sum::<usize>()
}
