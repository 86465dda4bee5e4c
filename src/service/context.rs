//! The context of one dispatch: who is called, under which CID, until when, and the way to other services.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{InReplyTo, Progress};
use crate::model::metadata::Metadata;
use crate::model::payload::Payload;
use crate::service::platform::{KnownService, Platform};
use crate::service::states::States;

/// What a handler knows of its invocation, and its way to other services. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    facts: InvocationInfo,
    cancelled: CancellationToken,
    platform: Arc<dyn Platform>,
    states: Arc<States>,
}

/// What is known of a dispatch.
#[derive(Clone, Debug)]
pub struct InvocationInfo {
    /// The invocation.
    pub cid: Cid,
    /// The service.
    pub service: ServiceName,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// When the handler must have answered.
    pub deadline: Option<Instant>,
    /// What the caller sent along.
    pub metadata: Arc<Metadata>,
    /// The invocation whose handler made this call.
    pub parent: Option<Cid>,
    /// The invocation all this began with.
    pub root: Cid,
    /// Whether it runs in the background, where progress and items have readers.
    pub asynchronous: bool,
    /// The last progress of the attempt before.
    pub last_progress: Option<Progress>,
    /// The invocation whose outcome this one was invoked with.
    pub in_reply_to: Option<InReplyTo>,
}

impl Context {
    /// Puts a context together: the engine does, and a worker.
    #[must_use]
    pub fn new(
        facts: InvocationInfo,
        cancelled: CancellationToken,
        platform: Arc<dyn Platform>,
        states: Arc<States>,
    ) -> Self {
        Self(Arc::new(Inner {
            facts,
            cancelled,
            platform,
            states,
        }))
    }

    /// The CID of the invocation. A nested synchronous call has its caller's.
    #[must_use]
    pub fn cid(&self) -> Cid {
        self.0.facts.cid
    }

    /// The name this handler was called by.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        &self.0.facts.service
    }

    /// The number of this attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.facts.attempt
    }

    /// When the handler must have answered, if ever.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.facts.deadline
    }

    /// How long the handler has left, if there is a deadline.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline()
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// What the caller sent along.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.0.facts.metadata
    }

    /// All that is known of this dispatch.
    #[must_use]
    pub fn facts(&self) -> &InvocationInfo {
        &self.0.facts
    }

    /// For a callback: the invocation whose outcome it was invoked with.
    #[must_use]
    pub fn in_reply_to(&self) -> Option<&InReplyTo> {
        self.0.facts.in_reply_to.as_ref()
    }

    /// Shows a sign of life. In the background the attempt's timeout runs from the last one, followers see it, and the
    /// next attempt can read it. In a nested call, or one that nobody stores, it is dropped.
    pub fn progress(&self, progress: Progress) {
        self.0.platform.progress(progress);
    }

    /// The last progress that the attempt before this one reported.
    #[must_use]
    pub fn last_progress(&self) -> Option<&Progress> {
        self.0.facts.last_progress.as_ref()
    }

    /// Emits an item into the result stream. In a nested call, or one that nobody stores, it is dropped.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `ITEMS_LIMIT` above 10 000 items or 16 MiB of them.
    pub async fn emit(&self, item: impl Into<Payload>) -> Result<()> {
        self.0.platform.emit(item.into()).await
    }

    /// The services that can be invoked, by name.
    ///
    /// # Errors
    ///
    /// What the platform answers.
    pub async fn services(&self) -> Result<Vec<KnownService>> {
        self.0.platform.services().await
    }

    /// Resolves when the invocation is no longer wanted: its caller went away, its deadline passed, someone cancelled
    /// it. The handler then has a grace period (5 s) before it is dropped.
    pub async fn cancelled(&self) {
        self.0.cancelled.cancelled().await;
    }

    /// Whether the invocation is no longer wanted.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.is_cancelled()
    }

    pub(crate) fn platform(&self) -> &Arc<dyn Platform> {
        &self.0.platform
    }

    pub(crate) fn states(&self) -> &States {
        &self.0.states
    }
}
