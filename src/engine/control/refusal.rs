//! The errors of calls that an operator has closed.

use crate::model::error::{Error, reason};
use crate::model::id::ServiceName;
use crate::model::service_control::ServiceControl;

/// `UNAVAILABLE` / `SERVICE_PAUSED`.
pub(super) fn service_paused(service: &ServiceName, control: &ServiceControl) -> Error {
    let message = match control.background_only {
        false => format!(
            "`{service}` is paused{}: call it once it is resumed, or invoke it asynchronously",
            why(control)
        ),
        true => format!(
            "the background work of `{service}` is paused{}, and a call with an idempotency key, or that continues \
             after its deadline, is part of it: call it without, or once it is resumed",
            why(control)
        ),
    };
    with_cause(Error::unavailable(reason::SERVICE_PAUSED, message), control)
}

/// `FAILED_PRECONDITION` / `SERVICE_INACTIVE`.
pub(super) fn service_inactive(service: &ServiceName, control: &ServiceControl) -> Error {
    let message = format!(
        "`{service}` is disabled{}: it takes no calls until an operator enables it",
        why(control)
    );
    let error = Error::failed_precondition(reason::SERVICE_INACTIVE, message);
    with_cause(error, control)
}

/// `UNAVAILABLE` / `NODE_HELD`.
pub(super) fn node_held(service: &ServiceName) -> Error {
    let message = "the node is held and runs nothing until it is resumed (`cidery resume`): call it then, or invoke \
                   asynchronously";
    Error::unavailable(reason::NODE_HELD, message).with_info("service", service)
}

/// The reason that the operator gave, in brackets.
fn why(control: &ServiceControl) -> String {
    match control.cause.reason.as_str() {
        "" => String::new(),
        reason => format!(" ({reason})"),
    }
}

fn with_cause(error: Error, control: &ServiceControl) -> Error {
    let error = error
        .with_info("service", &control.service)
        .with_info("since", control.time);
    match control.cause.reason.as_str() {
        "" => error,
        reason => error.with_info("operator_reason", reason),
    }
}
