//! Every background task, by name. The only caller of `spawn`.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::service::BoxFuture;

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

    /// Runs a task to its end, even where whoever waits for it goes away: then it is spawned, and not before.
    pub fn run_to_completion<T: Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = T> + Send + 'static,
    ) -> RunToCompletion<T> {
        RunToCompletion {
            task: Some(Box::pin(task)),
            name,
            tasks: self.clone(),
        }
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

/// A task that runs to its end, whether it is awaited or dropped.
#[must_use = "it does nothing before it is awaited or dropped"]
pub struct RunToCompletion<T: Send + 'static> {
    /// `None` once it has ended, and while it is polled: what panicked is not polled again.
    task: Option<BoxFuture<'static, T>>,
    name: &'static str,
    tasks: Tasks,
}

impl<T: Send + 'static> std::fmt::Debug for RunToCompletion<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunToCompletion")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Future for RunToCompletion<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(mut task) = self.task.take() else {
            return Poll::Pending;
        };
        let polled = task.as_mut().poll(cx);
        if polled.is_pending() {
            self.task = Some(task);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for RunToCompletion<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.tasks.spawn(self.name, async move { drop(task.await) });
        }
    }
}
