//! Which service is served where. Read with every call, changed rarely.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use foldhash::fast::RandomState;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::engine::gate::Gate;
use crate::engine::lane::Lane;
use crate::engine::limits::Limits;
use crate::engine::pool::{Location, WorkerPool, WorkerService};
use crate::engine::{Engine, Invoker};
use crate::model::error::{Error, Result, reason};
use crate::model::id::{ServiceName, truncated};
use crate::model::invocation::{Request, RetryPolicy};
use crate::model::service_options::ServiceOptions;
use crate::service::{Definition, Registry};

/// A service, with what the engine keeps of it.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) definition: Arc<Definition>,
    /// The service's options, and the node's where it has none.
    pub(super) options: Resolved,
    pub(super) gate: Arc<Gate>,
    pub(super) lane: Arc<Lane>,
    /// When it came.
    since: Timestamp,
}

/// Where services are put.
pub(super) struct Place<'a> {
    pub(super) limits: &'a Limits,
    pub(super) handlers: &'a Arc<Semaphore>,
    pub(super) now: Timestamp,
}

/// The options of a service in force.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub(super) timeout: Duration,
    pub(super) attempt_timeout: Duration,
    pub(super) retry_policy: RetryPolicy,
    pub(super) retention: Duration,
    pub(super) failure_retention: Duration,
    pub(super) pending_limit: usize,
    concurrency: usize,
    queue_length: usize,
}

impl Resolved {
    fn new(options: &ServiceOptions, limits: &Limits) -> Self {
        Self {
            timeout: options.timeout.unwrap_or(limits.timeout),
            attempt_timeout: options.attempt_timeout.unwrap_or(limits.attempt_timeout),
            retry_policy: options.retry_policy.clone().unwrap_or_default(),
            retention: options.retention.unwrap_or(limits.retention),
            failure_retention: options
                .failure_retention
                .unwrap_or(limits.failure_retention),
            pending_limit: options.pending_limit.unwrap_or(limits.pending),
            concurrency: options.concurrency.unwrap_or(limits.concurrency),
            queue_length: options.queue_length.unwrap_or(limits.queue_length),
        }
    }
}

impl Resolved {
    fn gate(&self, place: &Place<'_>, pool: Option<Arc<dyn WorkerPool>>) -> Arc<Gate> {
        let node = Arc::clone(place.handlers);
        Arc::new(Gate::new(self.concurrency, self.queue_length, node, pool))
    }
}

type Table = HashMap<ServiceName, Arc<Route>, RandomState>;

/// All services, by name.
#[derive(Debug)]
pub(super) struct Routes {
    table: ArcSwap<Table>,
    /// Counts the changes: raised once the table is another one.
    generation: AtomicU64,
}

impl Routes {
    pub(super) fn new(registry: Registry, place: &Place<'_>) -> Self {
        let routes = registry
            .into_iter()
            .map(|definition| {
                let name = definition.name().clone();
                (name, Arc::new(Route::new(Arc::new(definition), place)))
            })
            .collect();
        Self {
            table: ArcSwap::from_pointee(routes),
            generation: AtomicU64::new(0),
        }
    }

    pub(super) fn add(&self, definition: Definition, place: &Place<'_>) -> Result<()> {
        let name = definition.name().clone();
        let route = Arc::new(Route::new(Arc::new(definition), place));
        let before = self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table
                .entry(name.clone())
                .or_insert_with(|| Arc::clone(&route));
            table
        });
        if before.contains_key(&name) {
            let message = format!("there is a service named `{name}` already");
            return Err(Error::already_exists(reason::SERVICE_EXISTS, message));
        }
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Adds or replaces services that others serve: what waits for them, and what runs, stays as it is. A service of
    /// this process does not give way, unless it is there to play with. All at once: each change costs a whole table.
    pub(super) fn upsert_worker_routes(
        &self,
        offers: &[WorkerService],
        place: &Place<'_>,
    ) -> Result<()> {
        let stays = |known: Option<&Arc<Route>>| known.is_some_and(|known| !known.gives_way());
        let before = self.table.rcu(|table| {
            let mut table = Table::clone(table);
            for WorkerService { definition, pool } in offers {
                let name = definition.name();
                let known = table.get(name);
                if !stays(known) {
                    let definition = Arc::clone(definition);
                    let route = Route::elsewhere(definition, pool, place, known.map(|r| &**r));
                    table.insert(name.clone(), Arc::new(route));
                }
            }
            table
        });
        self.generation.fetch_add(1, Ordering::Release);
        let names = offers.iter().map(|offered| offered.definition.name());
        match names.into_iter().find(|name| stays(before.get(*name))) {
            Some(name) => {
                let message = format!("`{name}` is served by the node itself");
                Err(Error::already_exists(reason::SERVICE_EXISTS, message))
            }
            None => Ok(()),
        }
    }

    /// Forgets a service that others served.
    pub(super) fn remove(&self, name: &ServiceName) {
        self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table.remove(name);
            table
        });
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The route of a service, if there is one.
    pub(super) fn get(&self, name: &str) -> Option<Arc<Route>> {
        self.table.load().get(name).cloned()
    }

    /// The route of a service.
    #[inline]
    pub(super) fn find(&self, name: &str) -> Result<Arc<Route>> {
        let table = self.table.load();
        match table.get(name) {
            Some(route) => Ok(Arc::clone(route)),
            None => Err(unknown(name, &table)),
        }
    }

    pub(super) fn all(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }
}

impl Route {
    /// How long an attempt of a request may last since its last sign of life.
    pub(super) fn attempt_timeout(&self, request: &Request) -> Duration {
        let own = request.attempt_timeout;
        own.unwrap_or(self.options.attempt_timeout)
    }

    fn new(definition: Arc<Definition>, place: &Place<'_>) -> Self {
        let options = Resolved::new(definition.service_options(), place.limits);
        Self {
            gate: options.gate(place, None),
            definition,
            options,
            lane: Arc::default(),
            since: place.now,
        }
    }

    /// The route to workers; `known` is the one there was.
    fn elsewhere(
        definition: Arc<Definition>,
        pool: &Arc<dyn WorkerPool>,
        place: &Place<'_>,
        known: Option<&Self>,
    ) -> Self {
        let options = Resolved::new(definition.service_options(), place.limits);
        let same_gate = known.filter(|known| {
            let before = &known.options;
            known.gate.pool().is_some()
                && before.concurrency == options.concurrency
                && before.queue_length == options.queue_length
        });
        Self {
            gate: match same_gate {
                Some(known) => Arc::clone(&known.gate),
                None => options.gate(place, Some(Arc::clone(pool))),
            },
            lane: known.map_or_else(Arc::default, |known| Arc::clone(&known.lane)),
            since: known.map_or(place.now, |known| known.since),
            definition,
            options,
        }
    }

    /// Where it is served.
    fn locations(&self) -> Vec<Location> {
        match self.gate.pool() {
            Some(pool) => pool.locations(),
            None => vec![Location {
                worker_id: String::new(),
                worker_name: String::new(),
                build_id: String::new(),
                definition: Arc::clone(&self.definition),
                running: self.gate.running(),
                since: self.since,
                away: false,
            }],
        }
    }

    /// Whether somebody serves it now.
    pub(super) fn is_served(&self) -> bool {
        self.gate.pool().is_none_or(|pool| pool.is_served())
    }

    /// Whether a worker may serve it in place of what there is.
    fn gives_way(&self) -> bool {
        self.gate.pool().is_some() || self.definition.is_demo()
    }

    pub(super) fn name(&self) -> &ServiceName {
        self.definition.name()
    }
}

/// A name that nobody ever announced: with the nearest ones that somebody did.
fn unknown(name: &str, table: &Table) -> Error {
    const MARGIN: f64 = 0.05;
    const NEAR: f64 = 0.75;
    let mut near: Vec<(f64, &str)> = table
        .keys()
        .map(|known| (strsim::jaro_winkler(name, known.as_str()), known.as_str()))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .collect();
    near.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
    // A name that is as good as the one that was meant leaves no others.
    let best = near.first().map_or(0.0, |(likeness, _)| *likeness);
    near.retain(|(likeness, _)| *likeness >= best - MARGIN);
    let nearest: Vec<&str> = near.into_iter().take(3).map(|(_, known)| known).collect();
    let mut message = format!("there is no service named `{}`", truncated(name));
    if nearest.is_empty() {
        message.push_str("; `cidery services` lists those there are");
    } else {
        message.push_str("; did you mean ");
        message.push_str(
            &nearest
                .iter()
                .map(|n| format!("`{n}`"))
                .collect::<Vec<_>>()
                .join(", "),
        );
        message.push('?');
    }
    let error = Error::not_found(reason::SERVICE_UNKNOWN, message);
    if nearest.is_empty() {
        error
    } else {
        error.with_info("nearest", nearest.join(","))
    }
}

/// What is known of a service.
#[derive(Clone, Debug)]
pub struct ServiceInfo {
    /// Its definition: the newest one among those that are served now, or the last one that was.
    pub definition: Arc<Definition>,
    /// The options in force: the service's own, and the node's where it has none.
    pub effective: ServiceOptions,
    /// How it is right now.
    pub status: ServiceStatus,
    /// Where it is served; nowhere, where workers served it and none does now.
    pub locations: Vec<Location>,
    /// Whether it can be called: workers that drain take nothing new.
    pub is_served: bool,
}

/// How a service is right now.
#[derive(Clone, Copy, Debug)]
pub struct ServiceStatus {
    /// How many of its handlers run.
    pub running: usize,
    /// How many of its invocations are pending.
    pub pending: usize,
    /// How many calls wait: for a slot, or for a worker that takes them.
    pub queued: usize,
    /// Since when it is served.
    pub since: Timestamp,
}

impl Invoker {
    /// All services, by name.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceInfo> {
        let table = self.0.routes.all();
        let awaited = self.0.laters.awaited();
        let mut services: Vec<_> = table
            .values()
            .map(|route| self.0.facts(route, &awaited))
            .collect();
        services.sort_by(|a, b| a.definition.name().cmp(b.definition.name()));
        services
    }

    /// Whether the node serves a service itself, and does not give way to workers.
    #[must_use]
    pub fn is_served_locally(&self, name: &str) -> bool {
        let route = self.0.routes.get(name);
        route.is_some_and(|route| route.gate.pool().is_none() && !route.gives_way())
    }

    /// One service.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN` with the nearest names.
    pub fn service(&self, name: &str) -> Result<ServiceInfo> {
        let route = self.0.routes.find(name)?;
        Ok(self.0.facts(&route, &self.0.laters.awaited()))
    }
}

impl Engine {
    fn facts(
        &self,
        route: &Route,
        awaited_calls: &HashMap<ServiceName, usize, RandomState>,
    ) -> ServiceInfo {
        // What answers later runs for whoever looks at it, and has no slot.
        let awaited = self.store.awaited(route.name());
        let calls = awaited_calls.get(route.name()).copied();
        let own = route.definition.service_options();
        let options = &route.options;
        ServiceInfo {
            definition: Arc::clone(&route.definition),
            locations: route.locations(),
            is_served: route.is_served(),
            effective: ServiceOptions {
                timeout: Some(options.timeout),
                attempt_timeout: Some(options.attempt_timeout),
                retry_policy: Some(options.retry_policy.clone()),
                concurrency: Some(options.concurrency),
                queue_length: Some(options.queue_length),
                retention: Some(options.retention),
                failure_retention: Some(options.failure_retention),
                pending_limit: Some(options.pending_limit),
                ..own.clone()
            },
            status: ServiceStatus {
                running: route.gate.running() + awaited + calls.unwrap_or_default(),
                queued: route.gate.queued(),
                pending: self.store.pending(route.name()).saturating_sub(awaited),
                since: route.since,
            },
        }
    }
}
