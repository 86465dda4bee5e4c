//! What the services of a node have done since it started, and what they do now.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use jiff::Timestamp;

use crate::engine::history::RecentCalls;
use crate::engine::metrics::{HistogramSnapshot, OutcomeCount};
use crate::engine::routing::Route;
use crate::engine::status::{StatusReader, within};
use crate::model::id::ServiceName;

/// How many minutes are recent, the current one included.
const RECENT_MINUTES: usize = 5;

/// What one service has done, and what it does now.
#[derive(Clone, Debug)]
pub struct ServiceStats {
    /// The service.
    pub service: ServiceName,
    /// How its invocations and calls ended. Those without any are left out.
    pub outcomes: Vec<OutcomeCount>,
    /// How long its handlers ran, in seconds.
    pub duration: HistogramSnapshot,
    /// How long its stored invocations waited from when they were due to their attempt, in seconds.
    pub queue_wait: HistogramSnapshot,
    /// How many synchronous calls wait.
    pub queued: usize,
    /// How many invocations are pending, those aside whose outcome is awaited from outside.
    pub pending: usize,
    /// How many handlers run.
    pub running: usize,
    /// How many may run at once.
    pub concurrency: usize,
    /// When the invocation that has been due longest was due; `None` where none is due, and where the store could not
    /// tell.
    pub oldest_due: Option<Timestamp>,
    /// Whether the node or a worker serves it.
    pub is_served: bool,
    /// How many workers serve it, those that are away aside.
    pub workers: usize,
    /// How many dispatches these workers run at once, those of their other services included.
    pub worker_credits: usize,
    /// How many attempts of stored invocations have started.
    pub attempts: u64,
    /// How many attempts failed and were followed by another.
    pub retries: u64,
    /// How many attempts and calls were lost with their worker, or with the node.
    pub crashes: u64,
    /// The reason of its last failure in the last hour.
    pub last_failure_reason: Option<String>,
    /// How it did in the last minutes; `None` where it was not called.
    pub recent: Option<RecentCalls>,
    /// How many of its calls and attempts ended in the last five minutes, those included after which an invocation is
    /// retried or held.
    pub recent_attempts: u64,
    /// How many of these failed. Mistakes of callers do not count.
    pub recent_failed_attempts: u64,
    /// Whether metrics name it: as long as there are few services, those are named that are served, have been called or
    /// have pending invocations.
    pub is_named: bool,
}

/// Which services are read.
#[derive(Clone, Debug, Default)]
pub struct StatsQuery {
    /// Only these, where there are any.
    pub services: HashSet<String, RandomState>,
    /// Only those after this name.
    pub after: Option<String>,
    /// Only those that are served, have been called or have pending invocations.
    pub used_only: bool,
    /// How many, at most.
    pub max: usize,
}

/// Some services, by name.
#[derive(Clone, Debug)]
pub struct StatsPage {
    /// The services.
    pub stats: Vec<ServiceStats>,
    /// Whether there are more.
    pub has_more: bool,
    /// When they were read.
    pub time: Timestamp,
    /// When the node started.
    pub start_time: Timestamp,
}

/// When the oldest pending invocation of each service was due.
type OldestDue = HashMap<ServiceName, Timestamp, RandomState>;

impl StatusReader {
    /// Reads a page. A store that does not answer leaves the ages out.
    pub(in crate::engine) async fn service_stats(&self, query: &StatsQuery) -> StatsPage {
        let oldest_due = self.oldest_due().await;
        let table = self.routes.all();
        let is_asked = |name: &str| {
            let named = query.services.is_empty() || query.services.contains(name);
            named && query.after.as_deref().is_none_or(|after| name > after)
        };
        let routes = table.values();
        let mut routes: Vec<_> = routes
            .filter(|route| is_asked(route.name().as_str()))
            .filter(|route| !query.used_only || self.is_used(route))
            .collect();
        routes.sort_by(|one, other| one.name().cmp(other.name()));
        let has_more = routes.len() > query.max;
        routes.truncate(query.max);
        StatsPage {
            stats: routes
                .into_iter()
                .map(|route| self.stats_of(route, &oldest_due))
                .collect(),
            has_more,
            time: self.clock.now(),
            start_time: self.start_time,
        }
    }

    async fn oldest_due(&self) -> OldestDue {
        let found = within(self.store.oldest_due(self.clock.now())).await;
        let found = found.unwrap_or_default().into_iter();
        found.map(|found| (found.service, found.due)).collect()
    }

    /// Whether it is served, has been called, or has pending invocations.
    fn is_used(&self, route: &Route) -> bool {
        let is_idle = !route.is_served() && route.tally.metrics.is_empty();
        !is_idle || self.store.pending_count(route.name()) > 0
    }

    fn stats_of(&self, route: &Route, oldest_due: &OldestDue) -> ServiceStats {
        let (metrics, limit) = (&route.tally.metrics, &route.limit);

        let pool = limit.pool();
        let locations = pool.map(|pool| pool.locations()).unwrap_or_default();
        let (recent_attempts, recent_failed_attempts) = route.tally.recent(RECENT_MINUTES);
        ServiceStats {
            service: route.name().clone(),
            outcomes: metrics.outcomes(),
            duration: metrics.duration(),
            queue_wait: metrics.queue_wait(),
            queued: limit.queued(),
            pending: self.pending_of(route.name()),
            running: limit.running(),
            concurrency: route.options.concurrency,
            oldest_due: oldest_due.get(route.name()).copied(),
            is_served: route.is_served(),
            workers: locations.iter().filter(|worker| !worker.away).count(),
            worker_credits: pool.map_or(0, |pool| pool.credit()),
            attempts: metrics.attempts(),
            retries: metrics.retries(),
            crashes: metrics.crashes(),
            last_failure_reason: route.tally.last_reason(),
            recent: self.history.recent(route.name().as_str()),
            recent_attempts,
            recent_failed_attempts,
            is_named: self.is_used(route) && metrics.is_named(),
        }
    }
}
