//! Services that are handled elsewhere: a dispatch is handed over to a worker, in a seat that it has there.

use std::fmt;
use std::sync::Arc;

use crate::model::payload::Payload;
use crate::model::token::Token;
use crate::service::context::Context;
use crate::service::definition::{Definition, HandlerFuture};
use crate::service::platform::BoxFuture;

/// What becomes of a dispatch that was handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DispatchStatus {
    /// It ends with an outcome, or has ended so.
    #[default]
    Open,
    /// It never went out: the worker had left.
    NotStarted,
    /// The worker gave it back, and may have begun.
    HandedBack,
    /// The worker was lost: it may have run, or not.
    Lost,
}

/// A place at a worker: it takes as many dispatches at once as it has seats. Free again once the worker has ended what
/// runs in it, whoever still waits for that.
pub trait WorkerPermit: fmt::Debug + Send + Sync {
    /// What the worker declares of the service: another worker may declare something else.
    fn definition(&self) -> &Arc<Definition>;

    /// What has become of the dispatch that was handed over.
    fn status(&self) -> DispatchStatus;

    /// The token of the dispatch that was sent with this permit, once it was sent.
    fn token(&self) -> Option<Token> {
        None
    }

    /// The worker, for people: its name and its id.
    fn worker(&self) -> &str;

    /// Hands a dispatch over; resolves with its outcome. Where it is dropped before that the outcome is not wanted any
    /// more: the worker is told, and what it still answers is refused.
    fn dispatch(self: Arc<Self>, context: Context, input: Payload) -> HandlerFuture;

    /// Gives the seat to others while the handler waits for a nested call.
    fn release(&self);

    /// Takes it back without waiting, if there is one.
    fn try_reacquire(&self) -> bool;

    /// Takes it back.
    fn reacquire(&self) -> BoxFuture<'_, ()>;
}
