//! Background tasks: each has a name and is waited for at the end. The only caller of `spawn`.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::service::BoxFuture;

/// Spawns background tasks, and waits for them when the node or the worker stops.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    /// Kept so that a guard that is dropped outside of the runtime can still spawn.
    runtime: Handle,
}

impl Tasks {
    /// Tasks on the current runtime.
    ///
    /// # Panics
    ///
    /// If there is no current runtime.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tracker: TaskTracker::new(),
            runtime: Handle::current(),
        }
    }

    /// Spawns a task. Its log lines carry its name, where the log has all details: to others, it means nothing.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let span = tracing::trace_span!(parent: None, "task", name);
        self.tracker.spawn_on(task.instrument(span), &self.runtime);
    }

    /// Runs a computation on a thread where it may take long. `None` if it panics.
    pub async fn compute<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let computed = self.tracker.spawn_blocking_on(compute, &self.runtime);
        computed.await.ok()
    }

    /// Runs a task to its end, even if the returned future is dropped: only then is the task spawned.
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

    /// Waits until all tasks have ended, those included that tasks spawn.
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

/// A task that runs to its end, awaited or dropped.
#[must_use = "the task does not run before this is awaited or dropped"]
pub struct RunToCompletion<T: Send + 'static> {
    /// `None` once the task has ended, and while it is polled: a task that panicked is not polled again.
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
