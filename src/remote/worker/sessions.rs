//! The sessions of a worker, mostly one.
//!
//! When a node stops, its session is *detached*: the dispatches that it sent continue, while the worker connects a new
//! session to the next node. A detached session ends with its stream.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::session::NodeSession;
use super::shared::WorkerShared;
use crate::codec::proto::v1;
use crate::codec::proto::v1::serve_request::Message;

/// The most detached sessions. With more, the worker connects to another node when one of them has ended.
const MAX_DETACHED: usize = 4;

/// The interval at which a draining worker checks whether leases have expired.
const LEASE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The sessions of a worker.
#[derive(Debug)]
pub(super) struct Sessions {
    shared: Arc<WorkerShared>,
    /// The detached sessions, and the current one at the end.
    sessions: Mutex<Vec<Arc<NodeSession>>>,
    /// Notifies when a detached session has ended.
    detached_ended: Notify,
}

impl Sessions {
    pub(super) fn new(shared: Arc<WorkerShared>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            sessions: Mutex::default(),
            detached_ended: Notify::new(),
        })
    }

    pub(super) fn shared(&self) -> &Arc<WorkerShared> {
        &self.shared
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<Arc<NodeSession>>> {
        // Every change is one push or removal.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn for_each(&self, mut action: impl FnMut(&NodeSession)) {
        let sessions = self.sessions().clone();
        sessions.iter().for_each(|session| action(session));
    }

    /// The session that receives new dispatches.
    pub(super) fn current(&self) -> Arc<NodeSession> {
        let mut sessions = self.sessions();
        if let Some(current) = sessions.last() {
            return Arc::clone(current);
        }
        let first = NodeSession::new(Arc::clone(&self.shared));
        sessions.push(Arc::clone(&first));
        first
    }

    /// Detaches the current session, whose node stops. Returns `false` where too many are detached already.
    pub(super) fn detach(&self) -> bool {
        let mut sessions = self.sessions();
        let has_room = sessions.len() <= MAX_DETACHED;
        if has_room {
            sessions.push(NodeSession::new(Arc::clone(&self.shared)));
        }
        has_room
    }

    /// Removes a detached session that has ended.
    pub(super) fn remove(&self, session: &Arc<NodeSession>) {
        self.sessions().retain(|one| !Arc::ptr_eq(one, session));
        session.abandon();
        self.detached_ended.notify_one();
    }

    /// Waits until all detached sessions have ended, and removes the current one.
    pub(super) async fn wait_detached(&self) {
        let mut ended = self.shared.subscribe_ended();
        while self.sessions().len() > 1 {
            let _ = ended.changed().await;
        }
        self.sessions().clear();
    }

    /// Waits until a detached session has ended. Cancel safe.
    pub(super) async fn detached_ended(&self) {
        self.detached_ended.notified().await;
    }

    /// The id that the last node gave to the worker.
    pub(super) fn worker_id(&self) -> String {
        let sessions = self.sessions();
        let mut ids = sessions.iter().rev().map(|session| session.worker_id());
        ids.find(|id| !id.is_empty()).unwrap_or_default()
    }

    pub(super) fn in_flight(&self) -> usize {
        let sessions = self.sessions();
        sessions.iter().map(|session| session.in_flight()).sum()
    }

    /// Drains the worker: no new dispatches are taken.
    pub(super) fn drain(&self) {
        self.shared.set_draining();
        self.for_each(|session| session.send(Message::Drain(v1::WorkerDrain {})));
    }

    /// Waits until no dispatch runs and none can arrive: one that was sent before the node received the drain would be
    /// lost otherwise.
    pub(super) async fn wait_idle(&self) {
        let mut ended = self.shared.subscribe_ended();
        while self.sessions().iter().any(|session| session.is_busy()) {
            // The expiry of a lease does not notify.
            let _ = tokio::time::timeout(LEASE_CHECK_INTERVAL, ended.changed()).await;
        }
    }

    /// Hands running dispatches back to their nodes, and cancels them.
    pub(super) fn hand_back(&self) {
        self.for_each(NodeSession::hand_back);
    }

    /// Ends all streams for good.
    pub(super) fn close(&self) {
        self.shared.closed().cancel();
        self.for_each(NodeSession::disconnect);
    }
}
