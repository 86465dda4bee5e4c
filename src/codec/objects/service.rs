//! The objects of services.

use std::time::Duration;

use super::names::{health_name, on_exhausted_name, text_value, time_value};
use crate::codec::json;
use crate::codec::proto::v1;
use crate::dict;
use crate::model::value::{Dict, Value};

/// `service` in the schema.
pub(crate) fn service(service: &v1::ServiceSummary) -> Value {
    dict! {
        "name": service.name.as_str(),
        "description": service.description.as_str(),
        "health": health_name(service.health),
        "typed_method": text_value(&service.typed_method),
        "running": service.running,
        "pending": service.pending,
        "locations": service.locations,
        "workers": service.workers.clone(),
    }
    .into()
}

/// `service_description` in the schema.
pub(crate) fn service_description(service: &v1::ServiceDescription) -> Value {
    let declaration = service.declaration.clone().unwrap_or_default();
    let sio = declaration.sio.unwrap_or_default();
    let schema = |text: &str| json::read(text.as_bytes()).unwrap_or_default();
    let examples = service.examples.iter();
    let examples: Dict = examples
        .map(|example| (example.tool.as_str(), Value::from(example.text.as_str())))
        .collect();
    let unknown_keys = match v1::UnknownKeys::try_from(sio.unknown_keys) {
        Ok(v1::UnknownKeys::Keep) => "KEEP",
        Ok(v1::UnknownKeys::Refuse) => "REFUSE",
        _ => "DROP",
    };
    let are_empty_strings_absent = sio.empty_strings == i32::from(v1::EmptyStrings::Absent);
    let csv = sio.csv.map(|csv| {
        Value::from(dict! {
            "header": !csv.no_header,
            "delimiter": csv.delimiter,
            "quote": csv.quote,
        })
    });
    dict! {
        "name": declaration.name,
        "description": declaration.description,
        "health": health_name(service.health),
        "control": service.control.as_ref().map(|it| Value::from(control(it))),
        "typed_method": text_value(&service.typed_method),
        "typed_method_note": text_value(&service.typed_method_note),
        "running": service.running,
        "pending": service.pending,
        "queued": service.queued,
        "locations": service.locations.iter().map(location).collect::<Vec<_>>(),
        "options": options(service.effective_options.unwrap_or_default()),
        "unknown_keys": unknown_keys,
        "empty_strings": if are_empty_strings_absent { "ABSENT" } else { "REFUSE" },
        "response_elem": text_value(&sio.response_elem),
        "csv": csv,
        "input_schema": schema(&service.input_schema),
        "output_schema": schema(&service.output_schema),
        "examples": examples,
    }
    .into()
}

/// `controlled_service` in the schema.
#[cfg(feature = "cli")]
pub(crate) fn controlled_service(name: &str, service: &v1::ServiceDescription) -> Value {
    let mut object = dict! { "name": name };
    for (key, value) in control(&service.control.clone().unwrap_or_default()) {
        object.insert(key, value);
    }
    object.insert("pending", service.pending);
    object.insert("running", service.running);
    object.into()
}

/// What `service_control` in the schema has beside the name of the service.
pub(crate) fn control(control: &v1::ServiceControl) -> Dict {
    dict! {
        "paused": control.paused,
        "background_only": control.background_only,
        "disabled": control.disabled,
        "reason": text_value(&control.reason),
        "principal": text_value(&control.principal),
        "time": time_value(control.time.as_ref()),
        "pause": control.pause.as_ref().map(cause),
        "disable": control.disable.as_ref().map(cause),
    }
}

/// `control_cause` in the schema.
fn cause(cause: &v1::ControlCause) -> Value {
    dict! {
        "reason": text_value(&cause.reason),
        "principal": text_value(&cause.principal),
        "time": time_value(cause.time.as_ref()),
    }
    .into()
}

fn options(options: v1::ServiceOptions) -> Value {
    let seconds = |duration: Option<prost_types::Duration>| {
        let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
        duration.map(|duration| duration.as_secs_f64())
    };
    dict! {
        "timeout": seconds(options.timeout),
        "attempt_timeout": seconds(options.attempt_timeout),
        "max_attempts": options.retry_policy.map(|policy| policy.max_attempts),
        "on_exhausted": on_exhausted_name(options.on_exhausted()),
        "concurrency": options.concurrency,
        "queue_length": options.queue_length,
        "pending_limit": options.pending_limit,
        "rate": (options.rate > 0.0).then_some(options.rate),
        "burst": (options.burst > 0).then_some(options.burst),
        "retention": seconds(options.retention),
        "failure_retention": seconds(options.failure_retention),
        "idempotent": options.idempotent,
    }
    .into()
}

pub(crate) fn location(location: &v1::ServiceLocation) -> Value {
    dict! {
        "worker_id": text_value(&location.worker_id),
        "worker_name": text_value(&location.worker_name),
        "build_id": text_value(&location.build_id),
        "declaration_hash": location.declaration_hash.as_str(),
        "running": location.running,
        "since_time": time_value(location.since_time.as_ref()),
        "away": location.away,
    }
    .into()
}
