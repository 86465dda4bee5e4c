//! What operators ask of the engine: counts, operations, pauses, status and events.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::MutexGuard;

use super::Invoker;
use crate::codec::proto::v1;
use crate::engine::access::Reach;
use crate::engine::events::{EventBus, Watcher};
use crate::engine::history::HistoryPage;
use crate::engine::operations::OperationPlace;
use crate::engine::operations::request::OperationRequest;
use crate::engine::results::examples::{InvocationSummaries, with_examples};
use crate::engine::results::lookup::InvocationView;
use crate::engine::status::{
    NodeCertificate, NodeMetrics, NodeStatus, ServiceLoad, StatsPage, StatsQuery, WorkerCounts,
};
use crate::engine::store::Filter;
use crate::model::access::NamePattern;
use crate::model::call::Accepted;
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Summaries;
use crate::model::operation::{OperationId, OperationState};
use crate::model::service_control::{ControlCause, ServiceControl};

impl Invoker {
    /// Counts stored invocations by service, state and reason of the last failure; returns the `max` most frequent
    /// counts, and the total. In a filter, the state `Running` stands for what runs here.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub async fn summarize(&self, filter: Filter, max: usize) -> Result<InvocationSummaries> {
        let reach = Reach::to_read(self.caller())?;
        let owners = reach.owners().cloned();
        let filter = Filter { owners, ..filter };
        let all = self.0.maintenance.summarize(filter).await?;
        self.with_examples(all, max).await
    }

    /// The `max` most frequent counts, with the failure messages of their examples.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub async fn with_examples(&self, all: Summaries, max: usize) -> Result<InvocationSummaries> {
        with_examples(&*self.0.store, all, max).await
    }

    /// As [`retry`](Self::retry) with the same input, unless it has been retried already.
    ///
    /// # Errors
    ///
    /// As for [`retry`](Self::retry); `FAILED_PRECONDITION` / `ALREADY_RETRIED`.
    pub async fn retry_once(&self, cid: Cid) -> Result<Accepted> {
        self.check_change(cid).await?;
        let by = self.acting();
        self.0.maintenance.retry_once(cid, None, None, by).await
    }

    /// The invocation that [`retry_once`](Self::retry_once) would retry.
    ///
    /// # Errors
    ///
    /// As for [`check_retry`](Self::check_retry); `FAILED_PRECONDITION` / `ALREADY_RETRIED`.
    pub async fn check_retry_once(&self, cid: Cid) -> Result<InvocationView> {
        self.check_change(cid).await?;
        self.0.maintenance.check_retry_once(cid).await
    }

    /// Starts an operation over all invocations that match and are accepted by now, and returns it with their counts.
    /// It is durable, and will run, once this resolves. A request with a known id starts nothing.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `IDEMPOTENCY_MISMATCH` where the id is that of another operation; `RESOURCE_EXHAUSTED` /
    /// `OPERATION_LIMIT`; `UNAVAILABLE` / `NODE_STOPPING`; the errors of the store.
    pub async fn start_operation(
        &self,
        request: OperationRequest,
        count: impl Future<Output = Result<InvocationSummaries>>,
    ) -> Result<(v1::Operation, InvocationSummaries)> {
        self.check_administer()?;
        self.0.operations.start(request, count).await
    }

    /// How many operations run.
    #[must_use]
    pub fn running_operations(&self) -> usize {
        self.0.operations.running()
    }

    /// An operation, once there is news of it, or as it is after `wait`.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `OPERATION_UNKNOWN`.
    pub async fn operation(&self, id: OperationId, wait: Duration) -> Result<v1::Operation> {
        self.check_administer()?;
        self.0.operations.get(id, wait).await
    }

    /// Up to `max` operations in these states, the newest first, and where the next page begins. Without a state: all.
    /// A page has 3 MiB at most.
    #[must_use]
    pub fn operations(
        &self,
        states: &[OperationState],
        after: Option<OperationPlace>,
        max: usize,
    ) -> (Vec<v1::Operation>, Option<OperationPlace>) {
        let max_bytes = self.limits().list_page_bytes;
        self.0.operations.list(states, after, max, max_bytes)
    }

    /// Cancels an operation, and returns it once it has ended, or as it is after `wait`. What it has changed stays
    /// changed.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `OPERATION_UNKNOWN`.
    pub async fn cancel_operation(&self, id: OperationId, wait: Duration) -> Result<v1::Operation> {
        self.check_administer()?;
        self.0.operations.cancel(id, wait).await
    }

    /// Goes on with the operations that an earlier node did not finish. The services of workers must be declared by
    /// then: what belongs to an unknown service is refused.
    pub fn resume_operations(&self) {
        self.0.operations.resume();
    }

    /// Pauses a service: its background work waits, and synchronous calls are refused unless `background_only`. What
    /// runs goes on. Once this resolves, none of its attempts starts until it is resumed, restarts included. A paused
    /// service can be paused again, with another cause.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN` with the most similar names; the errors of the store.
    ///
    /// # Cancel safety
    ///
    /// A pause that has begun is in force all the same.
    pub async fn pause_service(
        &self,
        name: &str,
        background_only: bool,
        cause: ControlCause,
    ) -> Result<ServiceControl> {
        self.check_administer()?;
        self.0.controls.pause(name, background_only, cause).await
    }

    /// Resumes a service; returns whether it was paused. `principal`: who does it, as far as the node knows.
    ///
    /// # Errors
    ///
    /// As for [`pause_service`](Self::pause_service).
    pub async fn resume_service(&self, name: &str, principal: String) -> Result<bool> {
        self.check_administer()?;
        self.0.controls.resume(name, principal).await
    }

    /// Disables a service: every new call is refused, and what is pending waits. Lasts until it is enabled, restarts
    /// included. Once this resolves, nothing is accepted.
    ///
    /// # Errors
    ///
    /// As for [`pause_service`](Self::pause_service).
    ///
    /// # Cancel safety
    ///
    /// As for [`pause_service`](Self::pause_service).
    pub async fn disable_service(&self, name: &str, cause: ControlCause) -> Result<ServiceControl> {
        self.check_administer()?;
        self.0.controls.disable(name, cause).await
    }

    /// Enables a service; returns whether it was disabled. `principal`: who does it, as far as the node knows.
    ///
    /// # Errors
    ///
    /// As for [`pause_service`](Self::pause_service).
    pub async fn enable_service(&self, name: &str, principal: String) -> Result<bool> {
        self.check_administer()?;
        self.0.controls.enable(name, principal).await
    }

    /// Whether a service may be forgotten; returns its name.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `FAILED_PRECONDITION` / `SERVICE_IN_USE` where it is served, or has pending
    /// invocations.
    pub fn check_forgettable(&self, name: &str) -> Result<ServiceName> {
        self.check_administer()?;
        self.0.controls.check_forgettable(name)
    }

    /// Forgets a service that no worker serves, once the store has forgotten it.
    ///
    /// # Errors
    ///
    /// As for [`check_forgettable`](Self::check_forgettable).
    pub fn forget_service(&self, name: &str) -> Result<()> {
        self.check_administer()?;
        self.0.controls.forget(name)
    }

    /// The paused and disabled services, by name.
    #[must_use]
    pub fn service_controls(&self) -> Vec<Arc<ServiceControl>> {
        self.0.gates.controls()
    }

    /// Keeps services from being paused, disabled, resumed and enabled until the guard is dropped.
    pub(crate) async fn lock_service_controls(&self) -> MutexGuard<'_, ()> {
        self.0.controls.lock().await
    }

    /// Whether the node is held: it accepts, and starts nothing.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.gates.is_held()
    }

    /// Lets a held node start what it has accepted; returns whether it was held. `principal`: who does it, as far as
    /// the node knows.
    #[must_use]
    pub fn resume_node(&self, principal: &str) -> bool {
        let was_held = self.0.controls.resume_node(principal);
        if was_held {
            self.resume_operations();
        }
        was_held
    }

    /// Shows the certificate with which the node serves TLS.
    pub fn set_certificate(&self, certificate: NodeCertificate) {
        self.0.status.certificate.store(Some(Arc::new(certificate)));
    }

    /// Notes how it went to read something again while the node runs: `None`, or which file could not be used, and why,
    /// without secrets. The health says so until it is read.
    pub fn note_reload(&self, what: &'static str, failure: Option<&str>) {
        self.0.status.reload_failures.note(what, failure);
    }

    /// The status of the node. A store that fails is part of it, and never an error.
    pub async fn status(&self, workers: WorkerCounts) -> NodeStatus {
        self.0.status.read(workers).await
    }

    /// What services have done since the node started, and what they do now.
    ///
    /// # Errors
    ///
    /// As for [`check_read_all`](Self::check_read_all).
    pub async fn service_stats(&self, query: &StatsQuery) -> Result<StatsPage> {
        self.check_read_all()?;
        Ok(self.0.status.service_stats(query).await)
    }

    /// The last hour of a service, or of the node, in samples of [`HISTORY_INTERVAL`](crate::engine::HISTORY_INTERVAL):
    /// those after a time, the oldest first. Samples are left out in which nothing happened, and there was nothing.
    ///
    /// # Errors
    ///
    /// As for [`check_read_all`](Self::check_read_all).
    pub fn history(&self, service: Option<&str>, after: Option<Timestamp>) -> Result<HistoryPage> {
        self.check_read_all()?;
        let status = &self.0.status;
        Ok(HistoryPage {
            samples: status.history.samples(service, after),
            time: self.0.clock.now(),
            start_time: status.start_time,
        })
    }

    /// How much work the services have whose names match a pattern.
    ///
    /// # Errors
    ///
    /// As for [`check_read_all`](Self::check_read_all); the errors of the store.
    pub async fn service_load(&self, pattern: &NamePattern) -> Result<ServiceLoad> {
        self.check_read_all()?;
        self.0.status.load(pattern).await
    }

    /// What the node exports as metrics.
    ///
    /// # Errors
    ///
    /// As for [`check_read_all`](Self::check_read_all).
    pub async fn metrics(&self, workers: WorkerCounts) -> Result<NodeMetrics> {
        self.check_read_all()?;
        let (status, hub) = (&self.0.status, self.0.executor.runtime().hub.as_ref());
        let watchers = self.0.events.watchers();
        let tracer = self.tracer();
        Ok(status.node_metrics(workers, hub, watchers, tracer).await)
    }

    /// The events of the node, for those who send them.
    #[must_use]
    pub fn event_bus(&self) -> &EventBus {
        &self.0.events
    }

    /// Watches the events of the node from now on.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `STREAM_LIMIT` where there are too many watchers.
    pub fn watch_events(&self) -> Result<Watcher> {
        self.check_administer()?;
        self.0.events.watch(self.closing().clone())
    }
}
