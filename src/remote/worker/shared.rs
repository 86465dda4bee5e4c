//! The state that all tasks of a worker share: its handlers, whether it drains, and when it is closed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::service::runtime::Tasks;
use crate::service::{Definition, ErasedHooks, States};

/// The shared state of a worker.
#[derive(Debug)]
pub(super) struct WorkerShared {
    pub(super) handlers: HashMap<String, Arc<Definition>>,
    pub(super) states: Arc<States>,
    pub(super) hooks: Vec<Arc<dyn ErasedHooks>>,
    tasks: Tasks,
    is_draining: AtomicBool,
    /// Notifies when a dispatch or a session ends.
    ended: watch::Sender<()>,
    /// The worker stops: it does not reconnect.
    closed: CancellationToken,
}

impl WorkerShared {
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
            is_draining: AtomicBool::new(false),
            ended: watch::Sender::new(()),
            closed: CancellationToken::new(),
        })
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(super) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    pub(super) fn set_draining(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    /// Notifies tasks that wait for the end of dispatches or sessions.
    pub(super) fn notify_ended(&self) {
        // A task subscribes before it checks the condition that it waits for.
        if self.ended.receiver_count() > 0 {
            self.ended.send_replace(());
        }
    }

    /// Subscribes to [`notify_ended`](Self::notify_ended).
    pub(super) fn subscribe_ended(&self) -> watch::Receiver<()> {
        self.ended.subscribe()
    }
}
