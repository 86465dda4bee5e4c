//! Worker permits: a permit to run one dispatch at a worker, and the status of that dispatch.

use std::fmt;
use std::sync::Arc;

use crate::model::payload::Payload;
use crate::service::context::Context;
use crate::service::definition::{Definition, HandlerFuture};
use crate::service::platform::BoxFuture;

/// The status of a dispatch at a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DispatchStatus {
    /// It is running, or ended with an outcome.
    #[default]
    Open,
    /// It was never sent: the worker had disconnected.
    NotStarted,
    /// The worker returned it, and may have started it.
    HandedBack,
    /// The worker was lost, so that it may or may not have run.
    Lost,
}

/// A permit to run one dispatch at a worker, which limits how many run there at once. It is released when the worker
/// has ended the dispatch, even if the caller stopped waiting before.
pub trait WorkerPermit: fmt::Debug + Send + Sync {
    /// The declaration of this worker, which may differ from that of another worker.
    fn definition(&self) -> &Arc<Definition>;

    /// The status of the dispatch.
    fn status(&self) -> DispatchStatus;

    /// The name and the ID of the worker, for people.
    fn worker(&self) -> &str;

    /// Sends the dispatch to the worker and resolves with its outcome. Dropping the future cancels the dispatch at the
    /// worker, and a result that arrives later is rejected.
    fn run(self: Arc<Self>, context: Context, input: Payload) -> HandlerFuture;

    /// Releases the permit while the handler waits for a nested call.
    fn lend(&self);

    /// Acquires it again without waiting, if one is available.
    fn try_take_back(&self) -> bool;

    /// Acquires it again.
    fn take_back(&self) -> BoxFuture<'_, ()>;
}
