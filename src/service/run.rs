//! Running a handler: the hooks around it, and its panics, which are failures.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use tokio_util::sync::CancellationToken;

use crate::model::error::{Error, Result, reason};
use crate::model::payload::{Payload, Reply};
use crate::service::context::Context;
use crate::service::definition::{Definition, HandlerFuture};
use crate::service::hooks::ErasedHooks;
use crate::service::worker_permit::WorkerPermit;

/// Runs a service's handler, with `hooks` around it and its own inside of them. Where there are hooks, the token that
/// is answered ends the handler and not the hooks after it.
pub fn run(
    definition: &Arc<Definition>,
    hooks: &[Arc<dyn ErasedHooks>],
    permit: Option<Arc<dyn WorkerPermit>>,
    context: Context,
    input: Payload,
) -> (HandlerFuture, Option<CancellationToken>) {
    let own = definition.own_hooks();
    if hooks.is_empty() && own.is_empty() {
        let future = guarded(|| call(definition, permit, context, input));
        return (future, None);
    }
    let hooks = hooks.iter().chain(own).cloned().collect();
    let kill = CancellationToken::new();
    let definition = Arc::clone(definition);
    let future = with_hooks(definition, hooks, permit, context, input, kill.clone());
    (Box::pin(future), Some(kill))
}

/// Calls the handler: here, or at the worker whose permit the dispatch has.
fn call(
    definition: &Definition,
    permit: Option<Arc<dyn WorkerPermit>>,
    context: Context,
    input: Payload,
) -> HandlerFuture {
    match permit {
        None => definition.call(context, input),
        Some(permit) => {
            definition.call_with(context, input, |context, input| permit.run(context, input))
        }
    }
}

/// Calls a handler with the hooks around it.
async fn with_hooks(
    definition: Arc<Definition>,
    hooks: Vec<Arc<dyn ErasedHooks>>,
    permit: Option<Arc<dyn WorkerPermit>>,
    context: Context,
    mut input: Payload,
    kill: CancellationToken,
) -> Result<Reply> {
    let mut outcome = match before(&hooks, &context, &mut input).await {
        // It may have taken its time.
        Ok(()) if context.is_cancelled() => Err(stopped()),
        Ok(()) => {
            let handler = CatchUnwind(guarded(|| {
                call(&definition, permit, context.clone(), input)
            }));
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
        match CatchUnwind(after).await {
            Ok(()) => outcome = changed,
            Err(error) => tracing::error!(%error, "hook `after` failed"),
        }
    }
    for hook in hooks.iter().rev() {
        let finally = Box::pin(async {
            hook.finally(&context).await;
            Ok(())
        });
        if let Err(error) = CatchUnwind(finally).await {
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
        CatchUnwind(hook.before(context, input)).await?;
    }
    Ok(())
}

/// A future whose panics are failures.
#[derive(Debug)]
pub struct CatchUnwind<F>(pub F);

impl<T, F: Future<Output = Result<T>> + Unpin> Future for CatchUnwind<F> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
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
    .with_trace(format!("panicked: {text}"))
}
