//! The phases in which a node stops: drain, close, halt; and the count of the work under way.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::model::error::{Error, Result, reason};
use crate::service::runtime::Tasks;

/// Where a node is between its start and its end. One for the whole engine.
///
/// A node stops in three phases: it *drains* (refuses new work and lets running handlers finish), *closes* (ends
/// followers and watchers, which would wait for work that this node no longer does), and *halts* (cancels the handlers
/// that still run).
#[derive(Debug)]
pub(super) struct Lifecycle {
    tasks: Tasks,
    draining: CancellationToken,
    closing: CancellationToken,
    halting: CancellationToken,
    /// Counts what is under way: a call until it is answered, an attempt until its end is committed.
    work: TaskTracker,
}

impl Lifecycle {
    pub(super) fn new(tasks: Tasks) -> Self {
        Self {
            tasks,
            draining: CancellationToken::new(),
            closing: CancellationToken::new(),
            halting: CancellationToken::new(),
            work: TaskTracker::new(),
        }
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Refuses new work from now on.
    pub(super) fn drain(&self) {
        self.draining.cancel();
    }

    /// Ends followers and watchers.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    /// Cancels running handlers.
    pub(super) fn halt(&self) {
        self.draining.cancel();
        self.halting.cancel();
    }

    /// Fires when followers and watchers end.
    pub(super) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Fires when running handlers are cancelled.
    pub(super) fn halting(&self) -> &CancellationToken {
        &self.halting
    }

    /// Counts a piece of work until the token is dropped.
    pub(super) fn work_token(&self) -> TaskTrackerToken {
        self.work.token()
    }

    /// Waits until no work is under way.
    pub(super) async fn wait_idle(&self) {
        self.work.close();
        self.work.wait().await;
    }

    /// Refuses new work while the node stops.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `NODE_STOPPING`.
    pub(super) fn check_accepting(&self) -> Result<()> {
        match self.draining.is_cancelled() {
            true => Err(node_stopping()),
            false => Ok(()),
        }
    }

    /// Spawns a background task that is dropped when the drain begins.
    pub(super) fn spawn_until_drain(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let draining = self.draining.clone();
        self.tasks.spawn(name, async move {
            tokio::select! {
                () = draining.cancelled() => {}
                () = task => {}
            }
        });
    }
}

/// `UNAVAILABLE` / `NODE_STOPPING`.
pub(super) fn node_stopping() -> Error {
    let message = "the node is stopping: repeat the call";
    Error::unavailable(reason::NODE_STOPPING, message)
}
