//! What a node exports as metrics: its status, its services, and what its store and its streams count.

use crate::engine::results::hub::Hub;
use crate::engine::status::node_status::NodeStatus;
use crate::engine::status::service_stats::{StatsPage, StatsQuery};
use crate::engine::status::worker::WorkerCounts;
use crate::engine::status::{StatusReader, Wanted};
use crate::engine::store::StoreMetrics;
use crate::engine::trace::Tracer;

/// What a node exports.
#[derive(Clone, Debug)]
pub struct NodeMetrics {
    /// Its status, without the failures that are counted in the store.
    pub status: NodeStatus,
    /// All services.
    pub services: StatsPage,
    /// How many handlers of all services may run at once.
    pub concurrency: usize,
    /// What the store counts.
    pub store: StoreMetrics,
    /// How many CIDs streams follow.
    pub followed: usize,
    /// How many callers watch the events of the node.
    pub event_watchers: usize,
    /// How many spans of traces were dropped since the node started.
    pub spans_dropped: u64,
}

impl StatusReader {
    /// Reads all that is exported.
    pub(in crate::engine) async fn node_metrics(
        &self,
        workers: WorkerCounts,
        hub: &Hub,
        event_watchers: usize,
        tracer: &Tracer,
    ) -> NodeMetrics {
        let all = StatsQuery {
            used_only: true,
            max: usize::MAX,
            ..StatsQuery::default()
        };
        NodeMetrics {
            status: self.read_parts(workers, Wanted::Gauges).await,
            services: self.service_stats(&all).await,
            concurrency: self.limits.node_concurrency,
            store: self.store.metrics(),
            followed: hub.followed().all(),
            event_watchers,
            spans_dropped: tracer.dropped(),
        }
    }
}
