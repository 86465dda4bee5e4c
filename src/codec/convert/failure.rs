//! Failures inside messages: outcomes, events, results of workers.

use super::time::{duration_to_proto, lenient_duration_from_proto};
use crate::codec::proto::v1;
use crate::codec::status;
use crate::model::error::{Error, Kind, Result, Violation, reason};
use crate::model::id::Cid;

/// The longest reason of a failure that a handler or a caller made, in bytes. A longer one is cut: it is an identifier.
const MAX_REASON_BYTES: usize = 256;

/// The most details of a failure that a worker or the caller of a completion sends.
const MAX_DETAILS: usize = 64;

/// Converts an error to the contract's form.
#[must_use]
pub fn failure_to_proto(error: &Error) -> v1::Failure {
    v1::Failure {
        code: i32::from(error.kind().grpc_code()),
        reason: error.reason().to_owned(),
        message: error.message().to_owned(),
        retryable: error.retryable_override(),
        retry_delay: error.retry_after().map(duration_to_proto),
        details: status::details(error),
    }
}

/// Converts the failure of an invocation to the contract's form, whose details name the invocation.
#[must_use]
pub(super) fn failure_of_invocation_to_proto(cid: Cid, error: &Error) -> v1::Failure {
    match error.cid() {
        Some(known) if known == cid => failure_to_proto(error),
        _ => failure_to_proto(&error.clone().with_cid(cid)),
    }
}

/// Converts a failure of a message to an error.
#[must_use]
pub fn failure_from_proto(failure: v1::Failure) -> Error {
    let kind = Kind::from_grpc_code(failure.code).unwrap_or(Kind::Unknown);
    let mut error = status::from_details(kind, &failure.message, &failure.details);
    let mut reason = failure.reason;
    reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
    if !reason.is_empty() {
        error = error.with_reason(reason);
    }
    if let Some(delay) = lenient_duration_from_proto(failure.retry_delay) {
        error = error.with_retry_after(delay);
    }
    match failure.retryable {
        Some(retryable) => error.with_retryable(retryable),
        None => error,
    }
}

/// Converts a failure that a worker or the caller of a completion sends.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for more than 64 details.
pub(super) fn sent_failure_from_proto(failure: v1::Failure) -> Result<Error> {
    let too_many = Violation::too_many("/failure/details", failure.details.len(), MAX_DETAILS);
    Error::reject(reason::REQUEST_INVALID, too_many.into_iter().collect())?;
    Ok(failure_from_proto(failure))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::error::Violation;

    #[test]
    fn a_long_reason_is_cut() {
        let failure = v1::Failure {
            reason: "é".repeat(1_000),
            ..v1::Failure::default()
        };
        assert_eq!(failure_from_proto(failure).reason().len(), MAX_REASON_BYTES);
    }

    #[test]
    fn a_failure_survives_a_round_trip() {
        let error = Error::aborted("LOST_RACE", "another request won the race")
            .with_retryable(true)
            .with_retry_after(Duration::from_secs(3))
            .with_violation(Violation::new("/a", "WRONG", "is wrong"));
        let decoded = failure_from_proto(failure_to_proto(&error));
        assert_eq!(decoded.kind(), error.kind());
        assert_eq!(decoded.reason(), error.reason());
        assert_eq!(decoded.message(), error.message());
        assert_eq!(decoded.retryable_override(), Some(true));
        assert_eq!(decoded.retry_after(), error.retry_after());
        assert_eq!(decoded.field_violations(), error.field_violations());
    }
}
