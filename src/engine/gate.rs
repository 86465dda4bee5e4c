//! Gates: how many handlers of a service run at once, and who waits for leave.
//!
//! A handler needs a slot of its service, one of the node and, where workers serve it, a seat at one of them. Nobody
//! waits for a slot with a seat in hand, or for a seat with a slot: whoever comes back from a nested call waits for its
//! seat with its slots in hand ([`Slot`](super::slot::Slot)), and the two could wait for one another for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::pool::{Accepts, WorkerPool, any, no_worker};
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::service::WorkerPermit;

/// Lets a limited number of one service's handlers run at once.
#[derive(Debug)]
pub(super) struct Gate {
    service: Arc<Semaphore>,
    /// All services of the node share this one.
    node: Arc<Semaphore>,
    /// The workers that serve it, where they do: their seats are asked for as well.
    pool: Option<Arc<dyn WorkerPool>>,
    concurrency: usize,
    queue_length: usize,
    queued: AtomicUsize,
    /// How many wait for a worker that takes their input, after one with a seat did not.
    fitting: AtomicUsize,
}

/// Leave for one handler to run.
#[derive(Debug)]
pub(super) struct Permits {
    pub(super) here: Here,
    pub(super) seat: Option<Arc<dyn WorkerPermit>>,
}

/// The part of it that this node gives.
#[derive(Debug)]
pub(super) struct Here {
    _service: OwnedSemaphorePermit,
    _node: OwnedSemaphorePermit,
}

impl Permits {
    /// The seat at a worker, where it runs there.
    pub(super) fn seat(&self) -> Option<&Arc<dyn WorkerPermit>> {
        self.seat.as_ref()
    }
}

impl Gate {
    pub(super) fn new(
        concurrency: usize,
        queue_length: usize,
        node: Arc<Semaphore>,
        pool: Option<Arc<dyn WorkerPool>>,
    ) -> Self {
        let concurrency = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            service: Arc::new(Semaphore::new(concurrency)),
            node,
            pool,
            concurrency,
            queue_length,
            queued: AtomicUsize::new(0),
            fitting: AtomicUsize::new(0),
        }
    }

    /// How many handlers run now.
    pub(super) fn running(&self) -> usize {
        self.concurrency - self.service.available_permits()
    }

    /// How many synchronous calls wait for leave, and how much work of either kind waits for a worker that takes it.
    pub(super) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed) + self.fitting.load(Ordering::Relaxed)
    }

    /// The workers that serve it, where they do.
    pub(super) fn pool(&self) -> Option<&Arc<dyn WorkerPool>> {
        self.pool.as_ref()
    }

    /// Leave without waiting, if there is a slot.
    #[inline]
    pub(super) fn try_enter(&self) -> Option<Permits> {
        let here = self.try_enter_here()?;
        let seat = match &self.pool {
            Some(pool) => Some(pool.try_acquire(&any)?),
            None => None,
        };
        Some(Permits { here, seat })
    }

    #[inline]
    pub(super) fn try_enter_here(&self) -> Option<Here> {
        Some(Here {
            _service: Arc::clone(&self.service).try_acquire_owned().ok()?,
            _node: Arc::clone(&self.node).try_acquire_owned().ok()?,
        })
    }

    /// Waits for leave in the queue of synchronous calls.
    ///
    /// Cancel safe: whoever stops waiting leaves the queue.
    pub(super) async fn enter(&self, service: &ServiceName) -> Result<Permits> {
        if let Some(permits) = self.try_enter() {
            return Ok(permits);
        }
        if self.pool.as_ref().is_some_and(|pool| !pool.is_served()) {
            return Err(no_worker(service));
        }
        let _place = self.queue_up(&self.queued, service)?;
        self.wait(&any).await.ok_or_else(|| no_worker(service))
    }

    /// Waits for leave, however many wait and however long it takes: for background work, which waits in the store.
    pub(super) async fn enter_unqueued(&self) -> Permits {
        loop {
            if let Some(permits) = self.wait(&any).await {
                return permits;
            }
            if let Some(pool) = &self.pool {
                pool.wait_served().await;
            }
        }
    }

    /// Waits for leave at a worker whose declaration passes `takes`; `None` once there is none. As many wait as in the
    /// queue of synchronous calls.
    ///
    /// Cancel safe, as [`enter`](Self::enter).
    pub(super) async fn enter_where(
        &self,
        service: &ServiceName,
        takes: Accepts<'_>,
    ) -> Result<Option<Permits>> {
        let _place = self.queue_up(&self.fitting, service)?;
        Ok(self.wait(takes).await)
    }

    async fn wait(&self, takes: Accepts<'_>) -> Option<Permits> {
        let Some(pool) = &self.pool else {
            let here = self.enter_here().await;
            return Some(Permits { here, seat: None });
        };
        loop {
            let seat = pool.acquire(takes).await?;
            if let Some(here) = self.try_enter_here() {
                let seat = Some(seat);
                return Some(Permits { here, seat });
            }
            drop(seat);
            let here = self.enter_here().await;
            if let Some(seat) = pool.try_acquire(takes) {
                let seat = Some(seat);
                return Some(Permits { here, seat });
            }
        }
    }

    pub(super) async fn enter_here(&self) -> Here {
        Here {
            _service: acquire(&self.service).await,
            _node: acquire(&self.node).await,
        }
    }

    fn queue_up<'a>(&self, queue: &'a AtomicUsize, service: &ServiceName) -> Result<Place<'a>> {
        let place = Place(queue);
        if queue.fetch_add(1, Ordering::Relaxed) < self.queue_length {
            return Ok(place);
        }
        let message = format!(
            "{} calls wait for `{service}` already, and {} run",
            self.queue_length, self.concurrency
        );
        Err(Error::resource_exhausted(reason::QUEUE_FULL, message)
            .with_info("service", service)
            .with_info("queue_length", self.queue_length)
            .with_info("concurrency", self.concurrency)
            .with_retry_after(Duration::from_millis(100)))
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    loop {
        // It is never closed.
        if let Ok(permit) = Arc::clone(semaphore).acquire_owned().await {
            return permit;
        }
    }
}

/// A place among those that wait; given up when dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::engine::Location;
    use crate::model::payload::Payload;
    use crate::service::{BoxFuture, Context, Definition, DispatchStatus, HandlerFuture};

    pub(in crate::engine) fn gate(concurrency: usize, queue_length: usize) -> Arc<Gate> {
        let node = Arc::new(Semaphore::new(100));
        Arc::new(Gate::new(concurrency, queue_length, node, None))
    }

    fn name() -> ServiceName {
        ServiceName::parse("a").unwrap()
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a test has no `Tasks`")]
    async fn who_finds_the_queue_full_is_told_so() {
        let gate = gate(1, 1);
        let running = gate.enter(&name()).await.unwrap();
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.enter(&name()).await.map(drop) }
        });
        while gate.queued.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let refused = gate.enter(&name()).await.unwrap_err();
        assert_eq!(refused.reason(), "QUEUE_FULL");
        assert!(refused.retry_after().is_some());
        drop(running);
        waiting.await.unwrap().unwrap();
        assert_eq!(gate.queued.load(Ordering::Relaxed), 0);
        assert_eq!(gate.running(), 0);
    }

    /// A worker with one seat.
    #[derive(Debug)]
    struct OneSeat(Arc<Semaphore>);

    #[derive(Debug)]
    struct Seated(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

    impl WorkerPermit for Seated {
        fn definition(&self) -> &Arc<Definition> {
            unreachable!()
        }
        fn status(&self) -> DispatchStatus {
            DispatchStatus::Open
        }
        fn worker(&self) -> &str {
            "one"
        }
        fn dispatch(self: Arc<Self>, _: Context, _: Payload) -> HandlerFuture {
            unreachable!()
        }
        fn release(&self) {}
        fn try_reacquire(&self) -> bool {
            true
        }
        fn reacquire(&self) -> BoxFuture<'_, ()> {
            Box::pin(async {})
        }
    }

    impl WorkerPool for OneSeat {
        fn try_acquire(&self, _: Accepts<'_>) -> Option<Arc<dyn WorkerPermit>> {
            let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
            Some(Arc::new(Seated(permit)))
        }
        fn acquire<'a>(&'a self, _: Accepts<'a>) -> BoxFuture<'a, Option<Arc<dyn WorkerPermit>>> {
            Box::pin(async {
                Some(Arc::new(Seated(acquire(&self.0).await)) as Arc<dyn WorkerPermit>)
            })
        }
        fn wait_served(&self) -> BoxFuture<'_, ()> {
            Box::pin(async {})
        }
        fn is_served(&self) -> bool {
            true
        }
        fn locations(&self) -> Vec<Location> {
            Vec::new()
        }
    }

    /// Who comes back from a nested call has slots and waits for a seat: nobody may wait the other way round.
    #[tokio::test]
    async fn who_waits_for_a_slot_holds_no_seat_and_the_reverse() {
        let (node, seats) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        let pool: Arc<dyn WorkerPool> = Arc::new(OneSeat(Arc::clone(&seats)));
        let gate = Gate::new(1, 1, Arc::clone(&node), Some(pool));
        let name = name();
        let mut entering = Box::pin(gate.enter(&name));

        let slot = acquire(&node).await;
        assert!(futures_util::poll!(&mut entering).is_pending());
        assert_eq!(seats.available_permits(), 1);
        let seat = acquire(&seats).await;
        drop(slot);
        assert!(futures_util::poll!(&mut entering).is_pending());
        assert_eq!((node.available_permits(), gate.running()), (1, 0));
        drop(seat);
        entering.await.unwrap();
        assert_eq!(
            (node.available_permits(), seats.available_permits()),
            (1, 1)
        );
    }
}
