//! Runs a handler with its hooks and turns panics into errors.

use std::any::Any;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use tokio_util::sync::CancellationToken;

use crate::model::error::{Error, Kind, PANICKED, Result, reason};
use crate::model::invocation::should_retry;
use crate::model::payload::{Payload, Reply};
use crate::service::context::Context;
use crate::service::definition::{Definition, HandlerFuture};
use crate::service::hooks::ErasedHooks;
use crate::service::worker_permit::WorkerPermit;

/// Runs the handler of a service inside its own hooks, which are inside `hooks`. Where there are hooks, the returned
/// token ends the handler and not the hooks that follow it.
pub fn run(
    definition: &Arc<Definition>,
    hooks: &[Arc<dyn ErasedHooks>],
    permit: Option<Arc<dyn WorkerPermit>>,
    context: Context,
    input: Payload,
) -> (HandlerFuture, Option<CancellationToken>) {
    let own = definition.own_hooks();
    if hooks.is_empty() && own.is_empty() {
        let future = catch_panic(|| call(definition, permit, context, input));
        return (future, None);
    }
    let hooks = hooks.iter().chain(own).cloned().collect();
    let kill = CancellationToken::new();
    let definition = Arc::clone(definition);
    let future = with_hooks(definition, hooks, permit, context, input, kill.clone());
    (Box::pin(future), Some(kill))
}

/// Calls the handler in this process, or at the worker whose permit the dispatch has.
fn call(
    definition: &Definition,
    permit: Option<Arc<dyn WorkerPermit>>,
    context: Context,
    input: Payload,
) -> HandlerFuture {
    match permit {
        None => definition.call(context, input),
        Some(permit) => {
            let worker = Arc::clone(&permit);
            let cid = context.cid();
            let handler = |context, input| permit.dispatch(context, input);
            definition.call_with(context, input, handler, move |error| {
                worker.report_invalid_output(cid, error);
            })
        }
    }
}

/// Calls a handler with hooks.
async fn with_hooks(
    definition: Arc<Definition>,
    hooks: Vec<Arc<dyn ErasedHooks>>,
    permit: Option<Arc<dyn WorkerPermit>>,
    context: Context,
    mut input: Payload,
    kill: CancellationToken,
) -> Result<Reply> {
    let mut outcome = match run_before_hooks(&hooks, &context, &mut input).await {
        // The invocation may have been cancelled while the hooks ran.
        Ok(()) if context.is_cancelled() => Err(cancelled_error()),
        Ok(()) => {
            let handler = CatchUnwind(catch_panic(|| {
                call(&definition, permit, context.clone(), input)
            }));
            tokio::select! {
                biased;
                outcome = handler => outcome,
                () = kill.cancelled() => Err(cancelled_error()),
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
            Err(error) => {
                let trace = error.trace();
                tracing::error!(%error, trace, "hook `after` failed");
            }
        }
    }
    for hook in hooks.iter().rev() {
        let finally = Box::pin(async {
            hook.finally(&context).await;
            Ok(())
        });
        if let Err(error) = CatchUnwind(finally).await {
            let trace = error.trace();
            tracing::error!(%error, trace, "hook `finally` failed");
        }
    }
    outcome
}

fn cancelled_error() -> Error {
    let message = "the service was cancelled and did not stop within the grace period";
    Error::cancelled(reason::CANCELLED, message)
}

async fn run_before_hooks(
    hooks: &[Arc<dyn ErasedHooks>],
    context: &Context,
    input: &mut Payload,
) -> Result<()> {
    for hook in hooks {
        CatchUnwind(hook.before(context, input)).await?;
    }
    Ok(())
}

/// Logs failures that an operator has to fix as errors; those that a caller has to fix are debug output.
pub(crate) fn log_failure(error: &Error) {
    let (reason, trace) = (error.reason(), error.trace());
    match is_for_operator(error) {
        true => {
            let location = location(error).map(tracing::field::display);
            let cause = log_message(error);
            tracing::error!(reason, trace, location, "{cause}");
        }
        false => tracing::debug!(reason, trace, "{error}"),
    }
}

/// Logs the failure of an attempt that a worker runs: as a warning where another attempt follows.
pub(crate) fn log_attempt_failure(error: &Error, has_attempts_left: bool) {
    if !has_attempts_left || !is_for_operator(error) || !should_retry(error) {
        return log_failure(error);
    }
    let (reason, trace, cause) = (error.reason(), error.trace(), log_message(error));
    let location = location(error).map(tracing::field::display);
    tracing::warn!(reason, trace, location, "attempt failed: {cause}");
}

/// Whether an operator has to fix the cause of a failure, and not a caller.
pub(crate) fn is_for_operator(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::Internal | Kind::Unknown | Kind::DataLoss
    )
}

/// Where a failure was made, unless that is in this crate: its users look for the line in their own code.
pub(crate) fn location(error: &Error) -> Option<&'static Location<'static>> {
    let this_crate = file!().strip_suffix("service/run.rs").unwrap_or_default();
    let is_ours = |location: &&Location<'_>| location.file().starts_with(this_crate);
    error.location().filter(|location| !is_ours(location))
}

/// The message of a failure in a log: of a failure that the handler did not declare, its cause.
pub(crate) fn log_message(error: &Error) -> String {
    undeclared_cause(error).unwrap_or_else(|| error.to_string())
}

/// The cause of a failure that the handler did not declare, whose message says only where the log is.
fn undeclared_cause(error: &Error) -> Option<String> {
    match error.reason() {
        reason::HANDLER_FAILED | reason::HANDLER_PANICKED => {
            let trace = error.trace()?;
            let mut lines = trace.lines();
            // The last line of a traceback is the cause.
            let cause = match trace.starts_with("Traceback ") {
                true => lines.next_back(),
                false => lines.next(),
            };
            cause.map(str::to_owned)
        }
        _ => None,
    }
}

/// A future that turns panics into errors.
#[derive(Debug)]
pub struct CatchUnwind<F>(pub F);

impl<T, F: Future<Output = Result<T>> + Unpin> Future for CatchUnwind<F> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.0).poll(cx))) {
            Ok(polled) => polled,
            Err(panic) => Poll::Ready(Err(panic_error(&*panic))),
        }
    }
}

/// Creates the future of a handler, which can already panic before its first `await`.
fn catch_panic(call: impl FnOnce() -> HandlerFuture) -> HandlerFuture {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let error = panic_error(&*panic);
        Box::pin(std::future::ready(Err(error)))
    })
}

fn panic_error(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::internal(reason::HANDLER_PANICKED, PANICKED)
        .without_location()
        .with_trace(format!("panicked: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::runtime::CapturedLog;

    #[test]
    fn a_failed_attempt_is_a_warning_while_another_one_follows() {
        let broken = || Error::internal("BROKEN", "broken");
        for (error, has_attempts_left, level) in [
            (broken(), true, "WARN"),
            (broken(), false, "ERROR"),
            (broken().with_retryable(false), true, "ERROR"),
        ] {
            let log = CapturedLog::of(|| log_attempt_failure(&error, has_attempts_left));
            assert!(log.contains(level) && log.contains("broken"), "{log}");
        }
        let of_the_caller = Error::not_found("NO_ORDER", "no such order");
        let log = CapturedLog::of(|| log_attempt_failure(&of_the_caller, true));
        assert_eq!(log, "");
    }
}
