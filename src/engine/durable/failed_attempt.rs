//! The log of failed attempts of background work: a warning where another attempt follows, an error where none does.

use crate::engine::trace::call_span;
use crate::model::invocation::{Event, EventKind, HELD, Request, should_retry};
use crate::model::metadata::Metadata;
use crate::service::{is_for_operator, location, log_message};

/// Logs the event with which an attempt ended, if the attempt failed. A failure that a caller has to fix is debug
/// output, unless attempts were made in vain: no caller waits for background work. `trace`: the metadata with the trace
/// context of the attempt, where that has one of its own.
pub(in crate::engine) fn log(request: &Request, trace: Option<&Metadata>, event: &Event) {
    if !matches!(
        event.kind,
        EventKind::RetryScheduled { .. } | EventKind::Failed(_)
    ) {
        return;
    }
    let metadata = trace.unwrap_or(&request.metadata);
    let _span = call_span(request.cid, request.service.as_str(), metadata).entered();
    let attempt = event.attempt;
    match &event.kind {
        EventKind::RetryScheduled { failure, due } if *due < HELD => {
            let (reason, trace, cause) = (failure.reason(), failure.trace(), log_message(failure));
            match is_for_operator(failure) {
                true => {
                    let location = location(failure).map(tracing::field::display);
                    tracing::warn!(
                        attempt, next = %due, reason, trace, location,
                        "attempt failed: {cause}"
                    );
                }
                false => tracing::debug!(
                    attempt, next = %due, reason, trace,
                    "attempt failed: {cause}"
                ),
            }
        }
        EventKind::RetryScheduled { failure, .. } | EventKind::Failed(failure) => {
            let (reason, trace, cause) = (failure.reason(), failure.trace(), log_message(failure));
            let what = match event.kind.terminal_state() {
                None => "held",
                Some(_) => "failed",
            };
            match is_for_operator(failure) || should_retry(failure) {
                true => {
                    let location = location(failure).map(tracing::field::display);
                    tracing::error!(attempt, reason, trace, location, "{what}: {cause}");
                }
                false => tracing::debug!(attempt, reason, trace, "{what}: {cause}"),
            }
        }
        _ => {}
    }
}
