//! The errors of calls that an operator has closed.

use jiff::Timestamp;

use crate::model::error::{Error, reason};
use crate::model::id::ServiceName;
use crate::model::service_control::{ControlCause, Disabled, Paused};

/// `UNAVAILABLE` / `SERVICE_PAUSED`.
pub(super) fn service_paused(service: &ServiceName, paused: &Paused) -> Error {
    let cause = &paused.cause;
    let message = match paused.background_only {
        false => format!(
            "`{service}` is paused{}: call it once it is resumed, or invoke it asynchronously",
            why(cause)
        ),
        true => format!(
            "the background work of `{service}` is paused{}, and a call with an idempotency key, or that continues \
             after its deadline, is part of it: call it without, or once it is resumed",
            why(cause)
        ),
    };
    let error = Error::unavailable(reason::SERVICE_PAUSED, message);
    with_cause(error, service, cause, paused.time)
}

/// `FAILED_PRECONDITION` / `SERVICE_INACTIVE`.
pub(super) fn service_inactive(service: &ServiceName, disabled: &Disabled) -> Error {
    let cause = &disabled.cause;
    let message = format!(
        "`{service}` is disabled{}: it takes no calls until an operator enables it",
        why(cause)
    );
    let error = Error::failed_precondition(reason::SERVICE_INACTIVE, message);
    with_cause(error, service, cause, disabled.time)
}

/// `UNAVAILABLE` / `NODE_HELD`.
pub(super) fn node_held(service: &ServiceName) -> Error {
    let message = "the node is held and runs nothing until it is resumed (`cidery resume`): call it then, or invoke \
                   asynchronously";
    Error::unavailable(reason::NODE_HELD, message).with_info("service", service)
}

/// The reason that the operator gave, in brackets.
fn why(cause: &ControlCause) -> String {
    match cause.reason.as_str() {
        "" => String::new(),
        reason => format!(" ({reason})"),
    }
}

fn with_cause(
    error: Error,
    service: &ServiceName,
    cause: &ControlCause,
    since: Timestamp,
) -> Error {
    let error = error
        .with_info("service", service)
        .with_info("since", since);
    match cause.reason.as_str() {
        "" => error,
        reason => error.with_info("operator_reason", reason),
    }
}
