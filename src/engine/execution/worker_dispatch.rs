//! Dispatch to workers: finds a worker whose declaration accepts the input, and retries where the worker did not run
//! it.

use std::sync::Arc;

use tokio::time::Instant;

use crate::engine::admission::concurrency::Permits;
use crate::engine::admission::worker_pool::no_worker;
use crate::engine::execution::deadline::{CallLimits, WithDeadline};
use crate::engine::execution::dispatch::NestedInvoker;
use crate::engine::execution::executor::{Scope, SyncRequest, start};
use crate::engine::execution::response_format::outcome_with_ignored;
use crate::engine::execution::runtime::HandlerRuntime;
use crate::engine::routing::Route;
use crate::model::error::{Error, Result, reason};
use crate::model::payload::{Payload, Reply};
use crate::service::{Admitted, Definition, DispatchStatus, WorkerPermit};

/// Permits to run a handler that accepts the input.
pub(in crate::engine) struct Compatible {
    pub(in crate::engine) permits: Permits,
    pub(in crate::engine) admitted: Admitted,
    /// Whether it took a wait until a worker that accepts the input had a free permit.
    pub(in crate::engine) waited: bool,
}

/// Why no permits were acquired.
pub(in crate::engine) enum NotAcquired {
    /// No connected worker accepts the input.
    NoCompatibleWorker,
    /// Too many calls wait for a worker that accepts their input.
    QueueFull(Error),
    /// Background work stopped waiting: it took too long, the node halts, or the invocation has ended meanwhile.
    GaveUp,
    /// The input is invalid, or the deadline of the call passed.
    Failed(Error),
}

impl NotAcquired {
    fn into_error(self, route: &Route) -> Error {
        match self {
            Self::NoCompatibleWorker | Self::GaveUp => no_compatible_worker(route),
            Self::QueueFull(error) | Self::Failed(error) => error,
        }
    }
}

/// Checks the input against the declaration of the worker whose permit is held. If it is not accepted there, waits for
/// a free permit of a worker that accepts it, until `give_up` resolves.
pub(in crate::engine) async fn acquire_compatible(
    runtime: &HandlerRuntime,
    route: &Route,
    permits: Permits,
    input: Payload,
    give_up: impl Future<Output = NotAcquired>,
) -> Result<Compatible, NotAcquired> {
    let at_once = |permits, admitted| Compatible {
        permits,
        admitted,
        waited: false,
    };
    let Some(worker) = permits.worker() else {
        let admitted = runtime.admit(route, input).map_err(NotAcquired::Failed)?;
        return Ok(at_once(permits, admitted));
    };
    if let Ok(admitted) = worker.definition().admit(input.clone()) {
        return Ok(at_once(permits, admitted));
    }
    let accepts = |definition: &Definition| definition.admit(input.clone()).is_ok();
    // Other calls may use the permits meanwhile.
    drop(permits);
    let permits = tokio::select! {
        biased;
        permits = route.limit.acquire_compatible(route.name(), &accepts) => {
            permits.map_err(NotAcquired::QueueFull)?
        }
        error = give_up => return Err(error),
    };
    let acquired = permits.and_then(|permits| Some((permits.worker()?.clone(), permits)));
    let (worker, permits) = acquired.ok_or(NotAcquired::NoCompatibleWorker)?;
    let admitted = worker.definition().admit(input);
    Ok(Compatible {
        permits,
        admitted: admitted.map_err(NotAcquired::Failed)?,
        waited: true,
    })
}

/// Runs a synchronous call at a worker. It is dispatched again where the worker returned it or was lost, if it had not
/// started or the service is idempotent. Notes when it was dispatched first.
pub(in crate::engine) async fn dispatch_to_worker(
    invoker: &Arc<dyn NestedInvoker>,
    route: &Arc<Route>,
    limits: CallLimits<'_>,
    request: Box<SyncRequest>,
    started: &mut Option<Instant>,
) -> Result<Reply> {
    let runtime = invoker.runtime();
    // The declaration in force comes first: callers know that one.
    let mut admitted = runtime.admit_new(route, request.input.clone())?;
    let ignored = std::mem::take(&mut admitted.ignored);
    let mut admitted = Some(admitted);
    let mut retries_left = runtime.limits.max_crashes;
    loop {
        let permits = match limits.try_acquire_permits() {
            Some(permits) => permits,
            None => {
                let SyncRequest { info, .. } = &*request;
                Box::pin(limits.acquire_traced(&runtime.tracer, info.cid, &info.metadata)).await?
            }
        };
        let is_in_force =
            |worker: &Arc<dyn WorkerPermit>| Arc::ptr_eq(worker.definition(), &route.definition);
        let (permits, Admitted { input, .. }) = match admitted.take() {
            // Most workers declare just that: the input is not checked twice.
            Some(admitted) if permits.worker().is_some_and(is_in_force) => (permits, admitted),
            _ => {
                let input = request.input.clone();
                let give_up = async { NotAcquired::Failed(limits.given_up().await) };
                let acquire = acquire_compatible(runtime, route, permits, input, give_up);
                let acquired = Box::pin(acquire).await;
                let acquired = acquired.map_err(|error| error.into_error(route))?;
                (acquired.permits, acquired.admitted)
            }
        };
        let Some(worker) = permits.worker().cloned() else {
            // The service is served by this process now.
            return Err(no_worker(route.name(), None));
        };
        let definition = Arc::clone(worker.definition());
        let scope = Scope {
            callers: request.callers.clone(),
            ..Scope::default()
        };
        let info = request.info.clone();
        let invoker = Arc::clone(invoker);
        started.get_or_insert_with(Instant::now);
        let (attempt, _) = start(invoker, route, &definition, permits, info, scope, input);
        let outcome = WithDeadline::new(attempt, limits).await;
        let status = worker.status();
        if status == DispatchStatus::Lost {
            route.tally.metrics.crashed();
        }
        let is_safe_to_retry = match status {
            DispatchStatus::Open => false,
            DispatchStatus::NotStarted => true,
            DispatchStatus::HandedBack | DispatchStatus::Lost => {
                definition.service_options().idempotent
            }
        };
        if !is_safe_to_retry || outcome.is_ok() || retries_left == 0 {
            return outcome_with_ignored(outcome, &ignored);
        }
        retries_left -= 1;
    }
}

/// `UNAVAILABLE` / `NO_COMPATIBLE_WORKER`.
pub(in crate::engine) fn no_compatible_worker(route: &Route) -> Error {
    let message = format!(
        "no connected worker of `{}` accepts this input",
        route.name()
    );
    Error::unavailable(reason::NO_COMPATIBLE_WORKER, message)
}
