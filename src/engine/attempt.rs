//! Running a handler: its hooks, its panics, and what becomes of it when nobody waits for it any more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Span;

use crate::engine::dispatch::Dispatch;
use crate::engine::later::Awaited;
use crate::model::error::{Error, Kind, Result};
use crate::model::payload::{Payload, Reply};
use crate::service::{CatchUnwind, Context, Definition, HandlerFuture, run};

/// A handler under way, with an owner.
///
/// Await it. When it is dropped before it has ended (its caller went away, its deadline passed), the handler is asked
/// to stop and goes on in a task of its own for the grace period; then it is dropped, and its hooks run. Nothing is
/// spawned on the ordinary path.
#[derive(Debug)]
pub(super) struct Attempt(Stage);

#[derive(Debug)]
enum Stage {
    Running(Running),
    /// The handler answered "later": its slot is free, its caller waits on.
    Later(Awaited),
    Over,
}

struct Running {
    future: HandlerFuture,
    /// Ends the handler, not the hooks after it. `None` where there are no hooks.
    kill: Option<CancellationToken>,
    /// Holds the slot, and with it the place in all limits.
    dispatch: Arc<Dispatch>,
    span: Span,
    /// The node does not stop before it.
    _work: TaskTrackerToken,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("dispatch", &self.dispatch)
            .finish_non_exhaustive()
    }
}

impl Attempt {
    pub(super) fn new(
        definition: &Arc<Definition>,
        dispatch: Arc<Dispatch>,
        context: Context,
        input: Payload,
    ) -> Self {
        let span = tracing::info_span!(
            "invocation",
            cid = %dispatch.cid,
            service.name = definition.name().as_str(),
        );
        let hooks = &dispatch.invoker.0.hooks;
        let at_worker = definition.is_served_by_workers();
        let permit = at_worker.then(|| dispatch.slot.seat()).flatten();
        let (future, kill) = span.in_scope(|| run(definition, hooks, permit, context, input));
        let work = dispatch.invoker.0.work.token();
        Self(Stage::Running(Running {
            future,
            kill,
            dispatch,
            span,
            _work: work,
        }))
    }
}

impl Attempt {
    /// Whether its handler runs in another process: it cannot be ended from here.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(&self.0, Stage::Running(running) if running.dispatch.slot.seat().is_some())
    }

    /// Ends a handler that was asked to stop and did not: drops it and runs its hooks.
    pub(super) async fn end(mut self) {
        if let Stage::Running(running) = self.over() {
            let grace = running.dispatch.invoker.0.limits.grace;
            kill(running, grace).await;
        }
    }

    fn over(&mut self) -> Stage {
        std::mem::replace(&mut self.0, Stage::Over)
    }
}

impl Future for Attempt {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let outcome = match &mut self.0 {
            Stage::Running(running) => ready!(running.poll(cx)),
            Stage::Later(awaited) => ready!(Pin::new(awaited).poll(cx)),
            Stage::Over => return Poll::Pending,
        };
        if let Stage::Running(running) = self.over()
            && outcome.is_ok()
            && let Some(token) = running.dispatch.awaited()
        {
            self.0 = Stage::Later(running.dispatch.invoker.0.laters.wait(token));
            return self.poll(cx);
        }
        Poll::Ready(outcome)
    }
}

impl Running {
    fn poll(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<Reply>> {
        let _entered = self.span.enter();
        let outcome = ready!(Pin::new(&mut CatchUnwind(&mut self.future)).poll(cx));
        // A failure that is handed on by one caller after another is logged once, where it leaves.
        if let Err(error) = &outcome
            && self.dispatch.callers.is_none()
        {
            log_failure(error);
        }
        Poll::Ready(outcome)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.dispatch.slot.close();
        self.dispatch.withdraw();
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Stage::Running(running) = self.over() {
            running.dispatch.cancel.cancel();
            let engine = &running.dispatch.invoker.0;
            let grace = engine.limits.grace;
            engine.tasks.clone().spawn("grace", linger(running, grace));
        }
    }
}

/// Lets a handler that nobody waits for end by itself, and ends it after the grace period.
async fn linger(mut running: Running, grace: Duration) {
    let mut ended = std::future::poll_fn(|cx| running.poll(cx).map(drop));
    if tokio::time::timeout(grace, Pin::new(&mut ended))
        .await
        .is_err()
    {
        kill(running, grace).await;
    }
}

/// Drops a handler; where it has hooks, they run.
async fn kill(mut running: Running, grace: Duration) {
    let service = running.dispatch.service.clone();
    running.span.in_scope(|| {
        tracing::warn!(%service, grace_ms = grace.as_millis(), "handler dropped: it did not stop in time");
    });
    if let Some(kill) = running.kill.clone() {
        kill.cancel();
        let ended = std::future::poll_fn(|cx| running.poll(cx).map(drop));
        // Hooks have as much time again.
        let _ = tokio::time::timeout(grace, ended).await;
    }
}

/// Logs what an operator has to look at; what a caller has to mend is the caller's to log.
fn log_failure(error: &Error) {
    let (reason, trace) = (error.reason(), error.trace());
    match error.kind() {
        Kind::Internal | Kind::Unknown | Kind::DataLoss => {
            tracing::error!(reason, trace, location = %error.location(), "{error}");
        }
        _ => tracing::debug!(reason, trace, "{error}"),
    }
}
