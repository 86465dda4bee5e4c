//! Refused calls of a handler: when it passes the error on, the error is the handler's, not that of its caller.
//!
//! A handler that calls a service with an invalid input gets `INVALID_ARGUMENT`, which it often returns with `?`. Its
//! own caller would read that as the fault of a request that was valid.

use std::fmt::Write as _;

use crate::model::error::{Error, Kind, reason};

/// The key of the error's info that names the service which refused the call.
const SERVICE: &str = "service";

/// Names the service that a handler called, where the call was refused because of what the handler sent.
pub(crate) fn refused_by(error: Error, service: &str) -> Error {
    match is_refusal(&error) && error.fact(SERVICE).is_none() {
        true => error.with_info(SERVICE, service),
        false => error,
    }
}

/// The error of a nested call of a service, as the handler that called it gets it: [refused](refused_by), or with the
/// name of the service whose output is invalid. The caller of the handler would take that for the handler's own.
pub(crate) fn of_nested(error: Error, service: &str) -> Error {
    if error.reason() != reason::OUTPUT_INVALID || error.fact(SERVICE).is_some() {
        return refused_by(error, service);
    }
    let message = format!("service `{service}`: {}", error.message());
    error.with_message(message).with_info(SERVICE, service)
}

/// The error of a handler as its caller gets it: a refused call is `INTERNAL` / `NESTED_CALL_REFUSED`.
///
/// Violations are left out: they are of an input that the caller did not send. They are in the trace.
pub(crate) fn of_handler(error: Error, handler: &str) -> Error {
    let Some(service) = error.fact(SERVICE).filter(|_| is_refusal(&error)) else {
        return error;
    };
    let (kind, reason) = (error.kind().name(), error.reason());
    let message = format!(
        "`{handler}` made an invalid call of `{service}`: {}",
        error.message()
    );
    let mut trace = format!("{kind} / {reason}: {}", error.message());
    // A single one is the message.
    if let violations @ [_, _, ..] = error.field_violations() {
        for violation in violations {
            let _ = write!(trace, "\n{violation}");
        }
    }
    // The handler would make the same call again.
    let failed = Error::internal(reason::NESTED_CALL_REFUSED, message)
        .without_location()
        .with_retryable(false)
        .with_info(SERVICE, service)
        .with_info("refusal", reason)
        .with_trace(trace);
    match error.cid() {
        Some(cid) => failed.with_cid(cid),
        None => failed,
    }
}

/// Whether the platform refused a call because of its service or its input, or as the worker may not make it.
/// A service's own `INVALID_ARGUMENT` has a reason of its own, and is passed on unchanged.
fn is_refusal(error: &Error) -> bool {
    [reason::SERVICE_UNKNOWN, reason::NOT_PERMITTED].contains(&error.reason())
        || (error.kind() == Kind::InvalidArgument && reason::ALL.contains(&error.reason()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refused_call_is_the_fault_of_the_handler() {
        let refused = Error::invalid_argument(reason::INPUT_INVALID, "`/n`: is required");
        let named = refused_by(refused.clone(), "b");
        let failed = of_handler(named, "a");
        assert_eq!(
            (failed.kind(), failed.reason(), failed.fact(SERVICE)),
            (Kind::Internal, reason::NESTED_CALL_REFUSED, Some("b"))
        );
        assert!(!failed.is_retryable());
        // The input of the handler itself, and a failure that a service declares.
        assert_eq!(of_handler(refused, "a").reason(), reason::INPUT_INVALID);
        let declared = refused_by(Error::invalid_argument("NO_SUCH_SIZE", "x"), "b");
        assert_eq!(of_handler(declared, "a").reason(), "NO_SUCH_SIZE");
    }
}
