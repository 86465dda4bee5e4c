//! The context of a handler: CID, deadline, metadata, cancellation, progress and calls of other services.

mod fan_out;
mod invoke;
mod later;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use self::fan_out::{FanOut, Group};
pub use self::later::{Answer, Later};
pub use self::retry::RetryingCall;
use crate::model::access::Principal;
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::into_payload::IntoPayload;
use crate::model::invocation::{InReplyTo, Progress};
use crate::model::metadata::{Metadata, TRACEPARENT};
use crate::service::handler_scope::InvocationInfo;
use crate::service::output::output_invalid;
use crate::service::platform::{BoxFuture, KnownService, Platform};
use crate::service::states::States;

/// The context of a handler: what is known of its invocation, calls of other services, progress and items,
/// cancellation. Cheap to clone.
///
/// ```
/// use cidery::{Context, Progress, Result, dict};
///
/// async fn build_report(ctx: Context) -> Result<()> {
///     for page in 1..=3 {
///         ctx.emit(dict! { "page": page }).await?;
///         ctx.progress(Progress::at(f64::from(page) / 3.0));
///     }
///     ctx.invoke("report.built", dict! { "cid": ctx.cid().to_string() }).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Context(Arc<dyn Platform>);

impl Context {
    /// Creates a context, in the engine or in a worker.
    #[doc(hidden)]
    #[must_use]
    pub fn new(platform: Arc<dyn Platform>) -> Self {
        Self(platform)
    }

    /// The CID of the invocation. A nested synchronous call has that of its caller.
    #[must_use]
    pub fn cid(&self) -> Cid {
        self.info().cid
    }

    /// The name of the invoked service.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        &self.info().service
    }

    /// The number of this attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.info().attempt
    }

    /// The deadline of the handler, if there is one.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.info().deadline
    }

    /// The time left until the deadline, if there is one.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline()
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// The metadata of the caller.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.info().metadata
    }

    /// The W3C trace context of the call, for calls that are made past this context: the header `traceparent`. `None`
    /// where the caller has no trace and the node begins none. Calls through the context carry it by themselves.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.metadata().get(TRACEPARENT)
    }

    /// Who asked: the principal of the caller from outside at the root of the call chain. `None` where authentication
    /// is off, and for a call that the program itself makes.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.info().principals.as_ref()?.principal.as_ref()
    }

    /// Who acts: of a call from outside the same principal; of a call that a handler makes, the principal that its
    /// worker serves with. `None` for a call of a handler in the node.
    #[must_use]
    pub fn acting_principal(&self) -> Option<&Principal> {
        self.info().principals.as_ref()?.acting_principal.as_ref()
    }

    /// All that is known of the invocation.
    #[must_use]
    pub fn info(&self) -> &InvocationInfo {
        &self.0.scope().info
    }

    /// For a callback: the invocation whose outcome it was invoked with.
    #[must_use]
    pub fn in_reply_to(&self) -> Option<&InReplyTo> {
        self.info().in_reply_to.as_ref()
    }

    /// Reports progress. In an asynchronous invocation each report restarts the attempt's timeout, is visible to
    /// followers, and can be read by the next attempt. In a nested call, or one that is not stored, it is dropped.
    ///
    /// A report whose value has more than 64 KiB (`Limits::progress_bytes`) only restarts the timeout: the report
    /// before it stays, and a warning is logged.
    pub fn progress(&self, progress: Progress) {
        if let Err(error) = self.0.progress(progress) {
            tracing::warn!(%error, "progress report dropped");
        }
    }

    /// The last progress report of the previous attempt, from which this one can continue. `None` in the first attempt.
    #[must_use]
    pub fn last_progress(&self) -> Option<&Progress> {
        self.info().last_progress.as_ref()
    }

    /// Emits an item into the result stream, which clients follow with [`Client::results`](crate::Client::results). The
    /// item is as the input of [`invoke`](Self::invoke). In a nested call, or one that is not stored, it is dropped.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `ITEMS_LIMIT` above 10 000 items or 16 MiB of them; `INTERNAL` / `OUTPUT_INVALID` where
    /// the item cannot be serialized.
    // The future does not name the type of the item, so that the compiler reports a wrong one once.
    pub fn emit(&self, item: impl IntoPayload) -> BoxFuture<'_, Result<()>> {
        let item = item.into_payload().map_err(output_invalid);
        Box::pin(async move { self.0.emit(item?).await })
    }

    /// Lists the services that can be invoked, by name.
    ///
    /// # Errors
    ///
    /// In a worker, `UNAVAILABLE` where the connection to the node is lost.
    pub async fn services(&self) -> Result<Vec<KnownService>> {
        self.0.services().await
    }

    /// Resolves when the invocation is cancelled: its caller disconnected, its deadline passed, or a cancellation was
    /// requested. At a node the handler then has a grace period (5 s) before it is dropped; a worker does not drop it.
    pub async fn cancelled(&self) {
        self.0.scope().cancelled.cancelled().await;
    }

    /// Whether the invocation is cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.scope().cancelled.is_cancelled()
    }

    pub(crate) fn platform(&self) -> &Arc<dyn Platform> {
        &self.0
    }

    pub(crate) fn states(&self) -> &States {
        &self.0.scope().states
    }
}
