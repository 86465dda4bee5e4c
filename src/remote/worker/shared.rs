//! What the tasks of a worker share: its handlers, its sessions, and whether it stops.
//!
//! Mostly there is one session. A node that stops has its worker look for the next one at once, while what it handed
//! over goes on: that session *parts*, and ends with its stream.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::session::Session;
use crate::codec::proto::v1;
use crate::codec::proto::v1::serve_request::Message;
use crate::engine::tasks::Tasks;
use crate::service::{Definition, ErasedHooks, States};

/// How many sessions may part at once: beyond that a worker looks for another node when a stream has ended.
const PARTING: usize = 4;

/// How often it is looked whether a node waits no longer.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the tasks of a worker share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) handlers: HashMap<String, Arc<Definition>>,
    pub(super) states: Arc<States>,
    pub(super) hooks: Vec<Arc<dyn ErasedHooks>>,
    tasks: Tasks,
    /// The sessions with streams, or that come back: the last one is the current one.
    sessions: Mutex<Vec<Arc<Session>>>,
    draining: AtomicBool,
    /// Rings when a dispatch ends.
    fewer: watch::Sender<()>,
    /// Rings when a session that parted has ended: another node may be there now.
    parted: Notify,
    /// The worker stops: the stream is not made again.
    closed: CancellationToken,
}

impl Shared {
    pub(super) fn new(
        handlers: HashMap<String, Arc<Definition>>,
        states: States,
        hooks: Vec<Arc<dyn ErasedHooks>>,
        tasks: Tasks,
    ) -> Arc<Self> {
        Arc::new(Self {
            handlers,
            states: Arc::new(states),
            hooks,
            tasks,
            sessions: Mutex::default(),
            draining: AtomicBool::new(false),
            fewer: watch::Sender::new(()),
            parted: Notify::new(),
            closed: CancellationToken::new(),
        })
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(super) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<Arc<Session>>> {
        // Every change is one push or removal.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn each(&self, mut tell: impl FnMut(&Session)) {
        let sessions = self.sessions().clone();
        sessions.iter().for_each(|session| tell(session));
    }

    /// The session that new dispatches come on.
    pub(super) fn current(self: &Arc<Self>) -> Arc<Session> {
        let mut sessions = self.sessions();
        if let Some(current) = sessions.last() {
            return Arc::clone(current);
        }
        let first = Session::new(Arc::clone(self));
        sessions.push(Arc::clone(&first));
        first
    }

    /// The node of the current session stops: another session takes its place. Answers whether.
    pub(super) fn part(self: &Arc<Self>) -> bool {
        let mut sessions = self.sessions();
        let parts = sessions.len() <= PARTING;
        if parts {
            sessions.push(Session::new(Arc::clone(self)));
        }
        parts
    }

    /// A session that parted has ended.
    pub(super) fn forget(&self, session: &Arc<Session>) {
        self.sessions().retain(|one| !Arc::ptr_eq(one, session));
        session.give_up();
        self.parted.notify_one();
    }

    /// Resolves when no session parts any more, and lets the last one go: they know this one as well.
    pub(super) async fn parts_are_over(&self) {
        let mut fewer = self.fewer.subscribe();
        while self.sessions().len() > 1 {
            let _ = fewer.changed().await;
        }
        self.sessions().clear();
    }

    /// Resolves when a session that parted has ended. Cancel safe.
    pub(super) async fn parted(&self) {
        self.parted.notified().await;
    }

    /// What the node last called it.
    pub(super) fn worker_id(&self) -> String {
        let sessions = self.sessions();
        let mut ids = sessions.iter().rev().map(|session| session.worker_id());
        ids.find(|id| !id.is_empty()).unwrap_or_default()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.sessions()
            .iter()
            .map(|session| session.in_flight())
            .sum()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Takes nothing new.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.each(|session| session.show(Message::Drain(v1::WorkerDrain {})));
    }

    /// Something has ended, or cannot come any more.
    pub(super) fn note_fewer(&self) {
        // Whoever waits said so before it looked at what runs.
        if self.fewer.receiver_count() > 0 {
            self.fewer.send_replace(());
        }
    }

    /// Resolves when nothing runs and nothing more can come: what was on its way when the worker said that it drains
    /// would be lost otherwise.
    pub(super) async fn idle(&self) {
        let mut fewer = self.fewer.subscribe();
        while self.sessions().iter().any(|session| session.is_busy()) {
            // A lease that passes rings no bell.
            let _ = tokio::time::timeout(LOOK_AGAIN, fewer.changed()).await;
        }
    }

    /// Gives back what runs, and stops it.
    pub(super) fn hand_back(&self) {
        self.each(Session::hand_back);
    }

    /// Ends all streams, for good.
    pub(super) fn close(&self) {
        self.closed.cancel();
        self.each(Session::hang_up);
    }
}
