//! The status of a node: its health and why, its load, its store, what waits, and which limits are near. Read at once
//! from counters, the routing table and a few short queries of the store.
//!
//! [`NodeStatus`] is the one source of all who show it: the RPC, and later metrics and the console.

mod certificate;
pub(in crate::engine) mod failing;
mod failures;
mod health;
mod limits;
mod node_metrics;
mod node_status;
mod reload;
mod scaling;
mod service_stats;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;

pub use self::certificate::NodeCertificate;
pub use self::failing::{FailingService, FailingServices};
pub use self::failures::RecentFailureCounts;
pub use self::health::HEALTH_REASONS;
pub use self::limits::LimitUse;
pub use self::node_metrics::NodeMetrics;
pub use self::node_status::{
    DueLongest, Health, HealthReason, ListTotals, NodeStatus, StoreStatus, UnservedService,
    WaitsFor,
};
pub use self::reload::ReloadFailure;
pub(in crate::engine) use self::reload::ReloadFailures;
pub use self::scaling::ServiceLoad;
pub use self::service_stats::{ServiceStats, StatsPage, StatsQuery};
pub use self::worker::{WorkerBuild, WorkerCounts, WorkerStatus};
use crate::engine::access::audit;
use crate::engine::clock::Clock;
use crate::engine::control::gates::Gates;
use crate::engine::history::History;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::limits::Limits;
use crate::engine::routing::{Route, Routes};
use crate::engine::store::{OldestDue, Store};
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::model::service_control::ServiceControl;

/// How long the status waits for an answer of the store. What it does not get by then is left out, and said.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);
/// How many services the list of the longest due invocations has.
const MAX_OLDEST_DUE: usize = 20;
/// How many services the list of those that are not served has.
const MAX_UNSERVED: usize = 100;

/// Reads the status of the node.
#[derive(Debug)]
pub(in crate::engine) struct StatusReader {
    pub(in crate::engine) start_time: Timestamp,
    pub(in crate::engine) store: Arc<dyn Store>,
    pub(in crate::engine) routes: Arc<Routes>,
    pub(in crate::engine) limits: Arc<Limits>,
    pub(in crate::engine) clock: Clock,
    pub(in crate::engine) lifecycle: Arc<Lifecycle>,
    pub(in crate::engine) gates: Arc<Gates>,
    /// Set by the listener with TLS.
    pub(in crate::engine) certificate: ArcSwapOption<NodeCertificate>,
    /// Set by each reload.
    pub(in crate::engine) reload_failures: ReloadFailures,
    /// The last hour.
    pub(in crate::engine) history: Arc<History>,
}

/// What the routing table tells of all services.
#[derive(Debug, Default)]
struct ServiceCounts {
    services: usize,
    pending: usize,
    /// Those that are not served, the first of `all_unserved`.
    unserved: Vec<UnservedService>,
    all_unserved: usize,
    limits: Vec<LimitUse>,
}

/// How much of a status is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    /// Without the recent failures, which are counted in the store: metrics are read often, and count them themselves.
    Gauges,
}

impl StatusReader {
    /// Reads it. A store that fails is part of the status, and never an error of it.
    pub(in crate::engine) async fn read(&self, workers: WorkerCounts) -> NodeStatus {
        self.read_parts(workers, Wanted::All).await
    }

    async fn read_parts(&self, workers: WorkerCounts, wanted: Wanted) -> NodeStatus {
        let now = self.clock.now();
        let counts = self.service_counts();
        let (usage, oldest_due, held, failures) = tokio::join!(
            within(self.store.usage()),
            within(self.store.oldest_due(now)),
            within(self.store.held_count()),
            within(self.recent_failures(wanted, now)),
        );
        let unread = [
            usage.as_ref().err(),
            oldest_due.as_ref().err(),
            held.as_ref().err(),
            failures.as_ref().err(),
        ];
        let unreadable = unread.into_iter().flatten().next().cloned();
        let (usage, oldest_due) = (usage.ok(), oldest_due.unwrap_or_default());
        let failures = failures.unwrap_or_else(|error| RecentFailureCounts {
            unreadable: Some(error),
            ..RecentFailureCounts::default()
        });
        let controls = self.gates.controls();
        let due = self.due_longest(oldest_due, &controls);
        // What is due later, held or paused does not wait for a worker.
        let waits = |due: &&DueLongest| due.waits_for == WaitsFor::NoWorker;
        let unserved_with_pending = due.iter().filter(waits).count();
        let of_node = limits::of_node(&self.limits, &*self.store, &self.routes, &workers, usage);
        let limits = counts.limits.into_iter().chain(of_node);
        let limits: Vec<_> = limits.filter(|limit| limit.used > 0).collect();
        let mut status = NodeStatus {
            time: now,
            start_time: self.start_time,
            health: Health::Serving,
            reasons: Vec::new(),
            services: counts.services,
            running: self.routes.running_handlers(),
            pending: counts.pending,
            held_invocations: held.unwrap_or_default(),
            store: StoreStatus {
                name: self.store.name(),
                generation: self.store.first_generation(),
                usage,
                failure: self.store.health().err(),
                unreadable,
            },
            is_held: self.gates.is_held(),
            is_draining: self.lifecycle.check_accepting().is_err(),
            totals: ListTotals {
                oldest_due: due.len(),
                unserved: counts.all_unserved,
                builds: workers.all_builds,
                limits: limits.len(),
            },
            oldest_due: shown(due),
            unserved_with_pending,
            unserved: counts.unserved,
            limits: limits::nearest(limits),
            controls,
            failures,
            certificate: self.certificate.load_full(),
            reload_failures: self.reload_failures.all(),
            audit_failure: audit::failure(),
            failing: FailingServices::read(&self.routes),
            workers: workers.workers,
            workers_away: workers.away,
            builds: workers.builds,
        };
        status.reasons = health::reasons(&status);
        status.health = health::worst(&status.reasons);
        status
    }

    async fn recent_failures(&self, wanted: Wanted, now: Timestamp) -> Result<RecentFailureCounts> {
        match wanted {
            Wanted::All => RecentFailureCounts::read(&*self.store, now).await,
            Wanted::Gauges => Ok(RecentFailureCounts::default()),
        }
    }

    fn service_counts(&self) -> ServiceCounts {
        let table = self.routes.all();
        let mut counts = ServiceCounts {
            services: table.len(),
            ..ServiceCounts::default()
        };
        for route in table.values() {
            let pending = self.pending_of(route.name());
            counts.pending += pending;
            if !route.is_served() {
                counts.unserved.push(unserved(route, pending));
            }
            counts
                .limits
                .extend(limits::of_service(route, &*self.store));
        }
        let order = |one: &UnservedService, other: &UnservedService| {
            let by_pending = other.pending.cmp(&one.pending);
            by_pending.then_with(|| one.service.cmp(&other.service))
        };
        counts.unserved.sort_by(order);
        counts.all_unserved = counts.unserved.len();
        counts.unserved.truncate(MAX_UNSERVED);
        counts
    }

    /// How many invocations of a service are pending. One whose outcome is awaited from outside is running to callers.
    fn pending_of(&self, service: &ServiceName) -> usize {
        let awaited = self.store.awaiting_completion_count(service);
        self.store.pending_count(service).saturating_sub(awaited)
    }

    fn due_longest(
        &self,
        mut found: Vec<OldestDue>,
        controls: &[Arc<ServiceControl>],
    ) -> Vec<DueLongest> {
        let is_controlled = |service: &ServiceName| {
            self.gates.is_held() || controls.iter().any(|control| control.service == *service)
        };
        found.sort_by(|one, other| (one.due, &one.service).cmp(&(other.due, &other.service)));
        let due = found.into_iter().map(|found| {
            let route = self.routes.get(found.service.as_str());
            let is_served = route.is_some_and(|route| route.is_served());
            DueLongest {
                waits_for: match (is_controlled(&found.service), is_served) {
                    (true, _) => WaitsFor::Paused,
                    (false, false) => WaitsFor::NoWorker,
                    (false, true) => WaitsFor::Turn,
                },
                pending: self.pending_of(&found.service),
                cid: found.cid,
                due: found.due,
                service: found.service,
            }
        });
        due.collect()
    }
}

/// The first of the longest due ones, and the first one that waits for its turn, which is a reason of the health.
fn shown(mut due: Vec<DueLongest>) -> Vec<DueLongest> {
    let waits = due.iter().position(|due| due.waits_for == WaitsFor::Turn);
    if let Some(at) = waits.filter(|at| *at >= MAX_OLDEST_DUE) {
        due.swap(at, MAX_OLDEST_DUE - 1);
    }
    due.truncate(MAX_OLDEST_DUE);
    due
}

fn unserved(route: &Route, pending: usize) -> UnservedService {
    let pool = route.limit.pool();
    UnservedService {
        service: route.name().clone(),
        pending,
        last_served: pool.and_then(|pool| pool.last_served()),
    }
}

/// Waits for an answer of the store, but not for long: its disk may hang.
async fn within<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    let answered = tokio::time::timeout(STORE_TIMEOUT, answer).await;
    answered.unwrap_or_else(|_| {
        let seconds = STORE_TIMEOUT.as_secs();
        let message = format!("the store did not answer within {seconds} s");
        Err(Error::unavailable(reason::STORE_FAILED, message))
    })
}
