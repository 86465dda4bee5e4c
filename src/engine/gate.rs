//! Slots: how many handlers run at once, and who waits for one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::engine::pool::{Pool, any, no_worker};
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::service::{BoxFuture, Seat};

/// Lets a limited number of one service's handlers run at once.
#[derive(Debug)]
pub(super) struct Gate {
    service: Arc<Semaphore>,
    /// All services of the node share this one.
    node: Arc<Semaphore>,
    /// The workers that serve it, where they do: their seats are asked for as well.
    pool: Option<Arc<dyn Pool>>,
    concurrency: usize,
    queue_length: usize,
    queued: AtomicUsize,
    /// How many have a slot of the service and wait for the rest: nothing runs in these.
    entering: AtomicUsize,
}

/// Leave for one handler to run.
#[derive(Debug)]
pub(super) struct Permits {
    here: Here,
    seat: Option<Arc<dyn Seat>>,
}

/// The part of it that this node gives.
#[derive(Debug)]
struct Here {
    _service: OwnedSemaphorePermit,
    _node: OwnedSemaphorePermit,
}

impl Permits {
    /// The seat at a worker, where it runs there.
    pub(super) fn seat(&self) -> Option<&Arc<dyn Seat>> {
        self.seat.as_ref()
    }

    /// The same without the seat: somebody else may have it.
    pub(super) fn without_seat(self) -> Self {
        let here = self.here;
        Self { here, seat: None }
    }

    /// The same with another seat.
    pub(super) fn with_seat(self, seat: Arc<dyn Seat>) -> Self {
        let here = self.here;
        let seat = Some(seat);
        Self { here, seat }
    }
}

impl Gate {
    pub(super) fn new(
        concurrency: usize,
        queue_length: usize,
        node: Arc<Semaphore>,
        pool: Option<Arc<dyn Pool>>,
    ) -> Self {
        let concurrency = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            service: Arc::new(Semaphore::new(concurrency)),
            node,
            pool,
            concurrency,
            queue_length,
            queued: AtomicUsize::new(0),
            entering: AtomicUsize::new(0),
        }
    }

    /// How many handlers run now.
    pub(super) fn running(&self) -> usize {
        let taken = self.concurrency - self.service.available_permits();
        taken.saturating_sub(self.entering.load(Ordering::Relaxed))
    }

    /// The workers that serve it, where they do.
    pub(super) fn pool(&self) -> Option<&Arc<dyn Pool>> {
        self.pool.as_ref()
    }

    /// Leave without waiting, if there is a slot.
    #[inline]
    pub(super) fn try_enter(&self) -> Option<Permits> {
        let here = self.try_enter_here()?;
        let seat = match &self.pool {
            Some(pool) => Some(pool.try_seat(&any)?),
            None => None,
        };
        Some(Permits { here, seat })
    }

    #[inline]
    fn try_enter_here(&self) -> Option<Here> {
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
        let _place = self.queue_up(service)?;
        let Some(pool) = &self.pool else {
            let here = self.enter_here().await;
            return Ok(Permits { here, seat: None });
        };
        let service_permit = self.enter_service().await;
        let _waits = Place::take(&self.entering);
        let Some(seat) = pool.seat(&any).await else {
            return Err(no_worker(service));
        };
        let here = self.enter_node(service_permit).await;
        let seat = Some(seat);
        Ok(Permits { here, seat })
    }

    /// Waits for leave, however many wait and however long it takes: for background work, which waits in the store.
    pub(super) async fn enter_unqueued(&self) -> Permits {
        let service = self.enter_service().await;
        let _waits = Place::take(&self.entering);
        let seat = match &self.pool {
            Some(pool) => Some(patient_seat(&**pool).await),
            None => None,
        };
        let here = self.enter_node(service).await;
        Permits { here, seat }
    }

    async fn enter_here(&self) -> Here {
        let service = self.enter_service().await;
        self.enter_node(service).await
    }

    async fn enter_service(&self) -> OwnedSemaphorePermit {
        acquire(&self.service).await
    }

    async fn enter_node(&self, service: OwnedSemaphorePermit) -> Here {
        Here {
            _service: service,
            _node: acquire(&self.node).await,
        }
    }

    fn queue_up(&self, service: &ServiceName) -> Result<Place<'_>> {
        let place = Place(&self.queued);
        if self.queued.fetch_add(1, Ordering::Relaxed) < self.queue_length {
            return Ok(place);
        }
        let message = format!(
            "{} calls wait for `{service}` already, and {} run",
            self.queue_length, self.concurrency
        );
        Err(Error::resource_exhausted(reason::QUEUE_FULL, message)
            .with_fact("service", service)
            .with_fact("queue_length", self.queue_length)
            .with_fact("concurrency", self.concurrency)
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

async fn patient_seat(pool: &dyn Pool) -> Arc<dyn Seat> {
    loop {
        match pool.seat(&any).await {
            Some(seat) => return seat,
            None => pool.served().await,
        }
    }
}

/// A place among those that wait; given up when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The slot of one running handler. Given back while the handler waits for nested calls, so that a chain of services
/// cannot lock itself up; and for good when the handler has ended, whoever still holds its context.
pub(super) struct Slot {
    gate: Arc<Gate>,
    state: Mutex<SlotState>,
    /// The one wait for the slot to come back, for all who wait: two would wait for two, and one that belonged to a
    /// call nobody polls any more would keep what it was given.
    returning: Mutex<Option<BoxFuture<'static, Here>>>,
    /// Rings when there may be nothing to wait for any more.
    changed: Notify,
}

#[derive(Debug)]
struct SlotState {
    permits: Option<Here>,
    /// The seat at a worker: lent and taken back with the permits.
    seat: Option<Arc<dyn Seat>>,
    /// How many nested calls the handler waits for.
    nested: usize,
    closed: bool,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Slot {
    pub(super) fn new(gate: Arc<Gate>, permits: Permits) -> Self {
        Self {
            gate,
            state: Mutex::new(SlotState {
                permits: Some(permits.here),
                seat: permits.seat,
                nested: 0,
                closed: false,
            }),
            returning: Mutex::new(None),
            changed: Notify::new(),
        }
    }

    /// Waits for a nested call without holding the slot, and then for the slot; not for the slot once the handler is
    /// no longer wanted, so that it can clean up.
    pub(super) async fn lend<T>(
        &self,
        unwanted: &CancellationToken,
        nested: impl Future<Output = T>,
    ) -> T {
        let mut away = Away::new(self);
        let output = nested.await;
        away.back();
        if self.is_wanted() && !self.try_take_back() {
            tokio::select! {
                biased;
                () = self.take_back() => {}
                () = unwanted.cancelled() => {}
            }
        }
        if let Some(seat) = self.seat() {
            self.take_seat_back(&*seat, unwanted).await;
        }
        output
    }

    /// The seat at a worker, where the handler runs there and has not ended.
    pub(super) fn seat(&self) -> Option<Arc<dyn Seat>> {
        self.lock().seat.clone()
    }

    async fn take_seat_back(&self, seat: &dyn Seat, unwanted: &CancellationToken) {
        if self.lock().nested > 0 {
            return;
        }
        if !seat.try_take_back() {
            tokio::select! {
                biased;
                () = seat.take_back() => {}
                () = unwanted.cancelled() => {}
            }
        }
        // Another nested call may have begun meanwhile: it needs the seat to be free.
        if self.lock().nested > 0 {
            seat.lend();
        }
    }

    /// The handler has ended.
    pub(super) fn close(&self) {
        let held = {
            let mut state = self.lock();
            state.closed = true;
            (state.permits.take(), state.seat.take())
        };
        drop(held);
        self.stop_returning();
    }

    fn is_wanted(&self) -> bool {
        let state = self.lock();
        state.nested == 0 && state.permits.is_none() && !state.closed
    }

    /// Takes the slot back if there is one: mostly there is.
    fn try_take_back(&self) -> bool {
        let permits = self.gate.try_enter_here();
        let there_is_one = permits.is_some();
        if let Some(permits) = permits {
            self.put_back(permits);
        }
        there_is_one
    }

    async fn take_back(&self) {
        while self.is_wanted() {
            let changed = self.changed.notified();
            tokio::select! {
                biased;
                permits = std::future::poll_fn(|cx| self.poll_returning(cx)) => self.put_back(permits),
                () = changed => {}
            }
        }
    }

    fn poll_returning(&self, cx: &mut Context<'_>) -> Poll<Here> {
        let mut returning = self
            .returning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let wait = returning.get_or_insert_with(|| {
            let gate = Arc::clone(&self.gate);
            Box::pin(async move { gate.enter_here().await })
        });
        let permits = ready!(wait.as_mut().poll(cx));
        *returning = None;
        Poll::Ready(permits)
    }

    /// Nobody waits for the slot any more: what the wait was given is free again.
    fn stop_returning(&self) {
        let wait = self
            .returning
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(wait);
        self.changed.notify_waiters();
    }

    /// Takes permits if they are still wanted: another nested call may have begun, or the handler may have ended.
    fn put_back(&self, permits: Here) {
        let mut state = self.lock();
        if state.nested == 0 && state.permits.is_none() && !state.closed {
            state.permits = Some(permits);
        }
        drop(state);
        self.stop_returning();
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        // Fields that are set one after the other and never half: whole whatever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One nested call that a handler waits for.
struct Away<'a> {
    slot: &'a Slot,
    counted: bool,
}

impl<'a> Away<'a> {
    fn new(slot: &'a Slot) -> Self {
        let (permits, seat) = {
            let mut state = slot.lock();
            state.nested += 1;
            (state.permits.take(), state.seat.clone())
        };
        drop(permits);
        if let Some(seat) = seat {
            seat.lend();
        }
        slot.stop_returning();
        Self {
            slot,
            counted: true,
        }
    }

    fn back(&mut self) {
        if std::mem::take(&mut self.counted) {
            self.slot.lock().nested -= 1;
        }
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.back();
        // Whoever gave the nested call up, or did not wait for the slot, cannot wait here: the handler takes a slot if
        // there is one, and runs beside the others otherwise.
        if let Some(seat) = self.slot.seat().filter(|_| self.slot.lock().nested == 0) {
            seat.try_take_back();
        }
        if self.slot.is_wanted() && !self.slot.try_take_back() {
            // Others who wait go on waiting, with their own wakers.
            self.slot.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(concurrency: usize, queue_length: usize) -> Arc<Gate> {
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

    fn wanted() -> CancellationToken {
        CancellationToken::new()
    }

    #[tokio::test]
    async fn a_lent_slot_is_free_and_comes_back() {
        let gate = gate(1, 0);
        let slot = Slot::new(Arc::clone(&gate), gate.try_enter().unwrap());
        let wanted = wanted();
        let inner = slot.lend(&wanted, async { gate.running() });
        assert_eq!(slot.lend(&wanted, inner).await, 0);
        assert_eq!(gate.running(), 1);
        drop(slot);
        assert_eq!(gate.running(), 0);
    }

    #[tokio::test]
    async fn a_nested_call_that_is_given_up_brings_the_slot_back() {
        let gate = gate(1, 0);
        let slot = Slot::new(Arc::clone(&gate), gate.try_enter().unwrap());
        {
            let wanted = wanted();
            let mut lent = Box::pin(slot.lend(&wanted, std::future::pending::<()>()));
            assert!(futures_util::poll!(&mut lent).is_pending());
            assert_eq!(gate.running(), 0);
        }
        assert_eq!(gate.running(), 1);
    }

    /// Two calls end one after the other while somebody else has the slot: only one slot is waited for.
    #[tokio::test]
    async fn two_that_come_back_wait_for_one_slot() {
        let gate = gate(1, 0);
        let slot = Slot::new(Arc::clone(&gate), gate.try_enter().unwrap());
        let wanted = wanted();
        let ready = || std::future::ready(());
        let mut one = Box::pin(slot.lend(&wanted, tokio::task::yield_now()));
        assert!(futures_util::poll!(&mut one).is_pending());
        let other = gate.try_enter().unwrap();
        assert!(futures_util::poll!(&mut one).is_pending());
        let mut two = Box::pin(slot.lend(&wanted, ready()));
        assert!(futures_util::poll!(&mut two).is_pending());
        drop(other);
        one.await;
        two.await;
        assert_eq!(gate.running(), 1);
    }

    #[tokio::test]
    async fn who_is_no_longer_wanted_does_not_wait_for_a_slot() {
        let gate = gate(1, 0);
        let slot = Slot::new(Arc::clone(&gate), gate.try_enter().unwrap());
        let wanted = wanted();
        let mut lent = Box::pin(slot.lend(&wanted, tokio::task::yield_now()));
        assert!(futures_util::poll!(&mut lent).is_pending());
        let _other = gate.try_enter().unwrap();
        assert!(futures_util::poll!(&mut lent).is_pending());
        wanted.cancel();
        lent.await;
    }

    #[test]
    fn a_closed_slot_is_free_whoever_holds_it() {
        let gate = gate(1, 0);
        let slot = Slot::new(Arc::clone(&gate), gate.try_enter().unwrap());
        slot.close();
        assert_eq!(gate.running(), 0);
    }
}
