//! The failures of durable invocations that the engine itself decides: timeouts, deadlines, cancellations, crashes.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::error::{Error, Kind, reason};
use crate::model::id::Cid;
use crate::model::invocation::Invocation;

/// `DEADLINE_EXCEEDED`: an attempt reported no progress for its timeout.
pub(in crate::engine) fn attempt_timed_out(invocation: &Invocation, timeout: Duration) -> Error {
    let message = format!(
        "service `{}` reported no progress for {} ms",
        invocation.request.service,
        timeout.as_millis()
    );
    Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message)
        .with_info("timeout_ms", timeout.as_millis())
}

/// `CANCELLED`, with the reason that the caller gave, if it gave one.
pub(in crate::engine) fn cancelled(cancel_reason: Option<&str>) -> Error {
    const MESSAGE: &str = "the invocation was cancelled";
    match cancel_reason {
        None => Error::cancelled(reason::CANCELLED, MESSAGE),
        Some(text) => Error::cancelled(reason::CANCELLED, format!("{MESSAGE}: {text}"))
            .with_info("cancel_reason", text),
    }
}

/// `CANCELLED`: another invocation continues, with another input.
pub(in crate::engine) fn retried_as(cid: Cid) -> Error {
    let message = format!("the invocation was cancelled: retried as {cid} with another input");
    Error::cancelled(reason::CANCELLED, message).with_info("retried_as", cid)
}

/// `DEADLINE_EXCEEDED` / `EXPIRED`.
pub(in crate::engine) fn expired(time: Timestamp) -> Error {
    let message = format!("the invocation had not started when it expired at {time}");
    Error::deadline_exceeded(reason::EXPIRED, message)
}

/// `DEADLINE_EXCEEDED`, without a retry.
pub(in crate::engine) fn deadline_passed(time: Timestamp) -> Error {
    let message = format!("the invocation had not ended at its deadline, {time}");
    Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message).with_retryable(false)
}

/// `UNKNOWN` / `NODE_LOST`: a call that is attempted at most once may have run.
pub(in crate::engine) fn node_lost() -> Error {
    let message = "the node ended before the service answered; the call is attempted at most once";
    Error::new(Kind::Unknown, reason::NODE_LOST, message).with_retryable(false)
}

/// `UNAVAILABLE` / `NODE_STOPPING`: the attempt does not count and is repeated.
pub(in crate::engine) fn interrupted_by_stop() -> Error {
    let message = "the node stopped during the attempt, which does not count";
    Error::unavailable(reason::NODE_STOPPING, message)
}

/// `INTERNAL` / `POISONED`: the node crashed too often during this invocation.
pub(in crate::engine) fn poisoned_by_node(crash_count: u32) -> Error {
    let message = format!("the node crashed {crash_count} times during this invocation");
    Error::internal(reason::POISONED, message)
        .with_retryable(false)
        .with_info("losses", crash_count)
}

/// `INTERNAL` / `POISONED`: workers were lost too often during this invocation.
pub(in crate::engine) fn poisoned_by_workers(crash_count: u32) -> Error {
    let message = format!(
        "its worker was lost {crash_count} times during an attempt, which may be the cause"
    );
    Error::internal(reason::POISONED, message)
        .with_retryable(false)
        .with_info("losses", crash_count)
}
