//! Every background task, by name. The only caller of `spawn`.

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::model::error::{Error, Result, reason};

/// Spawns tasks and waits for them.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    /// Kept, so that a guard which is dropped outside of the runtime can still hand over what it guards.
    runtime: Handle,
}

impl Tasks {
    /// Tasks of the runtime this is called in.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tracker: TaskTracker::new(),
            runtime: Handle::current(),
        }
    }

    /// Spawns a task. Its name is on its log lines.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let span = tracing::debug_span!("task", name);
        self.tracker.spawn_on(task.instrument(span), &self.runtime);
    }

    /// Runs a task to its end, even where whoever waits for it goes away.
    ///
    /// # Errors
    ///
    /// What the task answers; `UNAVAILABLE` / `SHUTTING_DOWN` where the runtime ends first.
    pub async fn see_through<T: Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let span = tracing::debug_span!("task", name);
        let task = self.tracker.spawn_on(task.instrument(span), &self.runtime);
        task.await
            .unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => {
                    let message = "the node ended before this was done";
                    Err(Error::unavailable(reason::NODE_STOPPING, message))
                }
            })
    }

    /// Waits until all tasks have ended. None may be spawned by those who wait; what is spawned by tasks is waited for.
    pub async fn finished(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}
