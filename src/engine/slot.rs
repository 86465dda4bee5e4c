//! The slot of one running handler: lent while it waits for nested calls, and closed when it has ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::engine::gate::{Gate, Here, Permits};
use crate::service::{BoxFuture, WorkerPermit};

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
    seat: Option<Arc<dyn WorkerPermit>>,
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
    pub(super) fn seat(&self) -> Option<Arc<dyn WorkerPermit>> {
        self.lock().seat.clone()
    }

    async fn take_seat_back(&self, seat: &dyn WorkerPermit, unwanted: &CancellationToken) {
        if self.lock().nested > 0 {
            return;
        }
        if !seat.try_reacquire() {
            tokio::select! {
                biased;
                () = seat.reacquire() => {}
                () = unwanted.cancelled() => {}
            }
        }
        // Another nested call may have begun meanwhile: it needs the seat to be free.
        if self.lock().nested > 0 {
            seat.release();
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
        loop {
            // Before it is asked whether to wait: what changes after that rings.
            let changed = self.changed.notified();
            if !self.is_wanted() {
                return;
            }
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
            seat.release();
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
            seat.try_reacquire();
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
    use crate::engine::gate::tests::gate;

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
