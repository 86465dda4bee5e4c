//! Events of the node, for operators and their alerts: invocations that end or fail, services, workers, operations.
//!
//! They go through a ring of [`RING`] events that all watchers read, each at its own speed: memory is bounded, and a
//! watcher that falls behind misses events and is told how many. Nothing is kept for later watchers, and where there
//! are none, an event costs one load of a counter. An event is sent after what it tells is committed, never before.

mod event;
mod record;
mod watcher;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use self::event::{NodeEvent, NodeEventKind, Subject};
use self::watcher::Seat;
pub use self::watcher::{Watched, Watcher};
use crate::engine::clock::Clock;
use crate::engine::results::lookup::InvocationView;
use crate::engine::status::WorkerStatus;
use crate::engine::store::Record;
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::model::invocation::Invocation;

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

    #[inline]
    fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    fn send(&self, kind: NodeEventKind, subject: Subject, message: impl Into<String>) {
        if let Some(ring) = self.ring.get().filter(|_| self.is_watched()) {
            // Refused only where the last watcher has just left.
            let _ = ring.send(Arc::new(NodeEvent {
                time: self.clock.now(),
                kind,
                subject,
                message: message.into(),
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
        let Some(kind) = record::kind_of(invocation, record) else {
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

    /// A service was paused, for a reason that the operator gave or none.
    pub fn service_paused(&self, service: &ServiceName, why: &str) {
        self.send_service(NodeEventKind::ServicePaused, service, why);
    }

    /// A paused service was resumed.
    pub fn service_resumed(&self, service: &ServiceName) {
        self.send_service(NodeEventKind::ServiceResumed, service, "");
    }

    /// A service was disabled, for a reason that the operator gave or none.
    pub fn service_disabled(&self, service: &ServiceName, why: &str) {
        self.send_service(NodeEventKind::ServiceDisabled, service, why);
    }

    /// A disabled service was enabled.
    pub fn service_enabled(&self, service: &ServiceName) {
        self.send_service(NodeEventKind::ServiceEnabled, service, "");
    }

    /// A service was forgotten.
    pub fn service_forgotten(&self, service: &ServiceName) {
        self.send_service(NodeEventKind::ServiceForgotten, service, "");
    }

    /// A service is served that nobody served before.
    pub fn service_served(&self, service: &ServiceName) {
        self.send_service(NodeEventKind::ServiceServed, service, "");
    }

    /// Nobody serves a service any more.
    pub fn service_unserved(&self, service: &ServiceName) {
        self.send_service(NodeEventKind::ServiceUnserved, service, "");
    }

    fn send_service(&self, kind: NodeEventKind, service: &ServiceName, why: &str) {
        if self.is_watched() {
            self.send(kind, Subject::Service(service.clone()), why);
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

    /// An operation with this id started; `what` says what it does.
    pub fn operation_started(&self, id: &str, what: &str) {
        self.send(
            NodeEventKind::OperationStarted,
            Subject::Operation(id.to_owned()),
            what,
        );
    }

    /// An operation with this id ended; `what` says how.
    pub fn operation_ended(&self, id: &str, what: &str) {
        self.send(
            NodeEventKind::OperationEnded,
            Subject::Operation(id.to_owned()),
            what,
        );
    }

    /// The node starts its invocations, after it had been started on hold.
    pub fn node_resumed(&self) {
        self.send(NodeEventKind::NodeResumed, Subject::Node, "");
    }

    /// The node drains.
    pub(in crate::engine) fn node_draining(&self) {
        let message = "the node takes no more work, and stops";
        self.send(NodeEventKind::NodeDraining, Subject::Node, message);
    }
}
