//! What a running handler can ask of the platform. The engine implements it, and so does a worker's stream: a handler
//! need not know where it runs.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::{Accepted, Call};
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Outcome, Progress};
use crate::model::payload::{Payload, Reply};
use crate::model::token::Token;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One dispatch's way back into the platform.
pub trait Platform: fmt::Debug + Send + Sync {
    /// Invokes another service as part of this invocation and waits for its reply.
    fn invoke(&self, call: Call) -> BoxFuture<'_, Result<Reply>>;

    /// Accepts an invocation of its own. Durable once this resolves.
    fn invoke_async(&self, call: Call) -> BoxFuture<'_, Result<Accepted>>;

    /// Accepts many invocations at once, all of them or none. Durable once this resolves.
    fn invoke_batch(&self, batch: Batch) -> BoxFuture<'_, Result<AcceptedGroup>>;

    /// The services from the invocation's own to this one, with `/` between them; `None` where it is the invocation's
    /// own.
    fn path(&self) -> Option<String> {
        None
    }

    /// Waits until an invocation has ended, or so long; answers whether it has. The handler's slot is free meanwhile.
    fn wait_for(&self, cid: Cid, at_most: Duration) -> BoxFuture<'_, Result<bool>>;

    /// The outcomes of the members of a group that has ended, in the order of their requests.
    fn outcomes<'a>(
        &'a self,
        group: &'a AcceptedGroup,
    ) -> BoxFuture<'a, Result<Vec<(Cid, Outcome)>>>;

    /// Shows a sign of life. Never waits; only the last one counts.
    fn progress(&self, progress: Progress);

    /// Emits an item into the result stream.
    fn emit(&self, item: Payload) -> BoxFuture<'_, Result<()>>;

    /// The token that the outcome of this dispatch can be given with, once its handler has answered "later".
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `LATER_LIMIT`.
    fn later(&self) -> Result<Token>;

    /// Takes note that the handler answers "later", as it ends.
    ///
    /// # Errors
    ///
    /// As for [`later`](Self::later).
    fn answer_later(&self, token: Token) -> Result<()>;

    /// Whether the handler answered "later", and the token that gives the outcome.
    fn answers_later(&self) -> Option<Token>;

    /// The services there are, by name.
    fn services(&self) -> BoxFuture<'_, Result<Vec<KnownService>>>;
}

/// A service that can be invoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownService {
    /// Its name.
    pub name: ServiceName,
    /// What it does, in a sentence.
    pub description: String,
}
