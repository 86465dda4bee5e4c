//! The interface from a running handler to the platform. The engine implements it, and so does a worker, so that
//! handlers behave the same in both.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use crate::model::access::Principal;
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::{Accepted, Call};
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Outcome, Progress};
use crate::model::payload::{Payload, Reply};
use crate::model::token::Token;
use crate::service::handler_scope::HandlerScope;
use crate::service::response::Response;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The platform as one dispatch sees it.
pub trait Platform: fmt::Debug + Send + Sync {
    /// What the handler of the dispatch runs in.
    fn scope(&self) -> &HandlerScope;

    /// Invokes another service as part of this invocation and waits for its reply.
    fn invoke(&self, call: Call) -> BoxFuture<'_, Result<Reply>>;

    /// As [`invoke`](Self::invoke), and reads the reply.
    fn respond(&self, call: Call) -> BoxFuture<'_, Result<Response>> {
        Box::pin(async move { Response::new(self.scope().info.cid, self.invoke(call).await?) })
    }

    /// Accepts an asynchronous invocation. It is durable once this resolves.
    fn invoke_async(&self, call: Call) -> BoxFuture<'_, Result<Accepted>>;

    /// Accepts many invocations atomically, all of them or none. They are durable once this resolves.
    fn invoke_batch(&self, batch: Batch) -> BoxFuture<'_, Result<AcceptedGroup>>;

    /// The principal for which the handler makes its calls: that of its worker. `None` for a handler in the node, and
    /// where authentication is off.
    fn acting_principal(&self) -> Option<Principal> {
        None
    }

    /// The path of nested services from that of the invocation to this one, separated by `/`; `None` where this is the
    /// service of the invocation.
    fn path(&self) -> Option<String> {
        None
    }

    /// Waits until an invocation has ended, at most this long; returns whether it has. The permit of the handler is
    /// released meanwhile.
    fn wait_for(&self, cid: Cid, at_most: Duration) -> BoxFuture<'_, Result<bool>>;

    /// The outcomes of the members of a group that has ended, in the order of their requests.
    fn outcomes<'a>(
        &'a self,
        group: &'a AcceptedGroup,
    ) -> BoxFuture<'a, Result<Vec<(Cid, Outcome)>>>;

    /// Reports progress, which also restarts the attempt timeout. Never waits; only the last report counts.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `PROGRESS_TOO_LARGE`: the report only restarts the attempt timeout.
    fn progress(&self, progress: Progress) -> Result<()>;

    /// Restarts the attempt timeout.
    fn heartbeat(&self) {}

    /// Why the handler is asked to stop, once it is.
    fn stop_cause(&self) -> Error {
        Error::cancelled(reason::CANCELLED, "the outcome is no longer needed")
    }

    /// Emits an item into the result stream.
    fn emit(&self, item: Payload) -> BoxFuture<'_, Result<()>>;

    /// The token that completes this dispatch, once its handler has returned `Later`.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `LATER_LIMIT`.
    fn later(&self) -> Result<Token>;

    /// Records that the handler returns `Later`, as it ends.
    ///
    /// # Errors
    ///
    /// As for [`later`](Self::later).
    fn answer_later(&self, token: Token) -> Result<()>;

    /// The token of the asynchronous completion, if the handler returned `Later`.
    fn answers_later(&self) -> Option<Token>;

    /// The services that can be invoked, by name.
    fn services(&self) -> BoxFuture<'_, Result<Vec<KnownService>>>;
}

/// The name and the description of a service that can be invoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownService {
    /// The name.
    pub name: ServiceName,
    /// The description, in a sentence.
    pub description: String,
}
