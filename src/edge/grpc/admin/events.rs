//! `WatchEvents`: a server stream of the events of the node.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use tonic::Status;

use super::workers;
use crate::codec::convert::{enum_from_proto, service_control_to_proto, timestamp_to_proto};
use crate::codec::proto::v1;
use crate::codec::proto::v1::watch_events_response::Subject as SubjectMessage;
use crate::codec::status::to_status;
use crate::edge::grpc::invocation::{self, RequestFilter};
use crate::edge::grpc::stream_deadline::until_deadline;
use crate::engine::{
    InvocationView, Invoker, NodeEvent, NodeEventKind, Subject, Watched, Watcher, WorkerStatus,
};
use crate::model::error::{Error, Result, Violation, reason};

/// How many kinds a request may list.
const MAX_KINDS: usize = 100;

/// What a watcher wants to see.
#[derive(Debug)]
struct Criteria {
    /// Empty: all kinds.
    kinds: Vec<v1::EventKind>,
    /// An empty one also matches events that are not about invocations or services.
    filter: RequestFilter,
}

/// Watches the events of the node. Events that happen after this has returned are in the stream.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for the criteria; `RESOURCE_EXHAUSTED` / `STREAM_LIMIT`.
pub(super) fn watch(
    invoker: &Invoker,
    request: v1::WatchEventsRequest,
    timeout: Option<Duration>,
) -> Result<BoxStream<'static, Result<v1::WatchEventsResponse, Status>>> {
    let criteria = Criteria::of(invoker, request)?;
    let watcher = invoker.watch_events()?;
    let invoker = invoker.clone();
    let state = Some((watcher, criteria, invoker));
    // Polled only while the peer reads: until then, events stay in the ring, and are dropped there.
    let responses = futures_util::stream::unfold(state, |state| async move {
        let (mut watcher, criteria, invoker) = state?;
        match next(&mut watcher, &criteria, &invoker).await {
            Ok(response) => Some((Ok(response), Some((watcher, criteria, invoker)))),
            Err(error) => Some((Err(to_status(&error)), None)),
        }
    });
    let then = "watch again, then list what happened meanwhile";
    Ok(until_deadline(responses, timeout, then))
}

/// The next response.
///
/// # Errors
///
/// `UNAVAILABLE` / `NODE_STOPPING`.
async fn next(
    watcher: &mut Watcher,
    criteria: &Criteria,
    invoker: &Invoker,
) -> Result<v1::WatchEventsResponse> {
    loop {
        let watched = watcher.next(|event| criteria.match_event(event)).await;
        let Watched { missed, event } = watched.ok_or_else(stopped)?;
        let Some(event) = event else {
            return Ok(v1::WatchEventsResponse {
                missed,
                ..v1::WatchEventsResponse::default()
            });
        };
        match to_proto(invoker, &event) {
            Ok(response) => return Ok(v1::WatchEventsResponse { missed, ..response }),
            Err(error) => tracing::error!(%error, "an event cannot be encoded"),
        }
    }
}

/// `UNAVAILABLE` / `NODE_STOPPING`.
fn stopped() -> Error {
    let message =
        "the node stops: watch again once it has started, then list what happened meanwhile";
    Error::unavailable(reason::NODE_STOPPING, message)
}

impl Criteria {
    fn of(invoker: &Invoker, request: v1::WatchEventsRequest) -> Result<Self> {
        let mut kinds = Vec::new();
        let too_many = Violation::too_many("/kinds", request.kinds.len(), MAX_KINDS);
        let mut violations: Vec<_> = too_many.into_iter().collect();
        for (index, kind) in request.kinds.into_iter().enumerate() {
            let path = format!("/kinds/{index}");
            match enum_from_proto(&path, kind) {
                Ok(v1::EventKind::Unspecified) => {
                    let message = "is unspecified: omit it, or name a kind";
                    violations.push(Violation::new(path, "UNKNOWN_VALUE", message));
                }
                Ok(kind) => kinds.push(kind),
                Err(error) => violations.extend(error.field_violations().iter().cloned()),
            }
        }
        Error::reject(reason::REQUEST_INVALID, violations)?;
        let filter = RequestFilter::resolve(invoker, request.filter, &request.filter_expression)?;
        Ok(Self { kinds, filter })
    }

    fn match_event(&self, event: &NodeEvent) -> bool {
        let is_wanted = self.kinds.is_empty() || self.kinds.contains(&kind(event.kind));
        is_wanted
            && match &event.subject {
                Subject::Invocation(view) => self.filter.matches(view),
                Subject::Service(service) => self.filter.names(service),
                Subject::Control(control) => self.filter.names(&control.service),
                Subject::Worker(_)
                | Subject::Operation(_)
                | Subject::Backup(..)
                | Subject::Node => self.filter.is_empty(),
            }
    }
}

/// Converts an event to its message.
fn to_proto(invoker: &Invoker, event: &Arc<NodeEvent>) -> Result<v1::WatchEventsResponse> {
    let NodeEvent {
        time,
        kind: what,
        subject,
        message,
        principal,
    } = &**event;
    let event_time = Some(timestamp_to_proto(*time));
    let subject = match subject {
        Subject::Invocation(view) => {
            let shown = invocation::outline_to_proto(invoker, InvocationView::clone(view))?;
            Some(SubjectMessage::Invocation(shown))
        }
        Subject::Service(service) => {
            let controls = invoker.service_controls();
            let control = controls.iter().find(|control| control.service == *service);
            let control = control.map(|control| service_control_to_proto(control));
            Some(SubjectMessage::Service(control.unwrap_or_else(|| {
                v1::ServiceControl {
                    service: service.to_string(),
                    ..v1::ServiceControl::default()
                }
            })))
        }
        Subject::Control(control) => {
            Some(SubjectMessage::Service(service_control_to_proto(control)))
        }
        Subject::Worker(worker) => Some(SubjectMessage::Worker(workers::to_proto(
            WorkerStatus::clone(worker),
        ))),
        Subject::Operation(operation) => {
            Some(SubjectMessage::Operation(v1::Operation::clone(operation)))
        }
        Subject::Backup(name, bytes) => Some(SubjectMessage::Backup(v1::Backup {
            name: name.to_string(),
            bytes: bytes.unwrap_or_default(),
            ..v1::Backup::default()
        })),
        Subject::Node => None,
    };
    Ok(v1::WatchEventsResponse {
        event_time,
        kind: kind(*what).into(),
        missed: 0,
        subject,
        message: message.clone(),
        principal: principal.clone(),
    })
}

fn kind(kind: NodeEventKind) -> v1::EventKind {
    match kind {
        NodeEventKind::InvocationEnded => v1::EventKind::InvocationEnded,
        NodeEventKind::AttemptFailed => v1::EventKind::AttemptFailed,
        NodeEventKind::InvocationHeld => v1::EventKind::InvocationHeld,
        NodeEventKind::ServicePaused => v1::EventKind::ServicePaused,
        NodeEventKind::ServiceResumed => v1::EventKind::ServiceResumed,
        NodeEventKind::ServiceDisabled => v1::EventKind::ServiceDisabled,
        NodeEventKind::ServiceEnabled => v1::EventKind::ServiceEnabled,
        NodeEventKind::ServiceForgotten => v1::EventKind::ServiceForgotten,
        NodeEventKind::ServiceUnserved => v1::EventKind::ServiceUnserved,
        NodeEventKind::ServiceServed => v1::EventKind::ServiceServed,
        NodeEventKind::WorkerConnected => v1::EventKind::WorkerConnected,
        NodeEventKind::WorkerDisconnected => v1::EventKind::WorkerDisconnected,
        NodeEventKind::WorkerDraining => v1::EventKind::WorkerDraining,
        NodeEventKind::OperationStarted => v1::EventKind::OperationStarted,
        NodeEventKind::OperationEnded => v1::EventKind::OperationEnded,
        NodeEventKind::NodeResumed => v1::EventKind::NodeResumed,
        NodeEventKind::NodeDraining => v1::EventKind::NodeDraining,
        NodeEventKind::BackupWritten => v1::EventKind::BackupWritten,
        NodeEventKind::BackupDeleted => v1::EventKind::BackupDeleted,
    }
}
