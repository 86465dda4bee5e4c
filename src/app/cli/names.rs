//! How the fields of an invocation are displayed: states, reasons, times.

use prost_types::Timestamp;

use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;
use crate::model::value::Value;

/// A timestamp for JSON output; null where there is none.
pub(super) fn time_value(time: Option<&Timestamp>) -> Value {
    let time = time.and_then(timestamp_from_proto);
    time.map_or(Value::Null, |time| Value::Text(time.to_string()))
}

/// The name of a state, such as `SUCCEEDED`.
pub(super) fn state_name(state: i32) -> String {
    let state = v1::State::try_from(state).unwrap_or_default();
    state.as_str_name().trim_start_matches("STATE_").to_owned()
}

/// The name of the service. A group has no service.
pub(super) fn service_name(invocation: &v1::Invocation) -> &str {
    match invocation.group {
        Some(_) => "(group)",
        None => &invocation.service,
    }
}

/// The reason for which an invocation is pending, still running, or failed; empty where there is none.
pub(super) fn reason_name(invocation: &v1::Invocation) -> String {
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
    match invocation
        .outcome
        .as_ref()
        .and_then(|outcome| outcome.outcome.as_ref())
    {
        Some(v1::outcome::Outcome::Failure(failure)) => failure.reason.clone(),
        _ => String::new(),
    }
}
