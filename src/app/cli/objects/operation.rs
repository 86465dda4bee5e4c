//! The objects of operations over many invocations, and of their counts.

use crate::app::cli::names::{action_name, operation_state_name, text_value, time_value};
use crate::codec::filter::write;
use crate::codec::objects::failure;
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
        "filter": write(&operation.filter.clone().unwrap_or_default()),
        "principal": text_value(&operation.principal),
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
