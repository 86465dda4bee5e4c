//! The object of an event of a node.

use super::operation;
use super::status::control;
use super::worker;
use crate::app::cli::names::{self, event_kind_name, text_value, time_value};
use crate::codec::objects::{failure, invocation};
use crate::codec::proto::v1;
use crate::codec::proto::v1::watch_events_response::Subject;
use crate::dict;
use crate::model::value::Value;

/// `node_event` in the schema.
pub(in crate::app::cli) fn node_event(event: &v1::WatchEventsResponse) -> Value {
    let name = match event.event_time {
        Some(_) => event_kind_name(event.kind).to_ascii_lowercase(),
        None => "missed".to_owned(),
    };
    let (mut of_invocation, mut service, mut of_worker) = (None, None, None);
    let (mut of_operation, mut backup, mut failed) = (None, None, None);
    match &event.subject {
        Some(Subject::Invocation(found)) => {
            let last = names::failure(found).or(found.last_failure.as_ref());
            failed = last.map(failure);
            of_invocation = Some(Value::Dict(invocation(found)));
        }
        Some(Subject::Service(found)) => service = Some(control(found)),
        Some(Subject::Worker(found)) => of_worker = Some(worker(found)),
        Some(Subject::Operation(found)) => of_operation = Some(operation(found)),
        Some(Subject::Backup(found)) => backup = Some(found.name.clone()),
        None => {}
    }
    dict! {
        "event": name,
        "time": time_value(event.event_time.as_ref()),
        "missed": event.missed,
        "message": text_value(&event.message),
        "principal": text_value(&event.principal),
        "invocation": of_invocation,
        "failure": failed,
        "service": service,
        "worker": of_worker,
        "operation": of_operation,
        "backup": backup,
    }
    .into()
}
