//! Lanes: one task for each service with background work, which takes due invocations from the store as slots are free.
//!
//! Services cannot starve one another: each has a lane, and a lane waits for its own service's slots. Pending work
//! stays in the store; memory holds what runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::engine::Invoker;
use crate::engine::gate::Permits;
use crate::engine::routes::Route;
use crate::engine::store::Claim;
use crate::model::error::Result;

/// How many invocations are taken from the store at once, at most.
const BATCH: usize = 64;
/// How long a lane waits after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The lane of a service.
#[derive(Debug, Default)]
pub(super) struct Lane {
    bell: Notify,
    started: AtomicBool,
}

/// Takes up the work that the store holds.
pub(super) async fn start_all(invoker: &Invoker) -> Result<()> {
    for service in invoker.0.store.services_with_pending().await? {
        if let Ok(route) = invoker.0.routes.find(service.as_str()) {
            invoker.wake(&route);
        }
    }
    Ok(())
}

impl Invoker {
    /// Tells a service's lane that there is work.
    pub(super) fn wake(&self, route: &Arc<Route>) {
        if !route.lane.started.swap(true, Ordering::AcqRel) {
            let lane = drive(self.clone(), Arc::clone(route));
            self.0.tasks.spawn("lane", lane);
        }
        route.lane.bell.notify_one();
    }
}

async fn drive(invoker: Invoker, route: Arc<Route>) {
    let draining = invoker.0.draining.clone();
    let work = async {
        loop {
            let wait = match take(&invoker, &route).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::error!(service.name = %route.name(), %error, "cannot take pending work");
                    Wait::For(PAUSE)
                }
            };
            match wait {
                Wait::No => {}
                Wait::ForBell => route.lane.bell.notified().await,
                Wait::Until(due) => {
                    let due = invoker.0.clock.instant(due);
                    // The bell may ring for something that is due earlier.
                    let _ = tokio::time::timeout_at(due, route.lane.bell.notified()).await;
                }
                Wait::For(pause) => tokio::time::sleep(pause).await,
            }
        }
    };
    tokio::select! {
        () = draining.cancelled() => {}
        () = work => {}
    }
}

enum Wait {
    No,
    ForBell,
    Until(Timestamp),
    For(Duration),
}

/// Waits for slots, takes as much due work as there are slots, and starts it.
async fn take(invoker: &Invoker, route: &Arc<Route>) -> Result<Wait> {
    let store = &invoker.0.store;
    let pending = store.pending(route.name());
    if pending == 0 {
        return Ok(Wait::ForBell);
    }
    let mut permits: Vec<Permits> = vec![route.gate.enter_unqueued().await];
    permits.extend(std::iter::from_fn(|| route.gate.try_enter()).take(pending.min(BATCH) - 1));
    if !invoker.0.unrecorded.is_empty() {
        return Ok(Wait::For(PAUSE));
    }
    let now = invoker.0.clock.now();
    let Claim {
        invocations,
        next_due,
    } = store.claim(route.name(), now, permits.len()).await?;
    let taken = invocations.len();
    for (invocation, permits) in invocations.into_iter().zip(permits) {
        let attempt = invoker
            .clone()
            .run_in_background(Arc::clone(route), invocation, permits);
        invoker.0.tasks.spawn("attempt", attempt);
    }
    Ok(match next_due {
        _ if taken > 0 => Wait::No,
        Some(due) => Wait::Until(due),
        None => Wait::ForBell,
    })
}
