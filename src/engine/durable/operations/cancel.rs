//! Cancellation: of pending and running invocations, and of groups with all their members.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use crate::engine::durable::commit::Committer;
use crate::engine::durable::transition::Trigger;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::results::hub::{Hub, Subscription};
use crate::engine::results::lookup::{InvocationView, Results};
use crate::engine::routing::Routes;
use crate::engine::store::{Filter, STORE_RETRY_DELAY, Store};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::Invocation;
use crate::service::BoxFuture;

/// How long a cancellation waits for an invocation that is claimed and has no attempt yet: mostly microseconds.
const CLAIM_TIMEOUT: Duration = Duration::from_millis(100);
/// How many members of a group are cancelled at once: they share the commits of the store.
const CONCURRENT_CANCELLATIONS: usize = 64;
/// How many groups one query lists, when cancellations are resumed.
const PAGE_SIZE: usize = 100;

/// Cancels invocations.
#[derive(Debug)]
pub(in crate::engine) struct Canceller {
    pub(in crate::engine) store: Arc<dyn Store>,
    pub(in crate::engine) hub: Arc<Hub>,
    pub(in crate::engine) routes: Arc<Routes>,
    pub(in crate::engine) results: Arc<Results>,
    pub(in crate::engine) committer: Arc<Committer>,
    pub(in crate::engine) lifecycle: Arc<Lifecycle>,
}

impl Canceller {
    /// Resumes the cancellations of groups that an earlier node did not finish.
    pub(in crate::engine) fn start(self: &Arc<Self>) {
        let resume = Arc::clone(self).resume_group_cancellations();
        self.lifecycle.spawn_until_drain("cancelled groups", resume);
    }

    /// Cancels an invocation: at once where it does not run; otherwise its handler is asked to stop, which is recorded
    /// before this resolves, and dropped after the grace period. The reason is part of the outcome.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `ENDED`; the errors of the store.
    pub(in crate::engine) async fn cancel(
        self: &Arc<Self>,
        cid: Cid,
        cancel_reason: Option<String>,
    ) -> Result<InvocationView> {
        let cancel = Arc::clone(self).cancel_now(cid, cancel_reason);
        let tasks = self.lifecycle.tasks();
        tasks.run_to_completion("cancel", cancel).await
    }

    /// The invocation that [`cancel`](Self::cancel) would cancel.
    ///
    /// # Errors
    ///
    /// As for [`cancel`](Self::cancel).
    pub(in crate::engine) async fn check(&self, cid: Cid) -> Result<InvocationView> {
        let view = self.results.get(cid).await?;
        match view.invocation.state.is_terminal() {
            true => Err(already_ended(&view.invocation)),
            false => Ok(view),
        }
    }

    async fn cancel_now(
        self: Arc<Self>,
        cid: Cid,
        cancel_reason: Option<String>,
    ) -> Result<InvocationView> {
        let recorded = || self.store.request_cancel(cid, cancel_reason.clone());
        let until = Instant::now() + CLAIM_TIMEOUT;
        // Subscribed before anything is read: a change in between notifies.
        let invocation = Subscription::new(&self.hub, cid);
        loop {
            if let Some(live) = self.hub.live(cid) {
                // Otherwise the attempt ends just now, and its commit notifies.
                if recorded().await? && live.request_cancel(cancel_reason.as_deref()) {
                    return self.results.get(cid).await;
                }
            } else {
                let view = self.check(cid).await?;
                if view.invocation.request.group().is_some() {
                    return self.cancel_group(cid, cancel_reason).await;
                }
                // Otherwise the invocation was claimed, and its attempt or its commit notifies.
                if self
                    .cancel_pending(&view.invocation, cancel_reason.clone())
                    .await?
                {
                    return self.results.get(cid).await;
                }
            }
            if timeout_at(until, invocation.changed()).await.is_err() {
                break;
            }
        }
        // The holder of the claim reads the request before it starts an attempt.
        recorded().await?;
        self.check(cid).await
    }

    async fn cancel_pending(
        &self,
        invocation: &Invocation,
        cancel_reason: Option<String>,
    ) -> Result<bool> {
        let route = self.routes.find(invocation.request.service.as_str())?;
        let (state, trigger) = (invocation.state, Trigger::Cancelled(cancel_reason));
        let cancelled = self.committer.try_apply(&route, invocation, state, trigger);
        cancelled.await
    }

    /// Cancels the members of a group that have not ended; the group ends with the last of them.
    fn cancel_group(
        self: &Arc<Self>,
        group: Cid,
        cancel_reason: Option<String>,
    ) -> BoxFuture<'_, Result<InvocationView>> {
        Box::pin(async move {
            // Recorded first: the next node resumes where this one ends before all members are cancelled.
            self.store
                .request_cancel(group, cancel_reason.clone())
                .await?;
            let members = self.store.members(group).await?;
            let cancelled = futures_util::stream::iter(members)
                .map(|(_, cid)| self.cancel(cid, cancel_reason.clone()));
            let mut cancelled = cancelled.buffer_unordered(CONCURRENT_CANCELLATIONS);
            let mut failed = None;
            while let Some(cancelled) = cancelled.next().await {
                // A member that has ended is no failure, and one that cannot be cancelled does not stop the others.
                if let Err(error) = cancelled
                    && error.reason() != reason::ENDED
                {
                    failed.get_or_insert(error);
                }
            }
            match failed {
                Some(error) => Err(error),
                None => self.results.get(group).await,
            }
        })
    }

    async fn resume_group_cancellations(self: Arc<Self>) {
        while let Err(error) = self.resume_once().await {
            // The services of workers may not be declared yet.
            tracing::warn!(%error, "cannot resume the cancellation of groups; retrying");
            tokio::time::sleep(STORE_RETRY_DELAY).await;
        }
    }

    async fn resume_once(self: &Arc<Self>) -> Result<()> {
        let waiting = || Filter {
            include_waiting: true,
            ..Filter::default()
        };
        let (mut before, mut failed) = (None, Ok(()));
        loop {
            let page = self.store.list(waiting(), before, PAGE_SIZE).await?;
            for found in page.invocations {
                if found.request.group().is_some()
                    && found.cancel_requested
                    && let Err(error) = self.cancel(found.request.cid, found.cancel_reason).await
                    && error.reason() != reason::ENDED
                {
                    failed = Err(error);
                }
            }
            before = page.next;
            if before.is_none() {
                return failed;
            }
        }
    }
}

/// `FAILED_PRECONDITION` / `ENDED`.
fn already_ended(invocation: &Invocation) -> Error {
    let message = format!(
        "{} has already ended: {}",
        invocation.request.cid,
        invocation.state.name()
    );
    Error::failed_precondition(reason::ENDED, message)
}
