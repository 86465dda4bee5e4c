//! Wakeups of schedulers: the part of a scheduler that other components hold, to tell it about new work.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::model::id::{Cid, ServiceName};

/// How many deferred invocations of one service are remembered. The others are polled when they are due.
const MAX_DEFERRED: usize = 10_000;

/// The value of `next_poll_at` while the scheduler polls the store: every new invocation then wakes it, since the query
/// may have missed it.
const POLLING: i64 = i64::MAX;

/// Where schedulers are started: the receiver spawns one task for each. Unbounded: each service sends once.
pub(in crate::engine) type SchedulerStarts = mpsc::UnboundedSender<Arc<SchedulerHandle>>;

/// Wakes the scheduler of one service, and starts it with the first wakeup.
#[derive(Debug)]
pub(in crate::engine) struct SchedulerHandle {
    service: ServiceName,
    wakeup: Notify,
    /// Notified when the service is served elsewhere: a wait for permits there would never end.
    rerouted: Notify,
    started: AtomicBool,
    starts: SchedulerStarts,
    /// When the scheduler polls the store next, in nanoseconds since 1970; [`POLLING`] while it does.
    next_poll_at: AtomicI64,
    /// Fires when the service is forgotten.
    closed: CancellationToken,
    /// Invocations that no connected worker accepts: retried when another worker connects.
    deferred: Mutex<HashSet<Cid, RandomState>>,
}

impl SchedulerHandle {
    pub(in crate::engine) fn new(service: ServiceName, starts: SchedulerStarts) -> Arc<Self> {
        Arc::new(Self {
            service,
            wakeup: Notify::new(),
            rerouted: Notify::new(),
            started: AtomicBool::new(false),
            starts,
            next_poll_at: AtomicI64::new(POLLING),
            closed: CancellationToken::new(),
            deferred: Mutex::default(),
        })
    }

    pub(in crate::engine) fn service(&self) -> &ServiceName {
        &self.service
    }

    /// Wakes the scheduler: there is work.
    pub(in crate::engine) fn wake(self: &Arc<Self>) {
        if !self.started.swap(true, Ordering::AcqRel) {
            // Refused only while the node stops.
            let _ = self.starts.send(Arc::clone(self));
        }
        self.wakeup.notify_one();
    }

    /// Wakes the scheduler for work that is due at `time`, unless it polls by then anyway.
    pub(in crate::engine) fn wake_by(self: &Arc<Self>, time: Timestamp) {
        if nanoseconds(time) < self.next_poll_at.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Waits for a wakeup.
    ///
    /// # Cancel safety
    ///
    /// A wakeup is consumed only when this resolves.
    pub(in crate::engine) async fn woken(&self) {
        self.wakeup.notified().await;
    }

    /// Tells the scheduler that the service is served elsewhere now.
    pub(in crate::engine) fn reroute(self: &Arc<Self>) {
        self.rerouted.notify_one();
        self.wake();
    }

    /// Waits until the service is served elsewhere.
    ///
    /// # Cancel safety
    ///
    /// A notification is consumed only when this resolves.
    pub(in crate::engine) async fn rerouted(&self) {
        self.rerouted.notified().await;
    }

    /// Notes that the scheduler polls now: from now on, all work wakes it.
    pub(in crate::engine) fn set_polling(&self) {
        self.next_poll_at.store(POLLING, Ordering::SeqCst);
    }

    /// Notes when the scheduler polls next: work that is due later need not wake it.
    pub(in crate::engine) fn set_next_poll(&self, time: Timestamp) {
        self.next_poll_at.store(nanoseconds(time), Ordering::SeqCst);
    }

    /// Ends the scheduler: the service is forgotten.
    pub(in crate::engine) fn close(&self) {
        self.closed.cancel();
    }

    pub(in crate::engine) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    fn lock_deferred(&self) -> MutexGuard<'_, HashSet<Cid, RandomState>> {
        // Every change is one insertion, or takes the whole set.
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a deferred invocation; returns whether there was room for it.
    pub(in crate::engine) fn remember_deferred(&self, cid: Cid) -> bool {
        let mut deferred = self.lock_deferred();
        if deferred.len() >= MAX_DEFERRED {
            return false;
        }
        deferred.insert(cid);
        true
    }

    pub(in crate::engine) fn is_deferred(&self, cid: Cid) -> bool {
        self.lock_deferred().contains(&cid)
    }

    /// Forgets all deferred invocations and returns them, to be retried.
    pub(in crate::engine) fn take_deferred(&self) -> HashSet<Cid, RandomState> {
        std::mem::take(&mut *self.lock_deferred())
    }
}

fn nanoseconds(time: Timestamp) -> i64 {
    // Later instants than an `i64` can hold are far away: the scheduler polls before.
    i64::try_from(time.as_nanosecond()).unwrap_or(POLLING - 1)
}
