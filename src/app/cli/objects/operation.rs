//! The objects of operations over many invocations, and of their counts.

use crate::app::cli::names::{
    action_name, operation_state_name, state_name, text_value, time_value,
};
use crate::app::cli::objects::invocation::failure;
use crate::codec::proto::v1;
use crate::dict;
use crate::model::value::Value;

/// `operation` in the schema.
pub(in crate::app::cli) fn operation(operation: &v1::Operation) -> Value {
    let refusals = operation.refusals.iter().map(|refusal| {
        Value::from(dict! {
            "reason": refusal.reason.as_str(),
            "count": refusal.count,
            "example_cid": refusal.example_cid.as_str(),
            "message": refusal.message.as_str(),
        })
    });
    dict! {
        "id": operation.id.as_str(),
        "action": action_name(operation),
        "state": operation_state_name(operation.state),
        "create_time": time_value(operation.create_time.as_ref()),
        "end_time": time_value(operation.end_time.as_ref()),
        "matched": operation.matched,
        "processed": operation.processed,
        "changed": operation.changed,
        "refusals": refusals.collect::<Vec<_>>(),
        "max_per_second": operation.max_per_second,
        "error": operation.failure.as_ref().map(failure),
    }
    .into()
}

/// `summary` in the schema.
pub(in crate::app::cli) fn summary(summary: &v1::InvocationSummary) -> Value {
    dict! {
        "service": text_value(&summary.service),
        "state": state_name(summary.state),
        "reason": summary_reason(summary),
        "count": summary.count,
        "first_accept_time": time_value(summary.first_accept_time.as_ref()),
        "last_accept_time": time_value(summary.last_accept_time.as_ref()),
        "last_end_time": time_value(summary.last_end_time.as_ref()),
        "example_cid": summary.example_cid.as_str(),
        "example_message": text_value(&summary.example_message),
    }
    .into()
}

/// Why the invocations of a summary are held or failed.
pub(in crate::app::cli) fn summary_reason(summary: &v1::InvocationSummary) -> Option<String> {
    match summary.failure_reason.as_str() {
        "" => None,
        reason => Some(reason.to_owned()),
    }
}
