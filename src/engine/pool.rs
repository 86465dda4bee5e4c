//! What the engine needs of whoever knows the other processes that serve a service.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::error::{Error, reason};
use crate::model::id::ServiceName;
use crate::service::{BoxFuture, Definition, Seat};

/// The workers that serve one service.
pub trait Pool: fmt::Debug + Send + Sync {
    /// A seat at the worker that has most to spare, without waiting for one. Only of workers whose declaration passes
    /// `takes`.
    fn try_seat(&self, takes: &dyn Fn(&Definition) -> bool) -> Option<Arc<dyn Seat>>;

    /// Waits for a seat; `None` once nobody serves the service. Cancel safe.
    fn seat(&self) -> BoxFuture<'_, Option<Arc<dyn Seat>>>;

    /// Waits until somebody serves the service. Cancel safe.
    fn served(&self) -> BoxFuture<'_, ()>;

    /// Whether somebody serves it now.
    fn is_served(&self) -> bool {
        !self.locations().is_empty()
    }

    /// Where it is served.
    fn locations(&self) -> Vec<Location>;
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
}

/// `UNAVAILABLE` / `NO_WORKER`.
pub(super) fn no_worker(service: &ServiceName) -> Error {
    let message =
        format!("nobody serves `{service}` now: start its worker, or invoke it in the background");
    Error::unavailable(reason::NO_WORKER, message).with_fact("service", service)
}
