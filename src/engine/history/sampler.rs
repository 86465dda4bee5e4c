//! The task that ends each interval: it reads the counters of metrics, and asks the store how long work has waited.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::sample::{Gauges, INTERVAL};
use super::totals::Totals;
use super::{History, Observed};
use crate::engine::clock::{Clock, saturating_add};
use crate::engine::lifecycle::Lifecycle;
use crate::engine::routing::{Route, Routes};
use crate::engine::store::Store;
use crate::model::id::ServiceName;

/// How long the store may take to answer. Without its answer a sample has no age.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// Samples until the node drains.
pub(in crate::engine) fn start(
    history: Arc<History>,
    routes: Arc<Routes>,
    store: Arc<dyn Store>,
    clock: Clock,
    lifecycle: &Lifecycle,
) {
    let sampling = sample(history, routes, store, clock);
    lifecycle.spawn_until_drain("history", sampling);
}

async fn sample(history: Arc<History>, routes: Arc<Routes>, store: Arc<dyn Store>, clock: Clock) {
    loop {
        let end = saturating_add(clock.now(), INTERVAL);
        clock.sleep_until(end).await;
        let now = clock.now();
        let ages = ages(&*store, now).await;
        let observed = observe(&routes, &*store, &ages);
        history.end_interval(now, observed);
    }
}

/// How long the invocation of each service that has been due longest has been so.
type Ages = HashMap<ServiceName, Duration, RandomState>;

async fn ages(store: &dyn Store, now: Timestamp) -> Ages {
    // The store of an idle node is left alone.
    if store.total_pending_count() == 0 {
        return Ages::default();
    }
    let found = tokio::time::timeout(STORE_TIMEOUT, store.oldest_due(now)).await;
    let found = found.ok().and_then(Result::ok).unwrap_or_default();
    let ages = found.into_iter().map(|oldest| {
        let age = Duration::try_from(now.duration_since(oldest.due));
        (oldest.service, age.unwrap_or_default())
    });
    ages.collect()
}

/// What each service has now, of those that have ever been called or have pending invocations.
fn observe(routes: &Routes, store: &dyn Store, ages: &Ages) -> Vec<Observed> {
    let table = routes.all();
    let observed = table.values().filter_map(|route| {
        let gauges = gauges(route, store, ages);
        let metrics = &route.tally.metrics;
        if metrics.is_empty() && gauges.running + gauges.queued + gauges.pending == 0 {
            return None;
        }
        Some(Observed {
            service: route.name().clone(),
            totals: Totals::of(metrics),
            gauges,
            is_named: metrics.is_named(),
        })
    });
    observed.collect()
}

fn gauges(route: &Route, store: &dyn Store, ages: &Ages) -> Gauges {
    let name = route.name();
    let awaited = store.awaiting_completion_count(name);
    Gauges {
        running: route.limit.running(),
        queued: route.limit.queued(),
        pending: store.pending_count(name).saturating_sub(awaited),
        oldest_due_age: ages.get(name).copied(),
    }
}
