//! The services whose calls and attempts fail, from their tallies.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::lifecycle::Lifecycle;
use crate::engine::routing::{Route, Routes};
use crate::engine::tally::Failures;
use crate::model::id::{Cid, ServiceName};

/// How often the tallies begin another minute.
const MINUTE: Duration = Duration::from_mins(1);
/// How far back failures are shown, in minutes.
const SHOWN_MINUTES: usize = 60;
/// How far back it is decided whether a service fails, in minutes.
const RECENT_MINUTES: usize = 10;
/// With fewer calls and attempts a service does not count as failing.
const MIN_CALLS: u64 = 20;
/// How many failures the status shows.
const MAX_SHOWN: usize = 20;

/// The calls and attempts of one service that failed with one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailingService {
    /// The service.
    pub service: ServiceName,
    /// How many calls and attempts of it there were, with whatever outcome.
    pub calls: u64,
    /// How many of them failed with this reason.
    pub failures: u64,
    /// The reason of the failures.
    pub reason: String,
    /// The last of them.
    pub example: Cid,
    /// Its message, at most 500 characters of it.
    pub message: String,
}

/// What fails on a node.
#[derive(Clone, Debug, Default)]
pub struct FailingServices {
    /// Failures of the last hour, at most 20, the most frequent first.
    pub shown: Vec<FailingService>,
    /// How many there are in all.
    pub all: usize,
    /// The services that had at least 20 calls and attempts in the last 10 minutes of which at least half failed, each
    /// with its most frequent reason, those with most failures first, at most 20.
    pub now: Vec<FailingService>,
    /// How many of those there are in all.
    pub all_now: usize,
}

impl FailingServices {
    pub(super) fn read(routes: &Routes) -> Self {
        let table = routes.all();
        let (mut shown, mut now) = (Vec::new(), Vec::new());
        for route in table.values() {
            let found = route.tally.failures(SHOWN_MINUTES);
            if found.failed == 0 {
                continue;
            }
            shown.extend(each(route, found));
            let recent = route.tally.failures(RECENT_MINUTES);
            if recent.calls >= MIN_CALLS && recent.failed * 2 >= recent.calls {
                now.extend(each(route, recent).next());
            }
        }
        let (all, all_now) = (shown.len(), now.len());
        Self {
            shown: most_frequent(shown),
            all,
            now: most_frequent(now),
            all_now,
        }
    }
}

fn each(route: &Route, found: Failures) -> impl Iterator<Item = FailingService> {
    let (service, calls) = (route.name().clone(), found.calls);
    found.reasons.into_iter().map(move |reason| FailingService {
        service: service.clone(),
        calls,
        failures: reason.failed,
        reason: reason.reason,
        example: reason.example,
        message: reason.message,
    })
}

fn most_frequent(mut all: Vec<FailingService>) -> Vec<FailingService> {
    all.sort_by(|one, other| {
        let by_count = other.failures.cmp(&one.failures);
        by_count.then_with(|| (&one.service, &one.reason).cmp(&(&other.service, &other.reason)))
    });
    all.truncate(MAX_SHOWN);
    all
}

/// Begins another minute of all tallies each minute, until the node drains.
pub(in crate::engine) fn start(routes: Arc<Routes>, lifecycle: &Lifecycle) {
    lifecycle.spawn_until_drain("tallies", async move {
        loop {
            tokio::time::sleep(MINUTE).await;
            for route in routes.all().values() {
                route.tally.advance();
            }
        }
    });
}
