//! The status of a node, as everyone reads it who shows it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::status::certificate::NodeCertificate;
use crate::engine::status::failing::FailingServices;
use crate::engine::status::failures::RecentFailureCounts;
use crate::engine::status::limits::LimitUse;
use crate::engine::status::reload::ReloadFailure;
use crate::engine::status::worker::WorkerBuild;
use crate::engine::store::StoreUsage;
use crate::model::error::Error;
use crate::model::id::{Cid, ServiceName};
use crate::model::service_control::ServiceControl;

/// The status of a node.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// When it was read.
    pub time: Timestamp,
    /// When the node started.
    pub start_time: Timestamp,
    /// Whether it does its work.
    pub health: Health,
    /// Why it is not healthy, the most urgent first; also what is worth knowing.
    pub reasons: Vec<HealthReason>,
    /// How many services are known.
    pub services: usize,
    /// How many workers are connected.
    pub workers: usize,
    /// How many of them are disconnected, and may resume within their lease.
    pub workers_away: usize,
    /// Their builds, by name, at most 100.
    pub builds: Vec<WorkerBuild>,
    /// How many handlers run.
    pub running: usize,
    /// How many invocations are pending, those aside whose outcome is awaited from outside.
    pub pending: usize,
    /// How many invocations are held.
    pub held_invocations: usize,
    /// The store.
    pub store: StoreStatus,
    /// Whether the node is on hold: it accepts invocations and starts none.
    pub is_held: bool,
    /// Whether it drains.
    pub is_draining: bool,
    /// The services whose pending invocations have been due longest, at most 20, those first.
    pub oldest_due: Vec<DueLongest>,
    /// How many services have invocations that are due, and are not served.
    pub unserved_with_pending: usize,
    /// The services that neither a worker nor the node serves, at most 100, those with most pending invocations first.
    pub unserved: Vec<UnservedService>,
    /// The services that an operator has paused or disabled, by name.
    pub controls: Vec<Arc<ServiceControl>>,
    /// The failures of the last hour.
    pub failures: RecentFailureCounts,
    /// The calls and attempts that failed.
    pub failing: FailingServices,
    /// The limits that are nearest to being hit, at most 10, those first.
    pub limits: Vec<LimitUse>,
    /// How many entries the lists would have without their limits.
    pub totals: ListTotals,
    /// The certificate of the listener; `None` without TLS.
    pub certificate: Option<Arc<NodeCertificate>>,
    /// What could not be read again while the node runs.
    pub reload_failures: Vec<ReloadFailure>,
    /// Why the last line of the audit log could not be written.
    pub audit_failure: Option<String>,
}

/// How many entries the lists of a status would have without their limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListTotals {
    /// Of [`NodeStatus::oldest_due`].
    pub oldest_due: usize,
    /// Of [`NodeStatus::unserved`].
    pub unserved: usize,
    /// Of [`NodeStatus::builds`].
    pub builds: usize,
    /// Of [`NodeStatus::limits`].
    pub limits: usize,
}

/// The store of a node.
#[derive(Clone, Debug)]
pub struct StoreStatus {
    /// The backend: `memory`, `sqlite`.
    pub name: &'static str,
    /// How often it was opened, if it is not shared with other nodes.
    pub generation: u32,
    /// Its room; `None` where it cannot be read.
    pub usage: Option<StoreUsage>,
    /// Why it takes no writes any more.
    pub failure: Option<Error>,
    /// Why a part of the status could not be read from it.
    pub unreadable: Option<Error>,
}

/// The pending invocation of a service that has been due longest.
#[derive(Clone, Debug)]
pub struct DueLongest {
    /// The service.
    pub service: ServiceName,
    /// The invocation.
    pub cid: Cid,
    /// When it was due.
    pub due: Timestamp,
    /// Why it waits.
    pub waits_for: WaitsFor,
    /// How many invocations of the service are pending.
    pub pending: usize,
}

/// Why an invocation that is due has not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// No worker serves its service.
    NoWorker,
    /// Its service is paused or disabled.
    Paused,
    /// Its turn: handlers of its service, or workers, are busy.
    Turn,
}

/// A service that neither the node nor a worker serves.
#[derive(Clone, Debug)]
pub struct UnservedService {
    /// The service.
    pub service: ServiceName,
    /// How many of its invocations are pending.
    pub pending: usize,
    /// When it was last served, as far as the node knows.
    pub last_served: Option<Timestamp>,
}

/// Whether a node does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It does.
    Serving,
    /// It serves calls, but something needs an operator soon.
    Degraded,
    /// It accepts no work.
    NotServing,
}

/// One thing that an operator should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReason {
    /// Its stable name, for programs: one of [`HEALTH_REASONS`](super::HEALTH_REASONS).
    pub reason: &'static str,
    /// What is wrong, and what to do, with the commands.
    pub message: String,
    /// The health of a node with this reason. [`Health::Serving`]: worth knowing, and no fault.
    pub health: Health,
}
