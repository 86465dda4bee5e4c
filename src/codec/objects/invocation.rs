//! The objects of stored invocations.

use super::names::{reason_name, state_name, text_value, time_value};
use super::response::response_value;
use crate::codec::convert::{
    PayloadOneof as _, failure_from_proto, format_from_proto, invocation_outcome_from_proto,
};
use crate::codec::failure::error_object;
use crate::codec::payload;
use crate::codec::proto::v1;
use crate::codec::struct_pb;
use crate::dict;
use crate::model::error::Result;
use crate::model::payload::Format;
use crate::model::value::{Dict, Value};

/// `invocation` in the schema.
pub(crate) fn invocation(invocation: &v1::Invocation) -> Dict {
    let group = invocation.group.as_ref().map(|group| {
        Value::from(dict! {
            "members": group.members,
            "ended": group.ended,
            "on_each": group.on_each.clone(),
            "on_final": group.on_final.clone(),
        })
    });
    // Once it has ended, no attempt is due, whatever was due when it ended.
    let next_start = invocation.start_time.as_ref();
    let next_start = next_start.filter(|_| invocation.end_time.is_none());
    dict! {
        "cid": invocation.cid.as_str(),
        "service": text_value(&invocation.service),
        "state": state_name(invocation.state),
        "reason": text_value(&reason_name(invocation)),
        "attempt": invocation.attempt,
        "accept_time": time_value(invocation.accept_time.as_ref()),
        "start_time": time_value(next_start),
        "end_time": time_value(invocation.end_time.as_ref()),
        "purge_time": time_value(invocation.purge_time.as_ref()),
        "parent_cid": text_value(&invocation.parent_cid),
        "group_cid": text_value(&invocation.group_cid),
        "group_position": (!invocation.group_cid.is_empty()).then_some(invocation.group_position),
        "in_reply_to": text_value(&invocation.in_reply_to),
        "retry_of": text_value(&invocation.retry_of),
        "retried_as": text_value(&invocation.retried_as),
        "last_failure": invocation.last_failure.as_ref().map(failure),
        "idempotency_key": text_value(&invocation.idempotency_key),
        "concurrency_key": text_value(&invocation.concurrency_key),
        "principal": text_value(&invocation.principal),
        "acting_principal": text_value(&invocation.acting_principal),
        "group": group,
    }
}

/// `summary` and `dead_letters` in the schema.
#[cfg(feature = "cli")]
pub(crate) fn summary(summary: &v1::InvocationSummary) -> Value {
    dict! {
        "service": text_value(&summary.service),
        "state": state_name(summary.state),
        "held": summary.pending_reason() == v1::PendingReason::Held,
        "failure_reason": text_value(&summary.failure_reason),
        "count": summary.count,
        "first_accept_time": time_value(summary.first_accept_time.as_ref()),
        "last_accept_time": time_value(summary.last_accept_time.as_ref()),
        "last_end_time": time_value(summary.last_end_time.as_ref()),
        "example_cid": summary.example_cid.as_str(),
        "example_message": text_value(&summary.example_message),
    }
    .into()
}

/// `change` in the schema.
pub(crate) fn change(change: &v1::InvocationChange) -> Value {
    let state = (change.state != 0).then(|| state_name(change.state));
    dict! {
        "cid": change.cid.as_str(),
        "state": state,
        "cancel_requested": change.cancel_requested,
        "new_cid": text_value(&change.new_cid),
        "error": change.failure.as_ref().map(failure),
    }
    .into()
}

/// `error` in the schema.
pub(crate) fn failure(failure: &v1::Failure) -> Value {
    error_object(&failure_from_proto(failure.clone()))
}

/// `attempts` of an explanation in the schema.
pub(crate) fn attempts(invocation: &v1::Invocation) -> Value {
    let attempts = invocation.attempts.iter().map(|attempt| {
        Value::from(dict! {
            "number": attempt.number,
            "worker": text_value(&attempt.worker),
            "start_time": time_value(attempt.start_time.as_ref()),
            "end_time": time_value(attempt.end_time.as_ref()),
            "failure": attempt.failure.as_ref().map(failure),
            "trace": text_value(&attempt.trace),
        })
    });
    Value::List(attempts.collect())
}

/// `invocation` in the schema, with its outcome, its progress and the sequence of its last event: see docs/http.md.
/// `is_full`: also its input, its attempts, its children and its callbacks.
///
/// # Errors
///
/// `VALUE_INVALID` where its response or its progress cannot be decoded.
pub(crate) fn found_invocation(found: v1::Invocation, is_full: bool) -> Result<Value> {
    let mut object = invocation(&found);
    let progress = found.progress.as_ref().map(progress).transpose()?;
    object.insert("progress", progress.map(Value::from));
    object.insert("sequence", found.sequence);
    if is_full {
        object.insert("input", input(&found));
        object.insert("attempts", attempts(&found));
        object.insert("child_cids", found.child_cids.clone());
        object.insert("callback_cids", found.callback_cids.clone());
    }
    let (response, failed) = match invocation_outcome_from_proto(found)? {
        None => (Value::Null, Value::Null),
        Some(Ok(reply)) => (response_value(reply.payload)?, Value::Null),
        Some(Err(error)) => (Value::Null, error_object(&error)),
    };
    object.insert("response", response);
    object.insert("failure", failed);
    Ok(object.into())
}

/// `fraction`, `message` and `value` of progress.
///
/// # Errors
///
/// `VALUE_INVALID` where the value cannot be decoded.
pub(crate) fn progress(progress: &v1::Progress) -> Result<Dict> {
    let value = progress.value.as_deref().map(struct_pb::decode_value);
    Ok(dict! {
        "fraction": progress.fraction,
        "message": progress.message.as_str(),
        "value": value.transpose()?,
    })
}

/// The input; null where it is not shown or cannot be decoded.
pub(crate) fn input(invocation: &v1::Invocation) -> Option<Value> {
    let input = invocation.input.clone()?;
    let format = format_from_proto("/data_format", input.data_format).ok()?;
    let payload = input
        .input
        .and_then(|input| input.into_payload(format.unwrap_or(Format::Json)));
    payload::decode(payload?).ok()
}
