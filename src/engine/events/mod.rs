//! Events of the node, for operators and their alerts: invocations that end or fail, services, workers, operations.
//!
//! They go through a ring of [`RING`] events that all watchers read, each at its own speed: memory is bounded, and a
//! watcher that falls behind misses events and is told how many. Nothing is kept for later watchers, and where there
//! are none, an event costs one load of a counter. An event is sent after what it tells is committed, never before.

mod event;
mod operation;
mod record;
mod watcher;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use self::event::{NodeEvent, NodeEventKind, Subject};
pub(in crate::engine) use self::record::kind_of;
use self::watcher::Seat;
pub use self::watcher::{Watched, Watcher};
use crate::codec::proto::v1;
use crate::engine::backup::BackupName;
use crate::engine::clock::Clock;
use crate::engine::results::lookup::InvocationView;
use crate::engine::status::WorkerStatus;
use crate::engine::store::Record;
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::model::invocation::Invocation;
use crate::model::service_control::{ControlCause, ServiceControl};

/// How many events the ring has.
pub const RING: usize = 4_096;
/// How soon a caller may ask again that would be one watcher more.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Sends the events of a node to its watchers.
#[derive(Debug)]
pub struct EventBus {
    clock: Clock,
    max_watchers: usize,
    /// Counts the watchers.
    watchers: Arc<AtomicUsize>,
    /// Made for the first watcher: most nodes are watched rarely.
    ring: OnceLock<broadcast::Sender<Arc<NodeEvent>>>,
}

impl EventBus {
    pub(in crate::engine) fn new(clock: Clock, max_watchers: usize) -> Self {
        Self {
            clock,
            max_watchers,
            watchers: Arc::default(),
            ring: OnceLock::new(),
        }
    }

    /// Watches what happens from now on, until `closing` fires.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `STREAM_LIMIT` where there are too many watchers.
    pub(in crate::engine) fn watch(&self, closing: CancellationToken) -> Result<Watcher> {
        // Taken first: an event that happens after this returns sees the watcher.
        let (seat, taken) = Seat::take(&self.watchers);
        if taken >= self.max_watchers {
            let limit = self.max_watchers;
            let message = format!("{limit} callers watch the events of the node already");
            return Err(Error::resource_exhausted(reason::STREAM_LIMIT, message)
                .with_info("event_watchers", limit)
                .with_retry_after(RETRY_AFTER));
        }
        let ring = self.ring.get_or_init(|| broadcast::Sender::new(RING));
        Ok(Watcher::new(ring.subscribe(), closing, seat))
    }

    /// How many watchers there are.
    pub(in crate::engine) fn watchers(&self) -> usize {
        self.watchers.load(Ordering::Relaxed)
    }

    #[inline]
    fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    fn send(&self, kind: NodeEventKind, subject: Subject, message: impl Into<String>) {
        self.send_by(kind, subject, message, "");
    }

    /// As [`send`](Self::send), of what an operator did.
    fn send_by(
        &self,
        kind: NodeEventKind,
        subject: Subject,
        message: impl Into<String>,
        principal: &str,
    ) {
        if let Some(ring) = self.ring.get().filter(|_| self.is_watched()) {
            // Refused only where the last watcher has just left.
            let _ = ring.send(Arc::new(NodeEvent {
                time: self.clock.now(),
                kind,
                subject,
                message: message.into(),
                principal: principal.to_owned(),
            }));
        }
    }

    /// A record of an invocation was committed.
    #[inline]
    pub(in crate::engine) fn recorded(&self, invocation: &Invocation, record: &Record) {
        if self.is_watched() {
            self.send_recorded(invocation, record);
        }
    }

    #[cold]
    fn send_recorded(&self, invocation: &Invocation, record: &Record) {
        let Some(kind) = kind_of(invocation, record) else {
            return;
        };
        let invocation = record::outline(invocation, record);
        let is_pending = !invocation.state.is_terminal();
        let view = InvocationView {
            due: is_pending && invocation.due <= self.clock.now(),
            unserved: false,
            paused: false,
            invocation,
        };
        let failure = view.invocation.failure();
        let message = failure.map_or_else(String::new, |failure| failure.message().to_owned());
        self.send(kind, Subject::Invocation(Box::new(view)), message);
    }

    /// An operator paused, resumed, disabled or enabled a service, which is now as `control` says.
    pub fn service_controlled(
        &self,
        kind: NodeEventKind,
        control: &ServiceControl,
        cause: &ControlCause,
    ) {
        if self.is_watched() {
            let subject = Subject::Control(Box::new(control.clone()));
            self.send_by(kind, subject, cause.reason.as_str(), &cause.principal);
        }
    }

    /// An operator forgot a service.
    pub fn service_forgotten(&self, service: &ServiceName, principal: &str) {
        let subject = Subject::Service(service.clone());
        self.send_by(NodeEventKind::ServiceForgotten, subject, "", principal);
    }

    /// A service is served that was not served before.
    pub fn service_served(&self, service: &ServiceName) {
        self.send_service(NodeEventKind::ServiceServed, service);
    }

    /// No worker serves a service any more, nor does the node.
    pub fn service_unserved(&self, service: &ServiceName) {
        self.send_service(NodeEventKind::ServiceUnserved, service);
    }

    fn send_service(&self, kind: NodeEventKind, service: &ServiceName) {
        if self.is_watched() {
            self.send(kind, Subject::Service(service.clone()), "");
        }
    }

    /// A worker connected: a new one, and not one that resumes its session.
    pub fn worker_connected(&self, worker: impl FnOnce() -> WorkerStatus) {
        self.send_worker(NodeEventKind::WorkerConnected, worker, String::new);
    }

    /// A worker left or was lost, and its session ended.
    pub fn worker_disconnected(
        &self,
        worker: impl FnOnce() -> WorkerStatus,
        why: impl FnOnce() -> String,
    ) {
        self.send_worker(NodeEventKind::WorkerDisconnected, worker, why);
    }

    /// A worker takes no more dispatches.
    pub fn worker_draining(&self, worker: impl FnOnce() -> WorkerStatus) {
        self.send_worker(NodeEventKind::WorkerDraining, worker, String::new);
    }

    fn send_worker(
        &self,
        kind: NodeEventKind,
        worker: impl FnOnce() -> WorkerStatus,
        why: impl FnOnce() -> String,
    ) {
        if self.is_watched() {
            self.send(kind, Subject::Worker(Box::new(worker())), why());
        }
    }

    /// An operation started.
    pub fn operation_started(&self, operation: impl FnOnce() -> v1::Operation) {
        self.send_operation(
            NodeEventKind::OperationStarted,
            operation,
            operation::started,
        );
    }

    /// An operation ended.
    pub fn operation_ended(&self, operation: impl FnOnce() -> v1::Operation) {
        self.send_operation(NodeEventKind::OperationEnded, operation, operation::ended);
    }

    fn send_operation(
        &self,
        kind: NodeEventKind,
        operation: impl FnOnce() -> v1::Operation,
        message: fn(&v1::Operation) -> String,
    ) {
        if self.is_watched() {
            let operation = operation();
            let (message, principal) = (message(&operation), operation.principal.clone());
            self.send_by(
                kind,
                Subject::Operation(Box::new(operation)),
                message,
                &principal,
            );
        }
    }

    /// An operator wrote a copy of the store, which has so many bytes.
    pub fn backup_written(&self, name: &BackupName, bytes: u64, principal: &str) {
        let subject = Subject::Backup(name.clone(), Some(bytes));
        self.send_by(NodeEventKind::BackupWritten, subject, "", principal);
    }

    /// An operator deleted a copy of the store.
    pub fn backup_deleted(&self, name: &BackupName, principal: &str) {
        let subject = Subject::Backup(name.clone(), None);
        self.send_by(NodeEventKind::BackupDeleted, subject, "", principal);
    }

    /// An operator lets the node start its invocations, after it had been started on hold.
    pub fn node_resumed(&self, principal: &str) {
        let message = "it starts what it has accepted";
        self.send_by(
            NodeEventKind::NodeResumed,
            Subject::Node,
            message,
            principal,
        );
    }

    /// The node drains.
    pub(in crate::engine) fn node_draining(&self) {
        let message = "the node takes no more work, and stops";
        self.send(NodeEventKind::NodeDraining, Subject::Node, message);
    }
}
