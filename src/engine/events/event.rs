//! An event of a node: what happened, and to what.

use jiff::Timestamp;

use crate::codec::proto::v1;
use crate::engine::backup::BackupName;
use crate::engine::results::lookup::InvocationView;
use crate::engine::status::WorkerStatus;
use crate::model::id::ServiceName;
use crate::model::service_control::ServiceControl;

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
    /// The operator who did it, as far as the node knows; empty for what no operator did.
    pub principal: String,
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
    /// No worker serves a service any more, nor does the node.
    ServiceUnserved,
    /// A service is served that was not served before.
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
    /// A copy of the store was written.
    BackupWritten,
    /// A copy of the store was deleted.
    BackupDeleted,
}

/// What an event is about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// An invocation as it is after the event, without its input, its items, the payload of its outcome and the details
    /// of its failure: a watcher that reads slowly would otherwise keep them in memory.
    Invocation(Box<InvocationView>),
    /// A service.
    Service(ServiceName),
    /// A service that an operator has paused or disabled, or no longer, as it is after that.
    Control(Box<ServiceControl>),
    /// A worker.
    Worker(Box<WorkerStatus>),
    /// An operation as it was then.
    Operation(Box<v1::Operation>),
    /// A copy of the store, with its size in bytes unless it was deleted.
    Backup(BackupName, Option<u64>),
    /// The node itself.
    Node,
}
