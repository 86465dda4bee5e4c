//! Worker pools: the trait by which the engine acquires permits of the workers that serve a service.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::error::{Error, reason};
use crate::model::id::ServiceName;
use crate::service::{BoxFuture, Definition, WorkerPermit};

/// Whether a worker is eligible, by its declaration of the service.
pub type Accepts<'a> = &'a (dyn Fn(&Definition) -> bool + Send + Sync);

/// Every worker is eligible.
pub(in crate::engine) fn any_worker(_: &Definition) -> bool {
    true
}

/// The workers that serve one service.
pub trait WorkerPool: fmt::Debug + Send + Sync {
    /// A permit of the least loaded worker whose declaration passes `accepts`, without waiting.
    fn try_acquire(&self, accepts: Accepts<'_>) -> Option<Arc<dyn WorkerPermit>>;

    /// Waits for a permit of a worker whose declaration passes `accepts`; `None` once no such worker is connected, or
    /// was shortly before ([`Limits::away_wait`](crate::engine::Limits::away_wait)).
    ///
    /// # Cancel safety
    ///
    /// A caller that stops waiting acquires nothing.
    fn acquire<'a>(&'a self, accepts: Accepts<'a>) -> BoxFuture<'a, Option<Arc<dyn WorkerPermit>>>;

    /// Waits until a worker serves the service.
    ///
    /// # Cancel safety
    ///
    /// The wait can be dropped and started again.
    fn wait_served(&self) -> BoxFuture<'_, ()>;

    /// Whether a worker serves the service now: it is connected, and does not drain.
    fn is_served(&self) -> bool;

    /// When a worker served the service last, as far as the node knows, where none does now; `None` where none ever
    /// did.
    fn last_served(&self) -> Option<Timestamp>;

    /// When a worker announced the service first.
    fn announced(&self) -> Timestamp;

    /// How many dispatches the workers that serve the service run at once, those of their other services included.
    fn credit(&self) -> usize;

    /// The workers that serve the service.
    fn locations(&self) -> Vec<Location>;
}

/// A service that workers serve.
#[derive(Clone, Debug)]
pub struct WorkerService {
    /// The declaration in force: the newest one of those that connected workers declare.
    pub definition: Arc<Definition>,
    /// The workers.
    pub pool: Arc<dyn WorkerPool>,
}

/// Where a service is served: this node, or a worker.
#[derive(Clone, Debug)]
pub struct Location {
    /// The id of the worker; empty for this node.
    pub worker_id: String,
    /// The name of the worker, from its hello.
    pub worker_name: String,
    /// The build of the worker, from its hello.
    pub build_id: String,
    /// How the service is declared there.
    pub definition: Arc<Definition>,
    /// How many handlers of the service run there.
    pub running: usize,
    /// When the service was first served there.
    pub since: Timestamp,
    /// Whether the worker is disconnected and its lease has not expired.
    pub away: bool,
}

/// How soon a call that found no worker, but one that may come back, may be retried.
const AWAY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// `UNAVAILABLE` / `NO_WORKER`. With `RetryInfo` where a worker is away and may come back.
pub(in crate::engine) fn no_worker(service: &ServiceName, pool: Option<&dyn WorkerPool>) -> Error {
    let is_away = pool.is_some_and(|pool| pool.locations().iter().any(|location| location.away));
    let message = format!("no worker is connected for `{service}`");
    let error = Error::unavailable(reason::NO_WORKER, message).with_info("service", service);
    match is_away {
        true => error.with_retry_after(AWAY_RETRY_AFTER),
        false => error,
    }
}
