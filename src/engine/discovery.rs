//! Discovery: what callers learn of a service: declaration, options in force, load, and where it is served.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use jiff::Timestamp;

use crate::engine::admission::worker_pool::Location;
use crate::engine::execution::pending_completions::PendingCompletions;
use crate::engine::routing::{Route, Routes};
use crate::engine::store::Store;
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::model::service_control::ServiceControl;
use crate::model::service_options::ServiceOptions;
use crate::service::Definition;

/// A service as discovery shows it.
#[derive(Clone, Debug)]
pub struct ServiceInfo {
    /// The declaration in force: the newest one of those that are served now, or the last one that was.
    pub definition: Arc<Definition>,
    /// The options in force: the service's own, and the node's where the service has none.
    pub effective: ServiceOptions,
    /// The load.
    pub status: ServiceStatus,
    /// Where it is served; empty where workers served it and none does now.
    pub locations: Vec<Location>,
    /// When a worker last served it; `None` while one does, and as far as the node knows.
    pub last_served: Option<Timestamp>,
    /// Whether it is served: a draining worker does not serve.
    pub is_served: bool,
    /// That it is paused or disabled, if it is.
    pub control: Option<Arc<ServiceControl>>,
    /// Whether synchronous calls are taken: it is served, and neither its control nor a hold of the node refuses them.
    pub takes_calls: bool,
}

/// The load of a service.
#[derive(Clone, Copy, Debug)]
pub struct ServiceStatus {
    /// How many of its handlers run, those included whose outcome is awaited from outside.
    pub running: usize,
    /// How many of its invocations are pending.
    pub pending: usize,
    /// How many calls wait for a permit, or for a worker that accepts them.
    pub queued: usize,
    /// When it was first served.
    pub since: Timestamp,
}

/// Answers questions about services.
#[derive(Debug)]
pub(in crate::engine) struct Discovery {
    routes: Arc<Routes>,
    store: Arc<dyn Store>,
    completions: Arc<PendingCompletions>,
}

impl Discovery {
    pub(in crate::engine) fn new(
        routes: Arc<Routes>,
        store: Arc<dyn Store>,
        completions: Arc<PendingCompletions>,
    ) -> Self {
        Self {
            routes,
            store,
            completions,
        }
    }

    /// All services, by name.
    pub(in crate::engine) fn services(&self) -> Vec<ServiceInfo> {
        let table = self.routes.all();
        let awaited = self.completions.count_by_service();
        let mut services: Vec<_> = table
            .values()
            .map(|route| self.info(route, &awaited))
            .collect();
        services.sort_by(|a, b| a.definition.name().cmp(b.definition.name()));
        services
    }

    /// One service.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN` with the most similar names.
    pub(in crate::engine) fn service(&self, name: &str) -> Result<ServiceInfo> {
        let route = self.routes.find(name)?;
        Ok(self.info(&route, &self.completions.count_by_service()))
    }

    /// Whether this process serves a service that workers cannot replace.
    pub(in crate::engine) fn is_served_locally(&self, name: &str) -> bool {
        let route = self.routes.get(name);
        route.is_some_and(|route| route.limit.pool().is_none() && !route.is_replaceable())
    }

    fn info(
        &self,
        route: &Route,
        awaited_calls: &HashMap<ServiceName, usize, RandomState>,
    ) -> ServiceInfo {
        // An invocation whose outcome is awaited from outside counts as running, though it holds no permit.
        let awaited = self.store.awaiting_completion_count(route.name());
        let calls = awaited_calls.get(route.name()).copied();
        let own = route.definition.service_options();
        ServiceInfo {
            definition: Arc::clone(&route.definition),
            locations: route.locations(),
            last_served: route.limit.pool().and_then(|pool| pool.last_served()),
            is_served: route.is_served(),
            control: route.gate.control(),
            takes_calls: route.takes_calls(),
            effective: route.options.to_service_options(own),
            status: ServiceStatus {
                running: route.limit.running() + awaited + calls.unwrap_or_default(),
                queued: route.limit.queued(),
                pending: self
                    .store
                    .pending_count(route.name())
                    .saturating_sub(awaited),
                since: route.since,
            },
        }
    }
}
