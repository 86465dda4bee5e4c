//! An event of a node: what happened, and to what.

use jiff::Timestamp;

use crate::engine::results::lookup::InvocationView;
use crate::engine::status::WorkerStatus;
use crate::model::id::ServiceName;

/// Something that happened on a node.
#[derive(Clone, Debug)]
pub struct NodeEvent {
    /// When.
    pub time: Timestamp,
    /// What.
    pub kind: NodeEventKind,
    /// To what.
    pub subject: Subject,
    /// Why, for people; empty where the kind says it all.
    pub message: String,
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeEventKind {
    /// An invocation ended.
    InvocationEnded,
    /// An attempt failed, and another one follows.
    AttemptFailed,
    /// An invocation was held: all its attempts have failed.
    InvocationHeld,
    /// A service was paused.
    ServicePaused,
    /// A service was resumed.
    ServiceResumed,
    /// A service was disabled.
    ServiceDisabled,
    /// A service was enabled.
    ServiceEnabled,
    /// A service was forgotten.
    ServiceForgotten,
    /// Nobody serves a service any more.
    ServiceUnserved,
    /// A service is served that nobody served before.
    ServiceServed,
    /// A worker connected.
    WorkerConnected,
    /// A worker left, or was lost.
    WorkerDisconnected,
    /// A worker takes no more dispatches.
    WorkerDraining,
    /// An operation started.
    OperationStarted,
    /// An operation ended.
    OperationEnded,
    /// The node was resumed after it had been started on hold.
    NodeResumed,
    /// The node drains: it takes no more work, and stops.
    NodeDraining,
}

/// What an event is about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// An invocation as it is after the event, without its input, its items, the payload of its outcome and the details
    /// of its failure: a watcher that reads slowly would otherwise keep them in memory.
    Invocation(Box<InvocationView>),
    /// A service.
    Service(ServiceName),
    /// A worker.
    Worker(Box<WorkerStatus>),
    /// An operation, by its id.
    Operation(String),
    /// The node itself.
    Node,
}
