//! Hooks around handlers, for one service or for the whole node.

use std::fmt;

use crate::model::error::Result;
use crate::model::payload::{Payload, Reply};
use crate::service::context::Context;
use crate::service::platform::BoxFuture;

/// Hooks: code that runs before and after the handler of a service. The hooks of the node or worker enclose those of
/// the service.
///
/// ```
/// use cidery::{Context, Hooks, Payload, Result};
///
/// struct Audit;
///
/// impl Hooks for Audit {
///     async fn before(&self, ctx: &Context, _input: &mut Payload) -> Result<()> {
///         tracing::info!(service = %ctx.service(), "called");
///         Ok(())
///     }
/// }
/// ```
pub trait Hooks: Send + Sync + 'static {
    /// Runs before the handler and can change the input. If it fails, the handler does not run and the invocation fails
    /// with its error; `after` and `finally` still run.
    fn before(
        &self,
        _context: &Context,
        _input: &mut Payload,
    ) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Runs after the handler, also after a failure, a cancellation or a panic, and can change the outcome.
    fn after(
        &self,
        _context: &Context,
        _outcome: &mut Result<Reply>,
    ) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Runs last, after every outcome.
    fn finally(&self, _context: &Context) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// [`Hooks`] behind a pointer.
pub trait ErasedHooks: Send + Sync {
    /// See [`Hooks::before`].
    fn before<'a>(
        &'a self,
        context: &'a Context,
        input: &'a mut Payload,
    ) -> BoxFuture<'a, Result<()>>;
    /// See [`Hooks::after`].
    fn after<'a>(
        &'a self,
        context: &'a Context,
        outcome: &'a mut Result<Reply>,
    ) -> BoxFuture<'a, ()>;
    /// See [`Hooks::finally`].
    fn finally<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, ()>;
}

impl<H: Hooks> ErasedHooks for H {
    fn before<'a>(
        &'a self,
        context: &'a Context,
        input: &'a mut Payload,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(Hooks::before(self, context, input))
    }

    fn after<'a>(
        &'a self,
        context: &'a Context,
        outcome: &'a mut Result<Reply>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(Hooks::after(self, context, outcome))
    }

    fn finally<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, ()> {
        Box::pin(Hooks::finally(self, context))
    }
}

impl fmt::Debug for dyn ErasedHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooks")
    }
}
