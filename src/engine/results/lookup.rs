//! Look-ups: the current state of an invocation, and waiting for its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::time::{Instant, timeout_at};

use crate::codec::proto::v1::PendingReason;
use crate::engine::byte_budget::{ByteBudget, Reservation};
use crate::engine::clock::Clock;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::results::bounded_read;
use crate::engine::results::follower::{FollowLimits, FollowRequest, Follower, FollowerEvent};
use crate::engine::results::hub::Hub;
use crate::engine::results::reading::{cid_unknown, is_owned, result_expired};
use crate::engine::routing::Routes;
use crate::engine::store::{Store, Stored};
use crate::model::access::{Owners, Principal};
use crate::model::batch::AcceptedGroup;
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{HELD, Invocation, Outcome, State};

/// How many members of a group are read at once: each may have megabytes.
pub(in crate::engine) const CONCURRENT_READS: usize = 4;

/// The current state of an invocation.
#[derive(Clone, Debug)]
pub struct InvocationView {
    /// The invocation.
    pub invocation: Invocation,
    /// Whether it is pending and due.
    pub due: bool,
    /// Whether it is pending and neither this node nor a worker serves its service now.
    pub unserved: bool,
    /// Whether it is pending and no attempt starts: its service is paused or disabled, or the node is held.
    pub paused: bool,
}

impl InvocationView {
    /// Why it is pending.
    #[must_use]
    pub fn pending_reason(&self) -> PendingReason {
        match self.invocation.shown_state() {
            State::Pending { .. } if self.is_held() => PendingReason::Held,
            // What the operator did comes first: nothing else helps before that is undone.
            State::Pending { .. } if self.due && self.paused => PendingReason::Paused,
            State::Pending { .. } if self.due && self.unserved => PendingReason::NoWorker,
            State::Pending { .. } if self.invocation.deferred => PendingReason::NoCompatibleWorker,
            State::Pending { .. } if self.due && self.invocation.key_busy => PendingReason::KeyBusy,
            State::Pending { .. } if self.due => PendingReason::Queued,
            State::Pending { started: true } => PendingReason::Backoff,
            State::Pending { started: false } => PendingReason::DueLater,
            _ => PendingReason::Unspecified,
        }
    }

    /// Whether it is held: pending, and due only when an operator releases it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let is_pending = matches!(self.invocation.shown_state(), State::Pending { .. });
        is_pending && self.invocation.due >= HELD
    }
}

/// Reads invocations: from the store, and from memory while they run.
#[derive(Debug)]
pub(in crate::engine) struct Results {
    hub: Arc<Hub>,
    store: Arc<dyn Store>,
    routes: Arc<Routes>,
    clock: Clock,
    lifecycle: Arc<Lifecycle>,
    limits: FollowLimits,
}

impl Results {
    pub(in crate::engine) fn new(
        hub: Arc<Hub>,
        store: Arc<dyn Store>,
        routes: Arc<Routes>,
        clock: Clock,
        lifecycle: Arc<Lifecycle>,
        limits: FollowLimits,
    ) -> Self {
        Self {
            hub,
            store,
            routes,
            clock,
            lifecycle,
            limits,
        }
    }

    /// Follows invocations.
    ///
    /// # Errors
    ///
    /// `STREAM_LIMIT`: `INVALID_ARGUMENT` for more CIDs than one stream may follow, `RESOURCE_EXHAUSTED` for more than
    /// all streams may.
    pub(in crate::engine) fn follow(&self, request: FollowRequest) -> Result<Follower> {
        Follower::new(
            request,
            Arc::clone(&self.hub),
            Arc::clone(&self.store),
            self.limits,
            self.lifecycle.closing().clone(),
        )
    }

    /// The current state of an invocation.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; the errors of the store.
    pub(in crate::engine) async fn get(&self, cid: Cid) -> Result<InvocationView> {
        self.get_of(cid, None).await
    }

    /// As [`get`](Self::get), an invocation of these owners: all others are unknown.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub(in crate::engine) async fn get_of(
        &self,
        cid: Cid,
        owners: Option<&Owners>,
    ) -> Result<InvocationView> {
        self.read(cid, None, owners).await.map(|(view, _)| view)
    }

    /// The invocation of an owner with an idempotency key.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN`; the errors of the store.
    pub(in crate::engine) async fn find_by_key(
        &self,
        service: ServiceName,
        key: String,
        owner: Option<Principal>,
    ) -> Result<Cid> {
        let found = self
            .store
            .find_by_idempotency_key(service.clone(), key, owner)
            .await?;
        if let Some(cid) = found
            && let Stored::Found(found) = self.store.get(cid).await?
            && found.request.service == service
        {
            return Ok(cid);
        }
        let message = "no stored invocation of this service has this idempotency key";
        Err(Error::not_found(reason::CID_UNKNOWN, message))
    }

    /// The current state of an invocation, read within a budget.
    async fn read(
        &self,
        cid: Cid,
        budget: Option<&Arc<ByteBudget>>,
        owners: Option<&Owners>,
    ) -> Result<(InvocationView, Option<Reservation>)> {
        // Read before the store: an invocation that ends in between is terminal there.
        let live = self.hub.live(cid);
        let (stored, reservation) = bounded_read::read(&*self.store, cid, budget).await?;
        match stored {
            stored if !is_owned(&stored, owners) => Err(cid_unknown(cid)),
            Stored::Found(mut invocation) => {
                if let Some(live) = live
                    && !invocation.state.is_terminal()
                {
                    live.overlay(&mut invocation);
                }
                Ok((self.view(*invocation), reservation))
            }
            Stored::Removed(tombstone) => Err(result_expired(cid, &tombstone)),
            Stored::Unknown => Err(cid_unknown(cid)),
        }
    }

    /// An invocation once it has ended, or its state after `wait`.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub(in crate::engine) async fn find(
        &self,
        cid: Cid,
        wait: Duration,
        owners: Option<&Owners>,
    ) -> Result<InvocationView> {
        self.find_within(cid, wait, None, owners)
            .await
            .map(|(view, _)| view)
    }

    /// As [`find`](Self::find), within the budget of a connection. The reservation counts a large invocation.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get); `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT`.
    pub(in crate::engine) async fn find_within(
        &self,
        cid: Cid,
        wait: Duration,
        budget: Option<&Arc<ByteBudget>>,
        owners: Option<&Owners>,
    ) -> Result<(InvocationView, Option<Reservation>)> {
        let (view, reservation) = self.read(cid, budget, owners).await?;
        if view.invocation.state.is_terminal() || wait.is_zero() {
            return Ok((view, reservation));
        }
        let until = Instant::now().checked_add(wait);
        let mut follower = self.follow(FollowRequest {
            cids: vec![(cid, view.invocation.sequence())],
            budget: budget.cloned(),
            ..FollowRequest::default()
        })?;
        // The input is not needed while the invocation runs.
        drop((view, reservation));
        let ended = async {
            while let Some(event) = follower.next().await? {
                if let FollowerEvent::NotFound { error, .. } = event {
                    return Err(error);
                }
            }
            Ok(())
        };
        match until {
            // As it stands, whether it has ended or the wait has.
            Some(until) => timeout_at(until, ended).await.unwrap_or(Ok(()))?,
            None => ended.await?,
        }
        drop(follower);
        self.read(cid, budget, owners).await
    }

    /// The outcome of an invocation once it has ended; `None` if it has not after `wait`. Reads the store once.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get) and [`follow`](Self::follow).
    pub(in crate::engine) async fn outcome(
        &self,
        cid: Cid,
        wait: Duration,
    ) -> Result<Option<Outcome>> {
        let mut follower = self.follow(FollowRequest {
            cids: vec![(cid, 0)],
            ..FollowRequest::default()
        })?;
        let outcome = async {
            while let Some(event) = follower.next().await? {
                match event {
                    FollowerEvent::Event(_, event, _) => {
                        if let Some(outcome) = event.kind.outcome() {
                            return Ok(Some(outcome));
                        }
                    }
                    FollowerEvent::Progress(..) => {}
                    FollowerEvent::NotFound { error, .. } => return Err(error),
                }
            }
            Ok(None)
        };
        match Instant::now().checked_add(wait) {
            Some(until) => timeout_at(until, outcome).await.unwrap_or(Ok(None)),
            None => outcome.await,
        }
    }

    /// The outcomes of the members of a group that has ended, in the order of their requests.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `NOT_ENDED`; as for [`get`](Self::get).
    pub(in crate::engine) async fn group_outcomes(
        &self,
        group: &AcceptedGroup,
    ) -> Result<Vec<(Cid, Outcome)>> {
        let members = group.members.iter().copied();
        let outcomes = futures_util::stream::iter(members).map(async |cid| {
            let outcome = match self.get(cid).await {
                Ok(view) => view.invocation.outcome(),
                Err(error) if error.reason() == reason::RESULT_EXPIRED => Some(Err(error)),
                Err(error) => return Err(error),
            };
            Ok((cid, outcome.unwrap_or_else(|| Err(not_ended(cid)))))
        });
        outcomes.buffered(CONCURRENT_READS).try_collect().await
    }

    /// The current state of a stored invocation, without another query.
    pub(in crate::engine) fn overlay(&self, mut invocation: Invocation) -> InvocationView {
        if let Some(live) = self.hub.live(invocation.request.cid)
            && !invocation.state.is_terminal()
        {
            live.overlay(&mut invocation);
        }
        self.view(invocation)
    }

    pub(super) fn routes(&self) -> &Routes {
        &self.routes
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    fn view(&self, invocation: Invocation) -> InvocationView {
        let is_pending = matches!(invocation.state, State::Pending { .. });
        let route = self.routes.get(invocation.request.service.as_str());
        InvocationView {
            due: is_pending && invocation.due <= self.clock.now(),
            unserved: is_pending && !route.as_ref().is_some_and(|route| route.is_served()),
            paused: matches!(invocation.shown_state(), State::Pending { .. })
                && route.is_some_and(|route| route.gate.is_background_closed()),
            invocation,
        }
    }
}

fn not_ended(cid: Cid) -> Error {
    let message = format!("{cid} has not ended yet");
    Error::failed_precondition(reason::NOT_ENDED, message)
}
