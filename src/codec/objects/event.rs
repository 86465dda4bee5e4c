//! The objects of the events of an invocation.

use super::invocation::{failure, progress};
use super::names::{text_value, time_value};
use super::response::response_value;
use crate::codec::failure::error_object;
use crate::codec::proto::v1;
use crate::codec::proto::v1::stream_results_response::Event;
use crate::codec::struct_pb;
use crate::dict;
use crate::model::error::Result;
use crate::model::payload::Reply;
use crate::model::value::{Dict, Value};

/// `event` in the schema, for an event before the last one.
///
/// # Errors
///
/// `VALUE_INVALID` where an item or a progress value cannot be decoded.
pub(crate) fn event(response: &v1::StreamResultsResponse) -> Result<Value> {
    let (name, fields) = match &response.event {
        Some(Event::Accepted(event)) => (
            "accepted",
            dict! {
                "service": text_value(&event.service),
                "start_time": time_value(event.start_time.as_ref()),
            },
        ),
        Some(Event::Started(event)) => ("started", dict! { "worker": text_value(&event.worker) }),
        Some(Event::Progress(event)) => {
            let fields = progress(&event.progress.clone().unwrap_or_default())?;
            ("progress", fields)
        }
        Some(Event::Item(event)) => ("item", dict! { "value": item(event)? }),
        Some(Event::RetryScheduled(event)) => (
            "retry_scheduled",
            dict! {
                "failure": event.failure.as_ref().map(failure),
                "start_time": time_value(event.start_time.as_ref()),
            },
        ),
        _ => ("unknown", dict! {}),
    };
    Ok(tagged(name, response, fields))
}

/// `event` in the schema, for the last event and its outcome.
pub(crate) fn outcome_event(
    response: &v1::StreamResultsResponse,
    outcome: &Result<Reply>,
) -> Result<Value> {
    let name = match &response.event {
        Some(Event::Succeeded(_)) => "succeeded",
        Some(Event::Cancelled(_)) => "cancelled",
        Some(Event::Expired(_)) => "expired",
        Some(Event::NotFound(_)) => "not_found",
        _ => "failed",
    };
    let fields = match outcome {
        Ok(reply) => dict! { "response": response_value(reply.payload.clone())? },
        Err(error) => dict! { "failure": error_object(error) },
    };
    Ok(tagged(name, response, fields))
}

fn tagged(name: &str, response: &v1::StreamResultsResponse, fields: Dict) -> Value {
    let mut event = dict! {
        "event": name,
        "cid": response.cid.as_str(),
        "time": time_value(response.event_time.as_ref()),
        "attempt": response.attempt,
    };
    for (key, value) in fields {
        event.insert(key, value);
    }
    event.into()
}

/// The value of an item.
///
/// # Errors
///
/// `VALUE_INVALID` where it cannot be decoded.
pub(crate) fn item(event: &v1::ItemEvent) -> Result<Value> {
    match &event.item {
        Some(v1::item_event::Item::Payload(bytes)) => {
            struct_pb::decode_dict(bytes).map(Value::Dict)
        }
        Some(v1::item_event::Item::Value(bytes)) => struct_pb::decode_value(bytes),
        None => Ok(Value::Null),
    }
}
