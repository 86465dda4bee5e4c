//! The engine: one way in for every caller; deadlines, limits, attempts, durable invocations and results.
//!
//! ```text
//!  caller ──▶ Invoker ──▶ routing ──▶ admission (permits) ──▶ execution (attempt, handler) ──▶ reply
//!                │                                                  ▲
//!                └─ durable: accept ──▶ Store ──▶ scheduler ────────┘──▶ commit ──▶ results ──▶ followers
//! ```

mod acceptance;
pub mod access;
mod admission;
pub mod backup;
pub mod byte_budget;
pub mod clock;
mod components;
mod control;
mod discovery;
mod durable;
mod events;
mod execution;
mod history;
mod lifecycle;
mod limits;
pub(crate) mod log_limit;
pub mod metrics;
mod operations;
mod operators;
mod page_size;
mod record;
mod results;
mod rights;
mod routing;
mod running_budget;
mod service_controls;
mod status;
pub mod store;
mod tally;
mod timer;
pub mod trace;
mod unread_backups;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::acceptance::origin::Origin;
use self::access::Reach;
pub use self::admission::worker_pool::{Accepts, Location, WorkerPool, WorkerService};
use self::byte_budget::{ByteBudget, Reservation};
use self::components::Engine;
pub use self::components::Parts;
pub use self::discovery::{ServiceInfo, ServiceStatus};
pub use self::durable::operations::maintenance::{Children, InvocationPage};
pub use self::events::{EventBus, NodeEvent, NodeEventKind, RING, Subject, Watched, Watcher};
pub use self::history::{HistoryPage, INTERVAL as HISTORY_INTERVAL, RecentCalls, Sample};
pub use self::limits::Limits;
pub use self::operations::OperationPlace;
pub use self::operations::request::OperationRequest;
pub use self::operations::selection::Selection;
pub use self::results::examples::InvocationSummaries;
pub use self::results::follower::{FollowRequest, Follower, FollowerEvent};
pub use self::results::lookup::InvocationView;
pub use self::results::outlook::Outlook;
pub use self::status::{
    DueLongest, FailingService, FailingServices, HEALTH_REASONS, Health, HealthReason, LimitUse,
    ListTotals, NodeCertificate, NodeMetrics, NodeStatus, RecentFailureCounts, ReloadFailure,
    ServiceLoad, ServiceStats, StatsPage, StatsQuery, StoreStatus, UnservedService, WaitsFor,
    WorkerBuild, WorkerCounts, WorkerStatus,
};
use self::store::{Filter, Store};
use self::trace::Tracer;
use crate::model::access::Caller;
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::{Accepted, Call};
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Outcome, State};
use crate::model::payload::{Payload, Reply};
use crate::service::Definition;
use crate::service::runtime::Tasks;

/// The one way in: gRPC, the command line, workers, contexts and callbacks all go through it. Cheap to clone.
///
/// It acts for one caller ([`on_behalf_of`](Self::on_behalf_of)), and each of its methods checks what that caller may
/// do.
#[derive(Clone, Debug)]
pub struct Invoker(Arc<Engine>, Caller);

impl Invoker {
    /// Starts an engine: resumes the work that its store holds.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `STATE_MISSING` where a handler asks for state that is not there, or `CLOCK_INVALID` for
    /// a clock before 1970; the errors of the store.
    pub async fn start(parts: Parts, tasks: Tasks) -> Result<Self> {
        let engine = Engine::start(parts, tasks).await?;
        Ok(Self(Arc::new(engine), Caller::Trusted))
    }

    /// The same engine for another caller.
    #[must_use]
    pub fn on_behalf_of(&self, caller: Caller) -> Self {
        Self(Arc::clone(&self.0), caller)
    }

    /// The caller for which it acts: the program itself, unless [`on_behalf_of`](Self::on_behalf_of) named another.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.1
    }

    /// What makes spans of requests.
    #[must_use]
    pub fn tracer(&self) -> &Tracer {
        &self.0.executor.runtime().tracer
    }

    /// Whether callers from outside must prove who they are.
    #[must_use]
    pub fn requires_authentication(&self) -> bool {
        self.0.requires_authentication
    }

    /// Invokes a service for a caller from outside, and waits. Returns the reply and the CID of its invocation: that of
    /// the first one, where the idempotency key of the call is known.
    ///
    /// `cid` is the CID of the call; the caller brought it if `call.cid` names it.
    ///
    /// # Errors
    ///
    /// The failure of the service; `NOT_FOUND` / `SERVICE_UNKNOWN`; `DEADLINE_EXCEEDED`; `RESOURCE_EXHAUSTED` where a
    /// limit is reached. All of them name the CID.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call: its handler is asked to stop, and dropped after the grace period. A
    /// durable call ([`Call::durable`]) continues.
    pub fn invoke(
        &self,
        cid: Cid,
        call: Call,
    ) -> impl Future<Output = Result<(Cid, Reply)>> + Send + '_ {
        let (checked, in_flight) = match self.0.quotas.begin(&self.1) {
            Ok(in_flight) => (access::check_call(&self.1, &call), in_flight),
            Err(refused) => (Err(refused), None),
        };
        let acting = checked.map(|()| self.acting());
        self.0.executor.invoke(cid, call, acting, in_flight)
    }

    /// As [`invoke`](Self::invoke) for a durable call, in two steps: resolves once the call is accepted, so that its
    /// caller learns the CID before the outcome.
    ///
    /// # Errors
    ///
    /// As for [`invoke_async`](Self::invoke_async); those of the outcome as for [`invoke`](Self::invoke).
    pub async fn begin_durable(
        &self,
        cid: Cid,
        call: Call,
    ) -> Result<(
        Accepted,
        impl Future<Output = Result<(Cid, Reply)>> + Send + use<>,
    )> {
        access::check_call(&self.1, &call).map_err(|error| error.with_cid(cid))?;
        let acting = self.acting();
        let begun = self.0.quotas.begin(&self.1);
        let in_flight = begun.map_err(|error| error.with_cid(cid))?;
        let begun = self.0.executor.begin_durable(cid, call, acting).await;
        let (accepted, outcome) = begun?;
        Ok((accepted, async move {
            let _in_flight = in_flight;
            outcome.await
        }))
    }

    /// Accepts an invocation for a caller from outside. It is durable, and will run, once this resolves.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `ALREADY_EXISTS` / `CID_IN_USE` or `IDEMPOTENCY_MISMATCH`; `INVALID_ARGUMENT`
    /// with all violations; `RESOURCE_EXHAUSTED` where a limit is reached.
    pub async fn invoke_async(&self, call: Call) -> Result<Accepted> {
        access::check_call(&self.1, &call)?;
        self.check_accepting()?;
        self.0.quotas.check(&self.1, 1)?;
        self.0.routes.check_rate(&call.service)?;
        let origin = Origin::outside(self.acting());
        self.0.acceptor.accept(call, origin).await
    }

    /// Whether a batch may have so many requests: checked before they are decoded.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `BATCH_LIMIT`.
    pub fn check_batch_size(&self, requests: usize) -> Result<()> {
        self.0.batches.check_size(requests)
    }

    /// Accepts a batch for a caller from outside. It is durable, and all of it will run, once this resolves.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `BATCH_LIMIT`; all violations of all members, by the paths of the requests;
    /// `ALREADY_EXISTS` / `CID_IN_USE` where a member was accepted before, or `IDEMPOTENCY_MISMATCH`;
    /// `RESOURCE_EXHAUSTED` where a limit is reached.
    pub async fn invoke_batch(&self, batch: Batch) -> Result<AcceptedGroup> {
        access::check_batch(&self.1, &batch)?;
        self.check_accepting()?;
        self.0.quotas.check(&self.1, batch.calls.len())?;
        self.0.routes.check_rates(&batch.calls)?;
        let origin = Origin::outside(self.acting());
        self.0.batches.accept(batch, origin).await
    }

    /// Follows invocations.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `STREAM_LIMIT` for more CIDs than one stream may follow.
    pub fn follow(&self, request: FollowRequest) -> Result<Follower> {
        let reach = Reach::to_read(&self.1)?;
        self.0.results.follow(FollowRequest {
            owners: reach.owners().cloned(),
            principal: self.1.principal().cloned(),
            ..request
        })
    }

    /// As [`find`](Self::find), within the budget of a connection. The reservation counts a large invocation, and is
    /// kept until it is answered.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find); `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT` where the node has no room.
    pub async fn find_within(
        &self,
        cid: Cid,
        wait: Duration,
        budget: &Arc<ByteBudget>,
    ) -> Result<(InvocationView, Option<Reservation>)> {
        let reach = Reach::to_read(&self.1)?;
        let found = self
            .0
            .results
            .find_within(cid, wait, Some(budget), reach.owners());
        found.await
    }

    /// An invocation once it has ended, or its state after `wait`.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; the errors of the store.
    pub async fn find(&self, cid: Cid, wait: Duration) -> Result<InvocationView> {
        let reach = Reach::to_read(&self.1)?;
        self.0.results.find(cid, wait, reach.owners()).await
    }

    /// What lies before an invocation: its attempts, its place in the queue, and who holds its concurrency key.
    pub async fn outlook(&self, found: &InvocationView) -> Outlook {
        let mut outlook = self.0.results.outlook(found).await;
        if let Some(holder) = outlook.key_holder {
            // Another principal's holder is as good as unknown.
            let held = self.find(holder, Duration::ZERO).await;
            outlook.key_holder = held.is_ok().then_some(holder);
        }
        outlook
    }

    /// Gives the outcome of an invocation whose handler answered "later", and returns its state then. The same outcome
    /// can be given again.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `DISPATCH_VOID` where the token is not, or no longer, that of the invocation; `ENDED`
    /// where it ended with another outcome; `INVALID_ARGUMENT` / `OUTPUT_INVALID` where the response does not match the
    /// declaration: the invocation still waits; `UNAVAILABLE` / `STILL_RUNNING` where the handler does not answer
    /// "later" within 5 s; `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`.
    pub async fn complete(&self, cid: Cid, token: &str, outcome: Outcome) -> Result<State> {
        self.check_complete(cid, token).await?;
        self.0.completer.complete(cid, token, outcome).await
    }

    /// Cancels an invocation: at once where it does not run; otherwise its handler is asked to stop, which is recorded
    /// before this resolves, and dropped after the grace period. Of a group, all members. The reason is part of the
    /// outcome.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `ENDED`.
    pub async fn cancel(&self, cid: Cid, cancel_reason: Option<String>) -> Result<InvocationView> {
        self.check_change(cid).await?;
        self.0.canceller.cancel(cid, cancel_reason).await
    }

    /// The invocation that [`cancel`](Self::cancel) would cancel.
    ///
    /// # Errors
    ///
    /// As for [`cancel`](Self::cancel).
    pub async fn check_cancel(&self, cid: Cid) -> Result<InvocationView> {
        self.check_change(cid).await?;
        self.0.canceller.check(cid).await
    }

    /// Retries an invocation that ended without a response: as a new one, with the same input or another. One that is
    /// held is released as it is; with another input it ends as cancelled, and a new one takes its place, which is a
    /// call of the caller. It counts against the rate of the caller.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `NOT_RETRYABLE` where it runs, waits or
    /// succeeded; as for [`invoke_async`](Self::invoke_async).
    pub async fn retry(&self, cid: Cid, input: Option<Payload>) -> Result<Accepted> {
        self.check_change(cid).await?;
        if input.is_some() {
            self.check_retry_input(cid).await?;
        }
        self.0.quotas.check(&self.1, 1)?;
        let by = self.acting();
        self.0.maintenance.retry(cid, input, by).await
    }

    /// The invocation that [`retry`](Self::retry) would retry, with the same input or another.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `NOT_RETRYABLE`; `INVALID_ARGUMENT`
    /// with all violations of the input.
    pub async fn check_retry(&self, cid: Cid, input: Option<&Payload>) -> Result<InvocationView> {
        self.check_change(cid).await?;
        if input.is_some() {
            self.check_retry_input(cid).await?;
        }
        self.0.maintenance.check_retry(cid, input).await
    }

    /// Removes an invocation that has ended, before its retention ends.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `NOT_ENDED`.
    pub async fn purge(&self, cid: Cid) -> Result<InvocationView> {
        self.check_change(cid).await?;
        self.0.maintenance.purge(cid).await
    }

    /// The invocation that [`purge`](Self::purge) would remove.
    ///
    /// # Errors
    ///
    /// As for [`purge`](Self::purge).
    pub async fn check_purge(&self, cid: Cid) -> Result<InvocationView> {
        self.check_change(cid).await?;
        self.0.maintenance.check_purge(cid).await
    }

    /// Lists stored invocations, newest first. In a filter, [`State::Running`] stands for what runs here.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub async fn list(
        &self,
        filter: Filter,
        before: Option<u64>,
        max: usize,
    ) -> Result<InvocationPage> {
        self.list_within(Reach::to_read(&self.1)?, filter, before, max)
            .await
    }

    /// The children of an invocation, and its callbacks: the first `max` of each.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub async fn children(&self, cid: Cid, max: usize) -> Result<Children> {
        let reach = Reach::to_read(&self.1)?;
        let owners = reach.owners().cloned();
        self.0.maintenance.children(cid, max, owners).await
    }

    /// Adds a service of this process to a running engine.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `SERVICE_EXISTS`; `INVALID_ARGUMENT` / `DECLARATION_INVALID`; `FAILED_PRECONDITION` /
    /// `STATE_MISSING`.
    pub fn add_service(&self, definition: Definition) -> Result<()> {
        let states = &self.0.executor.runtime().states;
        definition.check_states(states, "node")?;
        let name = definition.name().clone();
        self.0.routes.add(definition.prepared()?)?;
        self.0.events.service_served(&name);
        Ok(())
    }

    /// Inserts or updates services that workers serve, and wakes the work that waits for them.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `SERVICE_EXISTS` where this process serves one of them; the others are inserted.
    pub fn upsert_worker_routes(&self, services: &[WorkerService]) -> Result<()> {
        let routes = &self.0.routes;
        let upserted = routes.upsert_worker_routes(services);
        for service in services {
            if let Some(route) = routes.get(service.definition.name().as_str()) {
                route.scheduler.wake();
            }
        }
        upserted
    }

    /// Serves a demo service by this process again, after its last worker has left. Returns whether it is one.
    pub fn restore_demo(&self, service: &ServiceName) -> bool {
        let demo = self.0.routes.restore_demo(service);
        if let Some(demo) = &demo {
            demo.scheduler.reroute();
        }
        demo.is_some()
    }

    /// Retries deferred invocations of a service, in the background: another worker has connected.
    pub fn retry_deferred(&self, service: &ServiceName) {
        self.0.deferrals.retry_all(service);
    }

    /// All services that the caller may invoke, or serve, by name.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceInfo> {
        let mut services = self.0.discovery.services();
        services.retain(|service| self.sees_service(service.definition.name().as_str()));
        services
    }

    /// One service.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN` with the most similar names; `PERMISSION_DENIED` / `NOT_PERMITTED` where the
    /// caller may neither invoke nor serve it, whether or not it exists.
    pub fn service(&self, name: &str) -> Result<ServiceInfo> {
        if !self.sees_service(name) {
            self.check_invoke(name)?;
        }
        self.0.discovery.service(name)
    }

    /// The declarations in force of all services.
    pub fn definitions(&self) -> HashMap<ServiceName, Arc<Definition>, RandomState> {
        let routes = self.0.routes.all();
        let definitions = routes
            .iter()
            .map(|(name, route)| (name.clone(), Arc::clone(&route.definition)));
        definitions.collect()
    }

    /// The declaration in force of a service.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN` with the most similar names.
    pub fn definition(&self, name: &str) -> Result<Arc<Definition>> {
        Ok(Arc::clone(&self.0.routes.find(name)?.definition))
    }

    /// When a worker announced a service first, since it was last forgotten; `None` where the process itself serves it.
    #[must_use]
    pub fn announced(&self, name: &str) -> Option<jiff::Timestamp> {
        let route = self.0.routes.get(name)?;
        route.limit.pool().map(|pool| pool.announced())
    }

    /// Whether this process serves a service, including one that workers can replace.
    #[must_use]
    pub fn is_local(&self, name: &str) -> bool {
        let route = self.0.routes.get(name);
        route.is_some_and(|route| route.limit.pool().is_none())
    }

    /// Whether this process serves a service that workers cannot replace.
    #[must_use]
    pub fn is_served_locally(&self, name: &str) -> bool {
        self.0.discovery.is_served_locally(name)
    }

    /// The version of the set of services: the same number means the same services.
    #[must_use]
    pub fn catalog_version(&self) -> u64 {
        self.0.routes.version()
    }

    /// Notifies of changes: of the set of services, and of where they are served.
    #[must_use]
    pub fn service_changes(&self) -> watch::Receiver<()> {
        self.0.routes.subscribe()
    }

    /// Notifies watchers that the processes that serve services have changed.
    pub fn notify_service_changes(&self) {
        self.0.routes.notify_changes();
    }

    /// The background tasks of the node.
    #[must_use]
    pub fn tasks(&self) -> &Tasks {
        self.0.lifecycle.tasks()
    }

    /// Defaults and limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The node's clock.
    #[cfg(feature = "tls")]
    pub(crate) fn clock(&self) -> &clock::Clock {
        &self.0.clock
    }

    /// The time, by the node's clock.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.0.clock.now()
    }

    /// Where invocations are stored.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    /// How many handlers run now.
    #[must_use]
    pub fn running_handlers(&self) -> usize {
        self.0.routes.running_handlers()
    }

    /// Refuses new work while the node stops.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `NODE_STOPPING`.
    pub fn check_accepting(&self) -> Result<()> {
        self.0.lifecycle.check_accepting()
    }

    /// Refuses new work from now on. Running handlers continue; [`halt`](Self::halt) cancels them.
    pub fn drain(&self) {
        self.0.lifecycle.drain();
        self.0.events.node_draining();
    }

    /// Waits until nothing is under way: no call, no handler, no commit.
    pub async fn wait_idle(&self) {
        self.0.lifecycle.wait_idle().await;
    }

    /// Ends followers and watchers: no further event happens on this node.
    pub fn close(&self) {
        self.0.lifecycle.close();
    }

    /// Fires when followers and watchers end.
    #[must_use]
    pub fn closing(&self) -> &CancellationToken {
        self.0.lifecycle.closing()
    }

    /// Cancels running handlers. Durable invocations are handed back, and their attempts do not count.
    pub fn halt(&self) {
        self.0.lifecycle.halt();
    }
}
