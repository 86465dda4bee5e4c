//! How the fields of invocations and services are written: states, reasons, times.

use prost_types::Timestamp;

use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;
use crate::model::value::Value;

/// A timestamp for programs: RFC 3339 in UTC, to the microsecond, always with six digits: times of the same length
/// sort as text. Null where there is none.
pub(crate) fn time_value(time: Option<&Timestamp>) -> Value {
    let time = time.and_then(timestamp_from_proto);
    time.map_or(Value::Null, |time| Value::Text(format!("{time:.6}")))
}

/// A text for programs; null where it is empty.
pub(crate) fn text_value(text: &str) -> Value {
    match text {
        "" => Value::Null,
        text => Value::from(text),
    }
}

/// The name of a state, such as `SUCCEEDED`.
pub(crate) fn state_name(state: i32) -> String {
    let state = v1::State::try_from(state).unwrap_or_default();
    state.as_str_name().trim_start_matches("STATE_").to_owned()
}

/// The name of the health of a service, such as `SERVING`.
pub(crate) fn health_name(health: i32) -> String {
    let health = v1::ServiceHealth::try_from(health).unwrap_or_default();
    let name = health.as_str_name();
    name.trim_start_matches("SERVICE_HEALTH_").to_owned()
}

/// What becomes of an invocation without attempts left: `FAIL` or `HOLD`.
pub(crate) fn on_exhausted_name(value: v1::OnExhausted) -> &'static str {
    match value {
        v1::OnExhausted::Hold => "HOLD",
        v1::OnExhausted::Unspecified | v1::OnExhausted::Fail => "FAIL",
    }
}

/// The reason for which an invocation is pending, still running, or failed; empty where there is none.
pub(crate) fn reason_name(invocation: &v1::Invocation) -> String {
    let pending = v1::PendingReason::try_from(invocation.pending_reason).unwrap_or_default();
    if pending != v1::PendingReason::Unspecified {
        return pending
            .as_str_name()
            .trim_start_matches("PENDING_REASON_")
            .to_owned();
    }
    if invocation.waiting_for_completion {
        return "WAITING_FOR_COMPLETION".to_owned();
    }
    if invocation.cancel_requested {
        return "CANCEL_REQUESTED".to_owned();
    }
    failure_of(invocation).map_or_else(String::new, |failure| failure.reason.clone())
}

/// The failure with which an invocation has ended.
pub(crate) fn failure_of(invocation: &v1::Invocation) -> Option<&v1::Failure> {
    match invocation.outcome.as_ref()?.outcome.as_ref()? {
        v1::outcome::Outcome::Failure(failure) => Some(failure),
        _ => None,
    }
}
