//! Worker permits: permission to dispatch one call to a worker that serves the service.

use std::fmt;
use std::sync::Arc;

use crate::model::access::Caller;
use crate::model::error::Error;
use crate::model::id::Cid;
use crate::model::payload::Payload;
use crate::model::token::Token;
use crate::service::context::Context;
use crate::service::definition::{Definition, HandlerFuture};
use crate::service::platform::BoxFuture;

/// The status of a dispatch to a worker. It decides whether the call is safe to retry: the reason of an error does not,
/// as any handler can return it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DispatchStatus {
    /// It is in flight, or ended with an outcome.
    #[default]
    Open,
    /// It was not sent: the worker had disconnected.
    NotStarted,
    /// The worker handed it back, and may have started it.
    HandedBack,
    /// The worker was lost, and may have run it.
    Lost,
}

/// A permit of a worker, which has as many as it runs dispatches at once. It is free again when the worker has ended
/// the dispatch, even if no caller waits for it any more.
pub trait WorkerPermit: fmt::Debug + Send + Sync {
    /// The worker's declaration of the service: that of another worker may differ.
    fn definition(&self) -> &Arc<Definition>;

    /// The status of the dispatch.
    fn status(&self) -> DispatchStatus;

    /// The token of the dispatch, once it is sent.
    fn token(&self) -> Option<Token>;

    /// The caller that opened the stream of the worker.
    fn caller(&self) -> Caller;

    /// The name and the id of the worker, for people.
    fn worker(&self) -> &str;

    /// Sends a dispatch and resolves with its outcome. Where the future is dropped before that, the worker is asked to
    /// cancel the dispatch, and a later result is refused.
    fn dispatch(self: Arc<Self>, context: Context, input: Payload) -> HandlerFuture;

    /// Reports a response that violates the declaration to the worker, for its log. Does not wait.
    fn report_invalid_output(&self, cid: Cid, error: &Error);

    /// Releases the permit while the handler waits for a nested call.
    fn release(&self);

    /// Reacquires the permit without waiting; returns whether it was free.
    fn try_reacquire(&self) -> bool;

    /// Waits for the permit and reacquires it.
    fn reacquire(&self) -> BoxFuture<'_, ()>;
}
