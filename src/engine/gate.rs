//! Slots: how many handlers run at once, and who waits for one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;

/// Lets a limited number of one service's handlers run at once.
#[derive(Debug)]
pub(super) struct Gate {
    service: Arc<Semaphore>,
    /// All services of the node share this one.
    node: Arc<Semaphore>,
    concurrency: usize,
    queue_length: usize,
    queued: AtomicUsize,
}

/// Leave for one handler to run.
#[derive(Debug)]
pub(super) struct Permits {
    _service: OwnedSemaphorePermit,
    _node: OwnedSemaphorePermit,
}

impl Gate {
    pub(super) fn new(concurrency: usize, queue_length: usize, node: Arc<Semaphore>) -> Self {
        let concurrency = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            service: Arc::new(Semaphore::new(concurrency)),
            node,
            concurrency,
            queue_length,
            queued: AtomicUsize::new(0),
        }
    }

    /// How many handlers run now.
    pub(super) fn running(&self) -> usize {
        self.concurrency - self.service.available_permits()
    }

    /// Leave without waiting, if there is a slot.
    #[inline]
    pub(super) fn try_enter(&self) -> Option<Permits> {
        Some(Permits {
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
        let _place = self.queue_up(service)?;
        Ok(self.enter_unqueued().await)
    }

    /// Waits for leave, however many wait: for background work, which waits in the store, and for handlers that come
    /// back from a nested call, which had leave before.
    pub(super) async fn enter_unqueued(&self) -> Permits {
        loop {
            let service = Arc::clone(&self.service).acquire_owned().await;
            let node = Arc::clone(&self.node).acquire_owned().await;
            // Neither is ever closed.
            if let (Ok(service), Ok(node)) = (service, node) {
                return Permits {
                    _service: service,
                    _node: node,
                };
            }
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
            .with_fact("queue_length", self.queue_length)
            .with_fact("concurrency", self.concurrency)
            .with_retry_after(Duration::from_millis(100)))
    }
}

/// A place in the queue; given up when dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The slot of one running handler. Given back while the handler waits for nested calls, so that a chain of services
/// cannot lock itself up.
#[derive(Debug)]
pub(super) struct Slot {
    gate: Arc<Gate>,
    state: Mutex<SlotState>,
}

#[derive(Debug)]
struct SlotState {
    permits: Option<Permits>,
    /// How many nested calls the handler waits for.
    nested: usize,
}

impl Slot {
    pub(super) fn new(gate: Arc<Gate>, permits: Permits) -> Self {
        Self {
            gate,
            state: Mutex::new(SlotState {
                permits: Some(permits),
                nested: 0,
            }),
        }
    }

    /// Waits for a nested call without holding the slot.
    pub(super) async fn lend<T>(&self, nested: impl Future<Output = T>) -> T {
        let away = Away::new(self);
        let output = nested.await;
        let last = away.back();
        if last {
            let permits = self.gate.enter_unqueued().await;
            let mut state = self.lock();
            // Another nested call may have begun while this one waited: then the slot stays lent.
            if state.nested == 0 {
                state.permits = Some(permits);
            }
        }
        output
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        // Two fields that are set one after the other and never half: whole whatever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One nested call that a handler waits for.
struct Away<'a> {
    slot: &'a Slot,
    ended: bool,
}

impl<'a> Away<'a> {
    fn new(slot: &'a Slot) -> Self {
        let permits = {
            let mut state = slot.lock();
            state.nested += 1;
            state.permits.take()
        };
        drop(permits);
        Self { slot, ended: false }
    }

    /// The call has ended: whether it was the last one and the slot is needed again.
    fn back(mut self) -> bool {
        self.ended = true;
        let mut state = self.slot.lock();
        state.nested -= 1;
        state.nested == 0 && state.permits.is_none()
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // The handler gave the nested call up and may go on. It cannot wait here: it takes a slot if there is one, and
        // runs beside the others otherwise.
        let permits = self.slot.gate.try_enter();
        let mut state = self.slot.lock();
        state.nested -= 1;
        if state.nested == 0 && state.permits.is_none() {
            state.permits = permits;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(concurrency: usize, queue_length: usize) -> Arc<Gate> {
        let node = Arc::new(Semaphore::new(100));
        Arc::new(Gate::new(concurrency, queue_length, node))
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

    #[tokio::test]
    async fn a_lent_slot_is_free_and_comes_back() {
        let gate = gate(1, 0);
        let slot = Slot::new(Arc::clone(&gate), gate.try_enter().unwrap());
        let seen = slot
            .lend(async { slot.lend(async { gate.running() }).await })
            .await;
        assert_eq!(seen, 0);
        assert_eq!(gate.running(), 1);
        drop(slot);
        assert_eq!(gate.running(), 0);
    }

    #[tokio::test]
    async fn a_nested_call_that_is_given_up_brings_the_slot_back() {
        let gate = gate(1, 0);
        let slot = Slot::new(Arc::clone(&gate), gate.try_enter().unwrap());
        {
            let mut lent = Box::pin(slot.lend(std::future::pending::<()>()));
            assert!(futures_util::poll!(&mut lent).is_pending());
            assert_eq!(gate.running(), 0);
        }
        assert_eq!(gate.running(), 1);
    }
}
