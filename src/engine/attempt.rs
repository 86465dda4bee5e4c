//! Running a handler: its hooks, its panics, and what becomes of it when nobody waits for it any more.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Span;

use crate::engine::dispatch::Dispatch;
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::payload::{Payload, Reply};
use crate::service::{Context, Definition, ErasedHooks, HandlerFuture};

/// A handler under way, with an owner.
///
/// Await it. When it is dropped before it has ended (its caller went away, its deadline passed), the handler is asked
/// to stop and goes on in a task of its own for the grace period; then it is dropped, and its hooks run. Nothing is
/// spawned on the ordinary path.
#[derive(Debug)]
pub(super) struct Attempt(Option<Running>);

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
        let node = &dispatch.invoker.0.hooks;
        let own = definition.all_hooks();
        let (future, kill) = if node.is_empty() && own.is_empty() {
            let _entered = span.enter();
            (guarded(|| definition.call(context, input)), None)
        } else {
            let hooks = node.iter().chain(own).cloned().collect();
            let kill = CancellationToken::new();
            let future = with_hooks(Arc::clone(definition), hooks, context, input, kill.clone());
            (Box::pin(future) as HandlerFuture, Some(kill))
        };
        let work = dispatch.invoker.0.work.token();
        Self(Some(Running {
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
        let running = self.0.as_ref();
        running.is_some_and(|running| running.dispatch.slot.seat().is_some())
    }

    /// Ends a handler that was asked to stop and did not: drops it and runs its hooks.
    pub(super) async fn end(mut self) {
        if let Some(running) = self.0.take() {
            let grace = running.dispatch.invoker.0.limits.grace;
            kill(running, grace).await;
        }
    }
}

impl Future for Attempt {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let Some(running) = &mut self.0 else {
            return Poll::Pending;
        };
        let outcome = ready!(running.poll(cx));
        self.0 = None;
        Poll::Ready(outcome)
    }
}

impl Running {
    fn poll(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<Reply>> {
        let _entered = self.span.enter();
        let outcome = ready!(Pin::new(&mut Caught(&mut self.future)).poll(cx));
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
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
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

/// Calls a handler with the hooks around it.
async fn with_hooks(
    definition: Arc<Definition>,
    hooks: Vec<Arc<dyn ErasedHooks>>,
    context: Context,
    mut input: Payload,
    kill: CancellationToken,
) -> Result<Reply> {
    let mut outcome = match before(&hooks, &context, &mut input).await {
        // It may have taken its time.
        Ok(()) if context.is_cancelled() => Err(stopped()),
        Ok(()) => {
            let handler = Caught(guarded(|| definition.call(context.clone(), input)));
            tokio::select! {
                biased;
                outcome = handler => outcome,
                () = kill.cancelled() => Err(stopped()),
            }
        }
        Err(error) => Err(error),
    };
    for hook in hooks.iter().rev() {
        let mut changed = outcome.clone();
        let after = Box::pin(async {
            hook.after(&context, &mut changed).await;
            Ok(())
        });
        match Caught(after).await {
            Ok(()) => outcome = changed,
            Err(error) => tracing::error!(%error, "hook `after` failed"),
        }
    }
    for hook in hooks.iter().rev() {
        let finally = Box::pin(async {
            hook.finally(&context).await;
            Ok(())
        });
        if let Err(error) = Caught(finally).await {
            tracing::error!(%error, "hook `finally` failed");
        }
    }
    outcome
}

fn stopped() -> Error {
    let message = "the service was cancelled and did not stop in time";
    Error::cancelled(reason::CANCELLED, message)
}

async fn before(
    hooks: &[Arc<dyn ErasedHooks>],
    context: &Context,
    input: &mut Payload,
) -> Result<()> {
    for hook in hooks {
        Caught(hook.before(context, input)).await?;
    }
    Ok(())
}

/// A future whose panics are failures.
struct Caught<F>(F);

impl<T, F: Future<Output = Result<T>> + Unpin> Future for Caught<F> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.0).poll(cx))) {
            Ok(polled) => polled,
            Err(panic) => Poll::Ready(Err(panicked(&*panic))),
        }
    }
}

/// Makes a handler's future. What runs before its first `await` can panic as well.
fn guarded(call: impl FnOnce() -> HandlerFuture) -> HandlerFuture {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let error = panicked(&*panic);
        Box::pin(std::future::ready(Err(error)))
    })
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(panic = text, "handler panicked");
    Error::internal(
        reason::HANDLER_PANICKED,
        "the service panicked; its log has the details",
    )
}

/// Logs what an operator has to look at; what a caller has to mend is the caller's to log.
fn log_failure(error: &Error) {
    let cause = std::error::Error::source(error).map(tracing::field::display);
    match error.kind() {
        Kind::Internal | Kind::Unknown | Kind::DataLoss => tracing::error!(
            reason = error.reason(),
            cause,
            location = %error.location(),
            "{error}"
        ),
        _ => tracing::debug!(reason = error.reason(), cause, "{error}"),
    }
}
