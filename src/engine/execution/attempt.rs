//! An attempt: runs a handler with its hooks, catches its panics, and enforces the grace period when it is dropped.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Span;

use crate::engine::execution::dispatch::Dispatch;
use crate::engine::execution::pending_completions::CompletionFuture;
use crate::engine::trace::{AttemptTrace, Ended, call_span};
use crate::model::error::{Error, Result, reason};
use crate::model::payload::{Payload, Reply};
use crate::service::{
    CatchUnwind, Context, Definition, HandlerFuture, Platform, error_of_handler, log_failure, run,
};

/// A running handler. Await it.
///
/// When an attempt is dropped before it has ended (its caller left, its deadline passed), its handler is asked to stop
/// and continues in a background task for the grace period; then the handler is dropped and its hooks run. Nothing is
/// spawned on the ordinary path.
#[derive(Debug)]
pub(in crate::engine) struct Attempt(Stage);

#[derive(Debug)]
enum Stage {
    Running(Running),
    /// The handler answered "later": its permits are released, and its caller waits for the completion.
    AwaitingCompletion(CompletionFuture),
    Ended,
}

struct Running {
    future: HandlerFuture,
    /// Drops the handler, but not the hooks that run after it. `None` where there are no hooks.
    kill: Option<CancellationToken>,
    /// Holds the permits.
    dispatch: Arc<Dispatch>,
    /// Of the log.
    span: Span,
    /// Taken when the handler has ended.
    trace: Option<AttemptTrace>,
    /// Keeps the node from stopping.
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
    pub(in crate::engine) fn new(
        definition: &Arc<Definition>,
        dispatch: Arc<Dispatch>,
        input: Payload,
        trace: Option<AttemptTrace>,
    ) -> Self {
        let context = Context::new(Arc::clone(&dispatch) as Arc<dyn Platform>);
        let info = dispatch.info();
        let span = call_span(info.cid, definition.name().as_str(), &info.metadata);
        let hooks = &dispatch.runtime().hooks;
        let at_worker = definition.is_served_by_workers();
        let permit = at_worker.then(|| dispatch.permits.worker()).flatten();
        let (future, kill) = span.in_scope(|| run(definition, hooks, permit, context, input));
        let work = dispatch.runtime().lifecycle.work_token();
        Self(Stage::Running(Running {
            future,
            kill,
            dispatch,
            span,
            trace,
            _work: work,
        }))
    }

    /// Whether a worker runs the handler: it cannot be dropped from here.
    pub(in crate::engine) fn runs_at_worker(&self) -> bool {
        matches!(&self.0, Stage::Running(running) if running.dispatch.permits.worker().is_some())
    }

    /// Records why the handler is asked to stop, before it is.
    pub(in crate::engine) fn set_stop_cause(&self, cause: Error) {
        if let Stage::Running(running) = &self.0 {
            running.dispatch.set_stop_cause(cause);
        }
    }

    /// Drops a handler that was asked to stop and did not, and runs its hooks.
    pub(in crate::engine) async fn kill(mut self) {
        if let Stage::Running(running) = self.take() {
            let grace = running.dispatch.runtime().limits.grace;
            kill(running, grace).await;
        }
    }

    fn take(&mut self) -> Stage {
        std::mem::replace(&mut self.0, Stage::Ended)
    }
}

impl Future for Attempt {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let outcome = match &mut self.0 {
            Stage::Running(running) => ready!(running.poll(cx)),
            Stage::AwaitingCompletion(completion) => ready!(Pin::new(completion).poll(cx)),
            Stage::Ended => return Poll::Pending,
        };
        if let Stage::Running(running) = self.take()
            && outcome.is_ok()
            && let Some(token) = running.dispatch.awaited_call_token()
        {
            let completions = &running.dispatch.runtime().completions;
            self.0 = Stage::AwaitingCompletion(completions.wait(token));
            return self.poll(cx);
        }
        Poll::Ready(outcome)
    }
}

impl Running {
    fn poll(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<Reply>> {
        let _entered = self.span.enter();
        let outcome = ready!(Pin::new(&mut CatchUnwind(&mut self.future)).poll(cx));
        let outcome = outcome.map_err(|error| self.failure(error));
        // A failure that nested calls pass on is logged once, by the outermost one. That of a stored invocation is
        // logged once it is known what follows.
        if let Err(error) = &outcome
            && !self.dispatch.is_nested()
            && !self.dispatch.is_stored()
        {
            log_failure(error);
        }
        if let Some(trace) = self.trace.take() {
            self.end_trace(trace, &outcome);
        }
        Poll::Ready(outcome)
    }

    fn end_trace(&self, trace: AttemptTrace, outcome: &Result<Reply>) {
        let ended = match outcome.is_ok() && self.dispatch.answers_later().is_some() {
            true => Ended::Later,
            false => Ended::Answered(outcome),
        };
        trace.end(ended, self.dispatch.known_stop_cause());
    }

    /// The failure of the handler, as its caller and the log get it.
    fn failure(&self, error: Error) -> Error {
        let dispatch = &self.dispatch;
        let error = dispatch.nested_failure.explain(error);
        let error = error_of_handler(error, dispatch.info().service.as_str());
        match dispatch.permits.worker() {
            Some(worker) => error.with_log_of(format_args!("worker `{}`", worker.worker())),
            None => error.with_log_of(format_args!("the node")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(trace) = self.trace.take() {
            let message = "the handler was dropped before it ended";
            self.end_trace(trace, &Err(Error::cancelled(reason::CANCELLED, message)));
        }
        self.dispatch.permits.close(self.dispatch.cancelled());
        self.dispatch.withdraw_token();
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Stage::Running(running) = self.take() {
            running.dispatch.cancelled().cancel();
            let runtime = running.dispatch.runtime();
            let grace = runtime.limits.grace;
            let tasks = runtime.lifecycle.tasks().clone();
            tasks.spawn("grace", finish_within_grace(running, grace));
        }
    }
}

/// Lets a cancelled handler end by itself within the grace period, and drops it afterwards.
async fn finish_within_grace(mut running: Running, grace: Duration) {
    let mut ended = std::future::poll_fn(|cx| running.poll(cx).map(drop));
    if tokio::time::timeout(grace, Pin::new(&mut ended))
        .await
        .is_err()
    {
        kill(running, grace).await;
    }
}

/// Drops a handler and runs its hooks, which have the grace period in turn.
async fn kill(mut running: Running, grace: Duration) {
    let service = running.dispatch.info().service.clone();
    running.span.in_scope(|| {
        tracing::warn!(%service, grace_ms = grace.as_millis(), "handler dropped: it did not stop in time");
    });
    if let Some(kill) = running.kill.clone() {
        kill.cancel();
        let ended = std::future::poll_fn(|cx| running.poll(cx).map(drop));
        let _ = tokio::time::timeout(grace, ended).await;
    }
}
