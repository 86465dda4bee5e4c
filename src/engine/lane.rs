//! Lanes: one task for each service with background work, which takes due invocations from the store as slots are free.
//!
//! Services cannot starve one another: each has a lane, and a lane waits for its own service's slots. Pending work
//! stays in the store; memory holds what runs.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::engine::Invoker;
use crate::engine::gate::Permits;
use crate::engine::routes::Route;
use crate::engine::store::Claim;
use crate::model::error::{Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Invocation, State};

/// How many invocations are taken from the store at once, at most.
const BATCH: usize = 64;
/// How much that no worker took is remembered, of each service.
const PUT_OFF: usize = 10_000;
/// How long a lane waits after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The lane of a service.
#[derive(Debug)]
pub(super) struct Lane {
    bell: Notify,
    started: AtomicBool,
    /// When it looks again by itself, in nanoseconds since 1970; [`AWAKE`] while it looks.
    looks_again: AtomicI64,
    /// The service is forgotten.
    over: CancellationToken,
    /// What no worker took: looked at again when another one comes.
    put_off: Mutex<HashSet<Cid, RandomState>>,
}

/// Whoever brings work while a lane looks has to ring: it may have looked past it.
const AWAKE: i64 = i64::MAX;

impl Default for Lane {
    fn default() -> Self {
        Self {
            bell: Notify::new(),
            started: AtomicBool::new(false),
            looks_again: AtomicI64::new(AWAKE),
            over: CancellationToken::new(),
            put_off: Mutex::default(),
        }
    }
}

impl Lane {
    fn off(&self) -> MutexGuard<'_, HashSet<Cid, RandomState>> {
        // Every change is one insertion, or all are taken.
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody knows the service any more.
    pub(super) fn end(&self) {
        self.over.cancel();
    }

    /// Remembers what no worker took; answers whether. Beyond a limit it is looked at again when it is due.
    pub(super) fn note_put_off(&self, cid: Cid) -> bool {
        let mut off = self.off();
        if off.len() >= PUT_OFF {
            return false;
        }
        off.insert(cid);
        true
    }

    /// Whether it is remembered still.
    pub(super) fn is_put_off(&self, cid: Cid) -> bool {
        self.off().contains(&cid)
    }
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
    /// Tells a service's lane that there is work that somebody has to look at then, unless it looks by then anyway.
    pub(super) fn wake_by(&self, route: &Arc<Route>, time: Timestamp) {
        if nanos(time) < route.lane.looks_again.load(Ordering::SeqCst) {
            self.wake(route);
        }
    }

    /// Has what no worker took be looked at now: another one has come.
    pub(super) fn take_up_put_off(&self, route: &Arc<Route>) {
        let put_off = std::mem::take(&mut *route.lane.off());
        if put_off.is_empty() {
            return;
        }
        let (invoker, route) = (self.clone(), Arc::clone(route));
        self.0.tasks.spawn("put off", async move {
            for cid in put_off {
                invoker.take_up(&route, cid).await;
            }
        });
    }

    /// Has what was put off be looked at now, unless it runs, or has ended, or is gone.
    pub(super) async fn take_up(&self, route: &Arc<Route>, cid: Cid) {
        if let Ok(found) = self.look(cid).await
            && is_put_off(&found.invocation)
        {
            self.release(route, &found.invocation).await;
        }
    }

    /// Tells a service's lane that there is work.
    pub(super) fn wake(&self, route: &Arc<Route>) {
        if !route.lane.started.swap(true, Ordering::AcqRel) {
            let drive = drive(self.clone(), route.name().clone(), Arc::clone(&route.lane));
            self.spawn_until_drain("lane", drive);
        }
        route.lane.bell.notify_one();
    }
}

fn is_put_off(invocation: &Invocation) -> bool {
    let failure = invocation.last_failure.as_ref();
    matches!(invocation.state, State::Pending { .. })
        && failure.is_some_and(|failure| failure.reason() == reason::NO_COMPATIBLE_WORKER)
}

async fn drive(invoker: Invoker, service: ServiceName, lane: Arc<Lane>) {
    while !lane.over.is_cancelled() {
        // Before the store is read: what is stored after that, and due before the lane looks again, rings.
        lane.looks_again.store(AWAKE, Ordering::SeqCst);
        let wait = match take(&invoker, &service).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(service.name = %service, %error, "cannot take pending work");
                Wait::For(PAUSE)
            }
        };
        match wait {
            Wait::No => {}
            Wait::ForBell => tokio::select! {
                () = lane.bell.notified() => {}
                () = lane.over.cancelled() => {}
            },
            Wait::Until(due) => {
                lane.looks_again.store(nanos(due), Ordering::SeqCst);
                // The bell may ring for something that is due earlier.
                tokio::select! {
                    () = lane.bell.notified() => {}
                    () = invoker.0.clock.sleep_until(due) => {}
                    () = lane.over.cancelled() => {}
                }
            }
            Wait::For(pause) => tokio::time::sleep(pause).await,
        }
    }
}

fn nanos(time: Timestamp) -> i64 {
    // What is later than an `i64` has room for is looked at when it is.
    i64::try_from(time.as_nanosecond()).unwrap_or(AWAKE - 1)
}

enum Wait {
    No,
    ForBell,
    Until(Timestamp),
    For(Duration),
}

/// Waits for slots, takes as much due work as there are slots, and starts it.
async fn take(invoker: &Invoker, service: &ServiceName) -> Result<Wait> {
    // Each time: where workers come and go it is another route.
    let route = &invoker.0.routes.find(service.as_str())?;
    let store = &invoker.0.store;
    let pending = store.pending_count(route.name());
    if pending == 0 {
        return Ok(Wait::ForBell);
    }
    let first = tokio::select! {
        permits = route.gate.enter_unqueued() => permits,
        () = route.lane.over.cancelled() => return Ok(Wait::No),
    };
    let mut permits: Vec<Permits> = vec![first];
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
