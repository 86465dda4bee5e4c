//! Schedulers: one task per service with background work, which claims due invocations as permits become free.
//!
//! Services cannot starve one another: each has its own scheduler, which waits for permits of its own service. Pending
//! work stays in the store; memory holds what runs, as much as its budget allows.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::engine::admission::concurrency::Permits;
use crate::engine::durable::commit::Committer;
use crate::engine::durable::run::Runner;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::routing::wakeup::SchedulerHandle;
use crate::engine::routing::{Route, Routes};
use crate::engine::running_budget::{Admission, RunningBudget};
use crate::engine::store::{
    Claim, ClaimLimit, OldestDue, SHARED_POLL_INTERVAL, STORE_RETRY_DELAY, Store,
};
use crate::engine::timer::Timer;
use crate::model::error::Result;
use crate::model::invocation::Invocation;

/// How many invocations one claim takes, at most.
const MAX_CLAIM: usize = 64;
/// How many bytes they have, at most. A larger invocation is claimed alone.
const CLAIM_BYTES: usize = 1024 * 1024;

/// What the schedulers of all services share.
#[derive(Debug)]
pub(in crate::engine) struct Schedulers {
    routes: Arc<Routes>,
    store: Arc<dyn Store>,
    committer: Arc<Committer>,
    runner: Arc<Runner>,
    memory: Arc<RunningBudget>,
    timer: Timer,
    lifecycle: Arc<Lifecycle>,
}

/// What a scheduler waits for before it polls the store again.
enum Wait {
    /// Nothing: more may be due.
    PollAgain,
    Wakeup,
    WakeupOr(Timestamp),
    Delay(Duration),
}

impl Schedulers {
    pub(in crate::engine) fn new(
        routes: Arc<Routes>,
        store: Arc<dyn Store>,
        committer: Arc<Committer>,
        runner: Arc<Runner>,
        memory: Arc<RunningBudget>,
        timer: Timer,
        lifecycle: Arc<Lifecycle>,
    ) -> Arc<Self> {
        Arc::new(Self {
            routes,
            store,
            committer,
            runner,
            memory,
            timer,
            lifecycle,
        })
    }

    /// Starts schedulers as their first wakeups arrive, and wakes those whose services have pending work in the store.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub(in crate::engine) async fn start(
        self: &Arc<Self>,
        mut starts: mpsc::UnboundedReceiver<Arc<SchedulerHandle>>,
    ) -> Result<()> {
        let schedulers = Arc::clone(self);
        self.lifecycle.spawn_until_drain("schedulers", async move {
            while let Some(handle) = starts.recv().await {
                let scheduler = Arc::clone(&schedulers).run(handle);
                schedulers
                    .lifecycle
                    .spawn_until_drain("scheduler", scheduler);
            }
        });
        for service in self.store.services_with_pending().await? {
            if let Some(route) = self.routes.get(service.as_str()) {
                route.scheduler.wake();
            }
        }
        if self.store.is_shared() {
            let poll = Arc::clone(self).poll_shared();
            self.lifecycle.spawn_until_drain("shared work", poll);
        }
        Ok(())
    }

    /// Wakes the schedulers of services with due work: other nodes that accept or release work do not notify this one.
    async fn poll_shared(self: Arc<Self>) {
        loop {
            self.timer.pause(SHARED_POLL_INTERVAL).await;
            // Of a failed store, the schedulers that are awake tell.
            let Ok(due) = self.store.oldest_due(self.timer.now()).await else {
                continue;
            };
            for OldestDue { service, .. } in due {
                if let Some(route) = self.routes.get(service.as_str()) {
                    route.scheduler.wake();
                }
            }
        }
    }

    async fn run(self: Arc<Self>, handle: Arc<SchedulerHandle>) {
        while !handle.closed().is_cancelled() {
            // Set before the store is read: work that is stored after that wakes the scheduler.
            handle.set_polling();
            let wait = match self.claim(&handle).await {
                Ok(wait) => wait,
                Err(error) => {
                    let service = handle.service();
                    tracing::error!(service.name = %service, %error, "cannot claim pending work");
                    Wait::Delay(STORE_RETRY_DELAY)
                }
            };
            match wait {
                Wait::PollAgain => {}
                Wait::Wakeup => tokio::select! {
                    () = handle.woken() => {}
                    () = handle.closed().cancelled() => {}
                },
                Wait::WakeupOr(due) => {
                    handle.set_next_poll(due);
                    tokio::select! {
                        () = handle.woken() => {}
                        () = self.timer.sleep_until(due) => {}
                        () = handle.closed().cancelled() => {}
                    }
                }
                Wait::Delay(delay) => tokio::time::sleep(delay).await,
            }
        }
    }

    /// Waits for a permit and for memory, claims as many due invocations as there are permits, and starts an attempt of
    /// each.
    ///
    /// The permit is first: it is what a scheduler may wait for longest, and memory that waits with it would be missing
    /// elsewhere. A scheduler that waits for memory keeps one permit of its service from others.
    async fn claim(&self, handle: &SchedulerHandle) -> Result<Wait> {
        // Looked up each time: the route is replaced as workers connect and disconnect.
        let route = &self.routes.find(handle.service().as_str())?;
        let pending = match self.store.is_shared() {
            // The count is an estimate.
            true => MAX_CLAIM,
            false => self.store.pending_count(route.name()),
        };
        // The resume of a paused service wakes its scheduler. Until then, expired invocations are left to `Expiry`.
        if pending == 0 || route.gate.is_background_closed() {
            return Ok(Wait::Wakeup);
        }
        let first = tokio::select! {
            permits = route.limit.acquire_for_background() => permits,
            () = handle.rerouted() => return Ok(Wait::PollAgain),
            () = handle.closed().cancelled() => return Ok(Wait::PollAgain),
        };
        let mut permits: Vec<Permits> = vec![first];
        let mut bytes = CLAIM_BYTES;
        let (claim, room) = loop {
            let room = tokio::select! {
                room = self.memory.admit(bytes) => room,
                () = handle.rerouted() => return Ok(Wait::PollAgain),
                () = handle.closed().cancelled() => return Ok(Wait::PollAgain),
            };
            let more = std::iter::from_fn(|| route.limit.try_acquire_for_background());
            permits.extend(more.take(pending.min(MAX_CLAIM) - 1));
            if self.committer.is_stuck() {
                return Ok(Wait::Delay(STORE_RETRY_DELAY));
            }
            // It may have been paused while this waited.
            if route.gate.is_background_closed() {
                return Ok(Wait::Wakeup);
            }
            let limit = ClaimLimit {
                invocations: permits.len(),
                bytes,
            };
            let claim = self.store.claim(route.name(), self.timer.now(), limit);
            let claim = claim.await?;
            let Some(larger) = claim.too_large else {
                break (claim, room);
            };
            // It is read once there is room for it.
            bytes = larger;
            permits.truncate(1);
        };
        let Claim {
            invocations,
            next_due,
            ..
        } = claim;
        let claimed = invocations.len();
        self.start_attempts(route, invocations, permits, room);
        Ok(match next_due {
            _ if claimed > 0 => Wait::PollAgain,
            Some(due) => Wait::WakeupOr(due),
            None => Wait::Wakeup,
        })
    }

    fn start_attempts(
        &self,
        route: &Arc<Route>,
        invocations: Vec<Invocation>,
        permits: Vec<Permits>,
        room: Admission,
    ) {
        let sizes: Vec<_> = invocations.iter().map(Invocation::payload_bytes).collect();
        let attempts = invocations.into_iter().zip(permits);
        for ((invocation, permits), memory) in attempts.zip(room.divide(&sizes)) {
            let runner = Arc::clone(&self.runner);
            let attempt = runner.run(Arc::clone(route), invocation, permits, memory);
            self.lifecycle.tasks().spawn("attempt", attempt);
        }
    }
}
