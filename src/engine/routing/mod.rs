//! Routing: from the name of a service to where it is served. Read with every call, changed rarely.

mod route;
pub(in crate::engine) mod wakeup;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};
use foldhash::fast::RandomState;
use tokio::sync::{Semaphore, watch};

use self::route::EffectiveOptions;
pub(in crate::engine) use self::route::Route;
use crate::engine::admission::concurrency::ConcurrencyLimit;
use crate::engine::admission::quota::RateLimit;
use crate::engine::admission::worker_pool::{WorkerPool, WorkerService};
use crate::engine::clock::Clock;
use crate::engine::control::gates::Gates;
use crate::engine::limits::Limits;
use crate::engine::metrics::InvocationKind;
use crate::engine::routing::wakeup::{SchedulerHandle, SchedulerStarts};
use crate::engine::tally::{Tally, TallyRoom};
use crate::model::call::Call;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::{ServiceName, truncated};
use crate::service::{Definition, Registry};

type Table = HashMap<ServiceName, Arc<Route>, RandomState>;

/// The routing table of a node.
#[derive(Debug)]
pub(in crate::engine) struct Routes {
    table: ArcSwap<Table>,
    /// The routes of the demo services of this process, which workers may replace.
    demos: Table,
    /// Rises with each change of the table.
    version: AtomicU64,
    /// Notifies watchers of changes of the table, and of where services are served.
    changes: watch::Sender<()>,
    limits: Arc<Limits>,
    clock: Clock,
    /// Limits the handlers of all services together.
    node_permits: Arc<Semaphore>,
    scheduler_starts: SchedulerStarts,
    gates: Arc<Gates>,
    /// Whether a service has, or had, a rate.
    has_rates: AtomicBool,
    /// What the tallies of all services share.
    tally_room: TallyRoom,
    /// Whether the failure of an unknown name suggests similar ones: not all callers may know them.
    suggests_names: bool,
}

impl Routes {
    pub(in crate::engine) fn new(
        registry: Registry,
        limits: Arc<Limits>,
        clock: Clock,
        scheduler_starts: SchedulerStarts,
        gates: Arc<Gates>,
        suggests_names: bool,
    ) -> Self {
        let mut routes = Self {
            table: ArcSwap::default(),
            demos: Table::default(),
            version: AtomicU64::new(0),
            changes: watch::Sender::new(()),
            node_permits: Arc::new(Semaphore::new(limits.node_concurrency)),
            limits,
            clock,
            scheduler_starts,
            gates,
            has_rates: AtomicBool::new(false),
            tally_room: TallyRoom::default(),
            suggests_names,
        };
        let table: Table = registry
            .into_iter()
            .map(|definition| {
                let route = routes.local_route(definition);
                (route.name().clone(), route)
            })
            .collect();
        let demos = table.iter().filter(|(_, route)| route.is_replaceable());
        routes.demos = demos
            .map(|(name, route)| (name.clone(), Arc::clone(route)))
            .collect();
        routes.table.store(Arc::new(table));
        routes
    }

    /// Adds a service of this process.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `SERVICE_EXISTS`.
    pub(in crate::engine) fn add(&self, definition: Definition) -> Result<()> {
        let route = self.local_route(definition);
        let name = route.name();
        let before = self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table
                .entry(name.clone())
                .or_insert_with(|| Arc::clone(&route));
            table
        });
        if before.contains_key(name) {
            let message = format!("a service named `{name}` already exists");
            return Err(Error::already_exists(reason::SERVICE_EXISTS, message));
        }
        self.note_table_change();
        Ok(())
    }

    /// Inserts or updates the routes of services that workers serve. Waiting and running calls of a service continue. A
    /// service of this process is not replaced, unless it is a demo service. All in one change: each copies the table.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `SERVICE_EXISTS` where this process serves one of them; the others are inserted.
    pub(in crate::engine) fn upsert_worker_routes(&self, services: &[WorkerService]) -> Result<()> {
        let is_fixed = |known: Option<&Arc<Route>>| known.is_some_and(|it| !it.is_replaceable());
        let before = self.table.rcu(|table| {
            let mut table = Table::clone(table);
            for WorkerService { definition, pool } in services {
                let name = definition.name();
                let known = table.get(name);
                if !is_fixed(known) {
                    let route = self.worker_route(Arc::clone(definition), pool, known);
                    table.insert(name.clone(), Arc::new(route));
                }
            }
            table
        });
        self.note_table_change();
        let names = services.iter().map(|service| service.definition.name());
        match names.into_iter().find(|name| is_fixed(before.get(*name))) {
            Some(name) => {
                let message = format!("`{name}` is served by the node itself");
                Err(Error::already_exists(reason::SERVICE_EXISTS, message))
            }
            None => Ok(()),
        }
    }

    /// Restores the route of a demo service that workers had replaced; `None` where the service is not one.
    pub(in crate::engine) fn restore_demo(&self, name: &ServiceName) -> Option<Arc<Route>> {
        let demo = self.demos.get(name)?;
        self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table.insert(name.clone(), Arc::clone(demo));
            table
        });
        self.note_table_change();
        Some(Arc::clone(demo))
    }

    /// Removes a service.
    pub(in crate::engine) fn remove(&self, name: &ServiceName) {
        self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table.remove(name);
            table
        });
        self.note_table_change();
    }

    fn note_table_change(&self) {
        self.version.fetch_add(1, Ordering::Release);
        self.notify_changes();
    }

    /// Notifies watchers that the processes that serve a service have changed.
    pub(in crate::engine) fn notify_changes(&self) {
        self.changes.send_replace(());
    }

    /// Notifies of changes: of the table, and of where services are served.
    pub(in crate::engine) fn subscribe(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// The version of the table: the same number means the same services.
    pub(in crate::engine) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// How many handlers of all services run.
    pub(in crate::engine) fn running_handlers(&self) -> usize {
        self.limits.node_concurrency - self.node_permits.available_permits()
    }

    /// The limits of the node.
    pub(in crate::engine) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The route of a service, if there is one.
    pub(in crate::engine) fn get(&self, name: &str) -> Option<Arc<Route>> {
        self.table.load().get(name).cloned()
    }

    /// Counts a call that is accepted against the rate of its service.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `RATE_LIMIT`.
    #[inline]
    pub(in crate::engine) fn check_rate(&self, service: &str) -> Result<()> {
        match self.has_rates.load(Ordering::Relaxed) {
            true => self
                .get(service)
                .map_or(Ok(()), |route| check_rate(&route, 1)),
            false => Ok(()),
        }
    }

    /// As [`check_rate`](Self::check_rate) for the calls of a batch.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `RATE_LIMIT`. The calls of other services may have been counted.
    pub(in crate::engine) fn check_rates(&self, calls: &[Call]) -> Result<()> {
        if !self.has_rates.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut services: HashMap<&str, usize, RandomState> = HashMap::default();
        for call in calls {
            *services.entry(&*call.service).or_default() += 1;
        }
        services.into_iter().try_for_each(|(service, calls)| {
            let route = self.get(service);
            route.map_or(Ok(()), |route| check_rate(&route, calls))
        })
    }

    /// The route of a service.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN` with the most similar names.
    #[inline]
    pub(in crate::engine) fn find(&self, name: &str) -> Result<Arc<Route>> {
        let table = self.table.load();
        match table.get(name) {
            Some(route) => Ok(Arc::clone(route)),
            None if self.suggests_names => Err(service_unknown(name, table.keys())),
            None => Err(Self::unknown(name)),
        }
    }

    /// What a caller is told of a service that it must not know: the same as of one that does not exist.
    pub(in crate::engine) fn unknown(name: &str) -> Error {
        service_unknown(name, std::iter::empty())
    }

    pub(in crate::engine) fn all(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    fn limit(
        &self,
        options: &EffectiveOptions,
        pool: Option<Arc<dyn WorkerPool>>,
    ) -> Arc<ConcurrencyLimit> {
        let node = Arc::clone(&self.node_permits);
        Arc::new(ConcurrencyLimit::new(
            options.concurrency,
            options.queue_length,
            node,
            self.limits.node_concurrency,
            pool,
        ))
    }

    fn rate(&self, options: &EffectiveOptions) -> Option<Arc<RateLimit>> {
        let rate = options.rate?;
        self.has_rates.store(true, Ordering::Relaxed);
        Some(Arc::new(RateLimit::new(rate)))
    }

    fn scheduler(&self, name: &ServiceName) -> Arc<SchedulerHandle> {
        SchedulerHandle::new(name.clone(), self.scheduler_starts.clone())
    }

    fn local_route(&self, definition: Definition) -> Arc<Route> {
        let options = EffectiveOptions::new(&definition, &self.limits);
        Arc::new(Route {
            rate: self.rate(&options),
            limit: self.limit(&options, None),
            scheduler: self.scheduler(definition.name()),
            gate: self.gates.gate(definition.name()),
            tally: Tally::new(self.tally_room.clone()),
            definition: Arc::new(definition),
            options,
            since: self.clock.now(),
        })
    }

    /// A route to workers; `known` is the route that it replaces.
    fn worker_route(
        &self,
        definition: Arc<Definition>,
        pool: &Arc<dyn WorkerPool>,
        known: Option<&Arc<Route>>,
    ) -> Route {
        let options = EffectiveOptions::new(&definition, &self.limits);
        // Calls that wait keep their position where the limits are the same.
        let same_limit = known.filter(|known| {
            let before = &known.options;
            known.limit.pool().is_some()
                && before.concurrency == options.concurrency
                && before.queue_length == options.queue_length
        });
        // A worker that connects again has used its burst.
        let same_rate = known.filter(|known| known.options.rate == options.rate);
        Route {
            limit: match same_limit {
                Some(known) => Arc::clone(&known.limit),
                None => self.limit(&options, Some(Arc::clone(pool))),
            },
            scheduler: match known {
                Some(known) => Arc::clone(&known.scheduler),
                None => self.scheduler(definition.name()),
            },
            gate: self.gates.gate(definition.name()),
            rate: match same_rate {
                Some(known) => known.rate.clone(),
                None => self.rate(&options),
            },
            tally: match known {
                Some(known) => Arc::clone(&known.tally),
                None => Tally::new(self.tally_room.clone()),
            },
            since: known.map_or_else(|| self.clock.now(), |known| known.since),
            definition,
            options,
        }
    }
}

/// Counts invocations that are accepted against the rate of their service.
fn check_rate(route: &Route, calls: usize) -> Result<()> {
    let metrics = &route.tally.metrics;
    let rated = route.check_rate(calls);
    rated.inspect_err(|error| metrics.refused(InvocationKind::Async, error))
}

/// `NOT_FOUND` / `SERVICE_UNKNOWN`: the service was never declared. Names the most similar ones that were.
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for an empty name.
fn service_unknown<'a>(name: &str, known: impl Iterator<Item = &'a ServiceName>) -> Error {
    /// How similar two names have to be (Jaro-Winkler), and how far from the best one.
    const SIMILAR: f64 = 0.75;
    const MARGIN: f64 = 0.05;
    const MAX_NAMES: usize = 3;
    /// The comparison takes time with the product of the lengths, and all names are compared.
    const MAX_BYTES: usize = 64;
    const MAX_COMPARED: usize = 1_000;
    if name.is_empty() {
        let message = "is empty: it names the service to invoke";
        let violation = Violation::new("/service", "MISSING", message);
        return Error::violations(reason::REQUEST_INVALID, vec![violation]);
    }
    let is_short = |name: &str| name.len() <= MAX_BYTES;
    let mut similar: Vec<(f64, &str)> = known
        .filter(|known| is_short(name) && is_short(known.as_str()))
        .take(MAX_COMPARED)
        .map(|known| (strsim::jaro_winkler(name, known.as_str()), known.as_str()))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .collect();
    similar.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
    let best = similar.first().map_or(0.0, |(similarity, _)| *similarity);
    similar.retain(|(similarity, _)| *similarity >= best - MARGIN);
    let nearest: Vec<&str> = similar
        .into_iter()
        .take(MAX_NAMES)
        .map(|(_, known)| known)
        .collect();
    let name = truncated(name);
    if nearest.is_empty() {
        let message = format!("there is no service named `{name}`");
        return Error::not_found(reason::SERVICE_UNKNOWN, message);
    }
    let quoted: Vec<String> = nearest.iter().map(|name| format!("`{name}`")).collect();
    let message = format!(
        "there is no service named `{name}`; did you mean {}?",
        quoted.join(", ")
    );
    Error::not_found(reason::SERVICE_UNKNOWN, message).with_info("nearest", nearest.join(","))
}
