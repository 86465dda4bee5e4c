//! Concurrency limits: one semaphore per service and one per node.
//!
//! Synchronous calls wait in a bounded queue ([`CallQueue`]); background work waits in the store, and takes turns with
//! them. A call that cannot meet its deadline is refused, when it would join the queue and when it leaves it
//! ([`DeadlineCheck`]): a handler that starts too late takes a permit from one that could still answer, and under
//! overload, no call would be answered in time.
//!
//! A handler that runs here needs a local permit: one of its service and one of the node. Where workers serve the
//! service it also needs a permit of a worker.
//!
//! Lock order: a caller that waits for local permits holds no worker permit, and a caller that waits for a worker
//! permit holds no local permits. A handler that returns from a nested call waits for its worker permit *with* its
//! local permits in hand ([`HeldPermits`](super::permits::HeldPermits)): holding either while waiting for the other
//! could deadlock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::engine::admission::call_queue::CallQueue;
use crate::engine::admission::deadline_check::{Ahead, DeadlineCheck, WaitingCall};
use crate::engine::admission::handler_time::HandlerTime;
use crate::engine::admission::worker_pool::{Accepts, WorkerPool, any_worker, no_worker};
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::service::WorkerPermit;

/// How soon a call that found the queue full may be retried.
const QUEUE_FULL_RETRY_AFTER: Duration = Duration::from_millis(100);

/// Limits how many handlers of one service run at once.
#[derive(Debug)]
pub(in crate::engine) struct ConcurrencyLimit {
    service: Arc<Semaphore>,
    /// Shared by all services of the node.
    node: Arc<Semaphore>,
    /// The workers that serve the service, where workers do.
    pool: Option<Arc<dyn WorkerPool>>,
    concurrency: usize,
    /// The same for all services.
    node_concurrency: usize,
    queue_length: usize,
    queue: CallQueue,
    /// How many synchronous calls wait in the queue.
    queued: AtomicUsize,
    handler_time: Arc<HandlerTime>,
    deadline_check: DeadlineCheck,
    /// How many calls wait for a worker whose declaration accepts their input.
    waiting_for_compatible: AtomicUsize,
}

/// Permission for one handler to run.
#[derive(Debug)]
pub(in crate::engine) struct Permits {
    pub(in crate::engine) local: LocalPermits,
    pub(in crate::engine) worker: Option<Arc<dyn WorkerPermit>>,
}

/// The permits of this node: one of the service, one of the node.
#[derive(Debug)]
pub(in crate::engine) struct LocalPermits {
    _service: OwnedSemaphorePermit,
    _node: OwnedSemaphorePermit,
}

impl Permits {
    /// The permit of a worker, where one runs the handler.
    pub(in crate::engine) fn worker(&self) -> Option<&Arc<dyn WorkerPermit>> {
        self.worker.as_ref()
    }
}

impl ConcurrencyLimit {
    pub(in crate::engine) fn new(
        concurrency: usize,
        queue_length: usize,
        node: Arc<Semaphore>,
        node_concurrency: usize,
        pool: Option<Arc<dyn WorkerPool>>,
    ) -> Self {
        let handler_time = Arc::<HandlerTime>::default();
        let concurrency = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            service: Arc::new(Semaphore::new(concurrency)),
            node,
            pool,
            concurrency,
            node_concurrency,
            queue_length,
            queue: CallQueue::new(Arc::clone(&handler_time)),
            queued: AtomicUsize::new(0),
            deadline_check: DeadlineCheck::new(Arc::clone(&handler_time)),
            handler_time,
            waiting_for_compatible: AtomicUsize::new(0),
        }
    }

    /// How many handlers run.
    pub(in crate::engine) fn running(&self) -> usize {
        self.concurrency - self.service.available_permits()
    }

    /// How many synchronous calls wait for a permit, and how many calls of either kind wait for a worker that accepts
    /// their input.
    pub(in crate::engine) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed) + self.waiting_for_compatible.load(Ordering::Relaxed)
    }

    /// Whether handlers are timed: calls may soon have to wait, or workers, whose credit is not counted here, run them.
    #[inline]
    pub(super) fn is_timed(&self) -> bool {
        self.pool.is_some()
            || self.service.available_permits() < self.concurrency.div_ceil(2)
            || self.queued.load(Ordering::Relaxed) > 0
    }

    /// How long handlers run.
    pub(super) fn handler_time(&self) -> &HandlerTime {
        &self.handler_time
    }

    /// The workers that serve the service, where workers do.
    pub(in crate::engine) fn pool(&self) -> Option<&Arc<dyn WorkerPool>> {
        self.pool.as_ref()
    }

    /// Permits without waiting, if they are free.
    #[inline]
    pub(in crate::engine) fn try_acquire(&self) -> Option<Permits> {
        let local = self.try_acquire_local()?;
        let worker = match &self.pool {
            Some(pool) => Some(pool.try_acquire(&any_worker)?),
            None => None,
        };
        Some(Permits { local, worker })
    }

    #[inline]
    pub(in crate::engine) fn try_acquire_local(&self) -> Option<LocalPermits> {
        Some(LocalPermits {
            _service: Arc::clone(&self.service).try_acquire_owned().ok()?,
            _node: Arc::clone(&self.node).try_acquire_owned().ok()?,
        })
    }

    /// Waits for permits in the queue of synchronous calls, for a call with a deadline.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `QUEUE_FULL`, or `OVERLOADED` where the call could not meet its deadline; `UNAVAILABLE` /
    /// `NO_WORKER` where no worker is connected.
    ///
    /// # Cancel safety
    ///
    /// A caller that stops waiting leaves the queue.
    pub(in crate::engine) async fn acquire(
        &self,
        service: &ServiceName,
        deadline: Option<Instant>,
    ) -> Result<Permits> {
        if let Some(permits) = self.try_acquire() {
            return Ok(permits);
        }
        let is_overloaded = self.queue.is_overloaded();
        let position = match self.enqueue(&self.queued, service) {
            Ok(position) => position,
            // The oldest call makes room.
            Err(full) if is_overloaded => full.position,
            Err(full) => return Err(full.error),
        };
        let call = WaitingCall { service, deadline };
        // Under overload, calls do not wait for those before them.
        let ahead = self.ahead(if is_overloaded { 0 } else { position.ahead });
        let admission = self.deadline_check.on_entry(call, ahead)?;
        let Some(turn) = self.queue.turn(self.queue_length).await else {
            return Err(self.queue_full(service));
        };
        let permits = self.wait(&any_worker).await;
        let permits = permits.ok_or_else(|| no_worker(service, self.pool.as_deref()))?;
        self.deadline_check.on_exit(call, admission)?;
        turn.start_call();
        Ok(permits)
    }

    /// What a call has before it that waits for so many others.
    fn ahead(&self, calls: usize) -> Ahead {
        let at_workers = self.pool.as_ref().map_or(usize::MAX, |pool| pool.credit());
        Ahead {
            calls,
            concurrency: self.concurrency.min(self.node_concurrency).min(at_workers),
            share: self.queue.share_of_calls(),
        }
    }

    /// Waits for permits for background work, which waits in the store: while calls wait, it has one turn of eight.
    ///
    /// # Cancel safety
    ///
    /// As for [`acquire`](Self::acquire).
    pub(in crate::engine) async fn acquire_for_background(&self) -> Permits {
        loop {
            let turn = self.queue.background_turn().await;
            let permits = self.wait(&any_worker).await;
            drop(turn);
            if let Some(permits) = permits {
                return permits;
            }
            if let Some(pool) = &self.pool {
                pool.wait_served().await;
            }
        }
    }

    /// Permits for background work without waiting, if they are free and no call waits for them.
    pub(in crate::engine) fn try_acquire_for_background(&self) -> Option<Permits> {
        let is_needed = self.queued.load(Ordering::Relaxed) > 0;
        if is_needed { None } else { self.try_acquire() }
    }

    /// Waits for permits at a worker whose declaration passes `accepts`; `None` once no such worker is connected. At
    /// most `queue_length` calls wait.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `QUEUE_FULL`.
    ///
    /// # Cancel safety
    ///
    /// As for [`acquire`](Self::acquire).
    pub(in crate::engine) async fn acquire_compatible(
        &self,
        service: &ServiceName,
        accepts: Accepts<'_>,
    ) -> Result<Option<Permits>> {
        let full = |full: QueueFull<'_>| full.error;
        let _position = self
            .enqueue(&self.waiting_for_compatible, service)
            .map_err(full)?;
        Ok(self.wait(accepts).await)
    }

    async fn wait(&self, accepts: Accepts<'_>) -> Option<Permits> {
        let Some(pool) = &self.pool else {
            let local = self.acquire_local().await;
            return Some(Permits {
                local,
                worker: None,
            });
        };
        loop {
            let worker = pool.acquire(accepts).await?;
            if let Some(local) = self.try_acquire_local() {
                let worker = Some(worker);
                return Some(Permits { local, worker });
            }
            drop(worker);
            let local = self.acquire_local().await;
            if let Some(worker) = pool.try_acquire(accepts) {
                let worker = Some(worker);
                return Some(Permits { local, worker });
            }
        }
    }

    pub(in crate::engine) async fn acquire_local(&self) -> LocalPermits {
        LocalPermits {
            _service: acquire_owned(&self.service).await,
            _node: acquire_owned(&self.node).await,
        }
    }

    fn enqueue<'a>(
        &self,
        queue: &'a AtomicUsize,
        service: &ServiceName,
    ) -> Result<QueuePosition<'a>, QueueFull<'a>> {
        let ahead = queue.fetch_add(1, Ordering::Relaxed);
        let position = QueuePosition { queue, ahead };
        if ahead < self.queue_length {
            return Ok(position);
        }
        let error = self.queue_full(service);
        Err(QueueFull { position, error })
    }

    fn queue_full(&self, service: &ServiceName) -> Error {
        let message = format!(
            "the queue of `{service}` is full: {} calls wait and {} handlers run",
            self.queue_length, self.concurrency
        );
        Error::resource_exhausted(reason::QUEUE_FULL, message)
            .with_info("service", service)
            .with_info("queue_length", self.queue_length)
            .with_info("concurrency", self.concurrency)
            .with_retry_after(QUEUE_FULL_RETRY_AFTER)
    }
}

async fn acquire_owned(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let permit = Arc::clone(semaphore).acquire_owned().await;
    permit.unwrap_or_else(|_| unreachable!("concurrency semaphores are never closed"))
}

/// The position beyond the end of a full queue.
struct QueueFull<'a> {
    position: QueuePosition<'a>,
    error: Error,
}

/// A position in a queue; left when dropped.
struct QueuePosition<'a> {
    queue: &'a AtomicUsize,
    /// How many calls waited when it was taken.
    ahead: usize,
}

impl Drop for QueuePosition<'_> {
    fn drop(&mut self) {
        self.queue.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(in crate::engine) mod tests;
