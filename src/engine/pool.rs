//! What the engine needs of whoever knows the other processes that serve a service.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::error::{Error, reason};
use crate::model::id::ServiceName;
use crate::service::{BoxFuture, Definition, WorkerPermit};

/// Whether a worker is asked, by what it declares.
pub type Accepts<'a> = &'a (dyn Fn(&Definition) -> bool + Send + Sync);

/// Any worker is.
pub(super) fn any(_: &Definition) -> bool {
    true
}

/// The workers that serve one service.
pub trait WorkerPool: fmt::Debug + Send + Sync {
    /// A seat at the worker that has most to spare, without waiting for one. Only of workers whose declaration passes
    /// `takes`.
    fn try_acquire(&self, takes: Accepts<'_>) -> Option<Arc<dyn WorkerPermit>>;

    /// Waits for a seat at a worker whose declaration passes `takes`; `None` once there is none. Cancel safe.
    fn acquire<'a>(&'a self, takes: Accepts<'a>) -> BoxFuture<'a, Option<Arc<dyn WorkerPermit>>>;

    /// Waits until somebody serves the service. Cancel safe.
    fn wait_served(&self) -> BoxFuture<'_, ()>;

    /// Whether somebody serves it now.
    fn is_served(&self) -> bool {
        !self.locations().is_empty()
    }

    /// Where it is served.
    fn locations(&self) -> Vec<Location>;
}

/// A service that workers serve.
#[derive(Clone, Debug)]
pub struct WorkerService {
    /// The declaration in force: the newest one among theirs.
    pub definition: Arc<Definition>,
    /// The workers.
    pub pool: Arc<dyn WorkerPool>,
}

/// Where a service is served: the node itself, or a worker.
#[derive(Clone, Debug)]
pub struct Location {
    /// The worker's id; empty for the node itself.
    pub worker_id: String,
    /// What the worker calls itself.
    pub worker_name: String,
    /// What it was built from, as it says.
    pub build_id: String,
    /// What it declares.
    pub definition: Arc<Definition>,
    /// How many of the service's handlers run there.
    pub running: usize,
    /// Since when it serves it.
    pub since: Timestamp,
    /// Whether its stream is gone, and it has the lease to come back.
    pub away: bool,
}

/// `UNAVAILABLE` / `NO_WORKER`.
pub(super) fn no_worker(service: &ServiceName) -> Error {
    let message =
        format!("nobody serves `{service}` now: start its worker, or invoke it in the background");
    Error::unavailable(reason::NO_WORKER, message).with_info("service", service)
}
