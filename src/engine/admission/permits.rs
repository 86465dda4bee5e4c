//! The permits that a running handler holds: released during its nested calls, and closed when it has ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::admission::concurrency::{ConcurrencyLimit, LocalPermits, Permits};
use crate::service::{BoxFuture, WorkerPermit};

/// The permits of one running handler.
///
/// They are released while the handler waits for nested calls, so that a chain of services cannot deadlock at a small
/// limit; and for good when the handler has ended, even if its context is still held.
pub(in crate::engine) struct HeldPermits {
    limit: Arc<ConcurrencyLimit>,
    state: Mutex<PermitState>,
    /// Whether a worker runs the handler.
    is_at_worker: bool,
    /// The one pending acquisition, shared by all nested calls that return: two acquisitions would take two permits,
    /// and one that belonged to a future that is no longer polled would keep what it acquired.
    reacquisition: Mutex<Option<BoxFuture<'static, LocalPermits>>>,
    /// Notifies nested calls that wait when the permits may no longer be needed.
    changed: Notify,
    /// When the handler started, if it is timed.
    timed_since: Option<Instant>,
}

#[derive(Debug)]
struct PermitState {
    local: Option<LocalPermits>,
    /// The permit of a worker: released and reacquired with the local ones.
    worker: Option<Arc<dyn WorkerPermit>>,
    /// How many nested calls the handler waits for.
    nested_calls: usize,
    /// Whether a nested call has had to wait for the permits: only then is there a reacquisition to stop.
    is_contended: bool,
    closed: bool,
    /// Since when a handler that is timed does not hold its permits.
    released_at: Option<Instant>,
    /// For how long it did not hold them before.
    released_for: Duration,
}

impl PermitState {
    fn put_back(&mut self, local: LocalPermits) {
        self.local = Some(local);
        if let Some(released_at) = self.released_at.take() {
            self.released_for += released_at.elapsed();
        }
    }

    fn is_missing(&self) -> bool {
        self.nested_calls == 0 && self.local.is_none() && !self.closed
    }
}

impl std::fmt::Debug for HeldPermits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldPermits")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl HeldPermits {
    pub(in crate::engine) fn new(limit: Arc<ConcurrencyLimit>, permits: Permits) -> Self {
        Self {
            timed_since: limit.is_timed().then(Instant::now),
            limit,
            is_at_worker: permits.worker.is_some(),
            state: Mutex::new(PermitState {
                local: Some(permits.local),
                worker: permits.worker,
                nested_calls: 0,
                is_contended: false,
                closed: false,
                released_at: None,
                released_for: Duration::ZERO,
            }),
            reacquisition: Mutex::new(None),
            changed: Notify::new(),
        }
    }

    /// Waits for a nested call without holding the permits, then [reacquires](ReleasedPermits::reacquire) them.
    pub(in crate::engine) async fn release_during<T>(
        &self,
        cancel: &CancellationToken,
        nested: impl Future<Output = T>,
    ) -> T {
        let released = self.release();
        let output = nested.await;
        released.reacquire(cancel).await;
        output
    }

    /// Releases the permits while the handler waits for a nested call.
    pub(in crate::engine) fn release(&self) -> ReleasedPermits<'_> {
        ReleasedPermits::new(self)
    }

    /// The permit of the worker that runs the handler, until the handler has ended.
    pub(in crate::engine) fn worker(&self) -> Option<Arc<dyn WorkerPermit>> {
        self.lock().worker.clone()
    }

    async fn reacquire_worker(&self, worker: &dyn WorkerPermit, cancel: &CancellationToken) {
        if self.lock().nested_calls > 0 {
            return;
        }
        if !worker.try_reacquire() {
            tokio::select! {
                biased;
                () = worker.reacquire() => {}
                () = cancel.cancelled() => {}
            }
        }
        // Another nested call may have started meanwhile: it needs the permit to be free.
        if self.lock().nested_calls > 0 {
            worker.release();
        }
    }

    /// Releases the permits for good: the handler has ended, by itself or because it was cancelled.
    pub(in crate::engine) fn close(&self, cancel: &CancellationToken) {
        let mut state = self.lock();
        state.closed = true;
        let permits = (state.local.take(), state.worker.take());
        let is_contended = state.is_contended;
        let (released_at, released_for) = (state.released_at, state.released_for);
        drop(state);
        if let Some(since) = self.timed_since {
            let elapsed = since.elapsed();
            let released = released_for + released_at.map_or(Duration::ZERO, |at| at.elapsed());
            let (held, was_cancelled) = (elapsed.saturating_sub(released), cancel.is_cancelled());
            let handler_time = self.limit.handler_time();
            handler_time.record(elapsed, held, was_cancelled);
        }
        drop(permits);
        if is_contended {
            self.stop_reacquisition();
        }
    }

    fn is_missing(&self) -> bool {
        self.lock().is_missing()
    }

    /// Reacquires the local permits without waiting; returns whether they were free.
    fn try_reacquire(&self) -> bool {
        let local = self.limit.try_acquire_local();
        let is_free = local.is_some();
        if let Some(local) = local {
            self.put_back(local);
        }
        is_free
    }

    async fn reacquire(&self) {
        self.lock().is_contended = true;
        loop {
            // Created before the state is read: a change after that wakes it.
            let changed = self.changed.notified();
            if !self.is_missing() {
                return;
            }
            tokio::select! {
                biased;
                local = std::future::poll_fn(|cx| self.poll_reacquisition(cx)) => self.put_back(local),
                () = changed => {}
            }
        }
    }

    fn poll_reacquisition(&self, cx: &mut Context<'_>) -> Poll<LocalPermits> {
        let mut reacquisition = self
            .reacquisition
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let pending = reacquisition.get_or_insert_with(|| {
            let limit = Arc::clone(&self.limit);
            Box::pin(async move { limit.acquire_local().await })
        });
        let local = ready!(pending.as_mut().poll(cx));
        *reacquisition = None;
        Poll::Ready(local)
    }

    /// Drops the pending acquisition, and with it what it may have acquired.
    fn stop_reacquisition(&self) {
        let pending = self
            .reacquisition
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(pending);
        self.changed.notify_waiters();
    }

    /// Keeps permits if they are still missing: another nested call may have started, or the handler may have ended.
    fn put_back(&self, local: LocalPermits) {
        let mut state = self.lock();
        if state.is_missing() {
            state.put_back(local);
        }
        let is_contended = state.is_contended;
        drop(state);
        if is_contended {
            self.stop_reacquisition();
        }
    }

    fn lock(&self) -> MutexGuard<'_, PermitState> {
        // Fields are assigned one after the other: the state is consistent even after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One nested call that a handler waits for, without its permits.
pub(in crate::engine) struct ReleasedPermits<'a> {
    held: &'a HeldPermits,
    counted: bool,
    /// Whether there is nothing left to do when it is dropped.
    settled: bool,
}

impl<'a> ReleasedPermits<'a> {
    fn new(held: &'a HeldPermits) -> Self {
        let (local, worker, is_contended) = {
            let mut state = held.lock();
            state.nested_calls += 1;
            let worker = state.worker.clone();
            if held.timed_since.is_some() && state.local.is_some() {
                state.released_at = Some(Instant::now());
            }
            (state.local.take(), worker, state.is_contended)
        };
        drop(local);
        if let Some(worker) = worker {
            worker.release();
        }
        if is_contended {
            held.stop_reacquisition();
        }
        Self {
            held,
            counted: true,
            settled: false,
        }
    }

    /// Reacquires the permits. Once the handler is cancelled it does not wait for them, so that it can clean up.
    pub(in crate::engine) async fn reacquire(mut self, cancel: &CancellationToken) {
        let held = self.held;
        if self.finish() && !held.try_reacquire() {
            tokio::select! {
                biased;
                () = held.reacquire() => {}
                () = cancel.cancelled() => {}
            }
        }
        if held.is_at_worker
            && let Some(worker) = held.worker()
        {
            held.reacquire_worker(&*worker, cancel).await;
        }
        // The permits are held again, or the handler continues without them.
        self.settled = true;
    }

    /// The nested call has ended. Returns whether the permits are missing.
    fn finish(&mut self) -> bool {
        let mut state = self.held.lock();
        if std::mem::take(&mut self.counted) {
            state.nested_calls -= 1;
        }
        state.is_missing()
    }
}

impl Drop for ReleasedPermits<'_> {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        self.finish();
        // A handler that drops the nested call cannot wait here: it reacquires the permits if they are free, and runs
        // above the limit otherwise.
        let worker = self.held.worker();
        if let Some(worker) = worker.filter(|_| self.held.lock().nested_calls == 0) {
            worker.try_reacquire();
        }
        if self.held.is_missing() && !self.held.try_reacquire() {
            // Other nested calls keep waiting, each with its own waker.
            self.held.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::admission::concurrency::tests::limit;

    fn not_cancelled() -> CancellationToken {
        CancellationToken::new()
    }

    #[tokio::test]
    async fn released_permits_are_free_and_reacquired() {
        let limit = limit(1, 0);
        let held = HeldPermits::new(Arc::clone(&limit), limit.try_acquire().unwrap());
        let cancel = not_cancelled();
        let inner = held.release_during(&cancel, async { limit.running() });
        assert_eq!(held.release_during(&cancel, inner).await, 0);
        assert_eq!(limit.running(), 1);
        drop(held);
        assert_eq!(limit.running(), 0);
    }

    #[tokio::test]
    async fn a_dropped_nested_call_reacquires_the_permits() {
        let limit = limit(1, 0);
        let held = HeldPermits::new(Arc::clone(&limit), limit.try_acquire().unwrap());
        {
            let cancel = not_cancelled();
            let mut released = Box::pin(held.release_during(&cancel, std::future::pending::<()>()));
            assert!(futures_util::poll!(&mut released).is_pending());
            assert_eq!(limit.running(), 0);
        }
        assert_eq!(limit.running(), 1);
    }

    /// Two nested calls return one after the other while another handler holds the permit: only one permit is awaited.
    #[tokio::test]
    async fn two_nested_calls_that_return_wait_for_one_permit() {
        let limit = limit(1, 0);
        let held = HeldPermits::new(Arc::clone(&limit), limit.try_acquire().unwrap());
        let cancel = not_cancelled();
        let ready = || std::future::ready(());
        let mut one = Box::pin(held.release_during(&cancel, tokio::task::yield_now()));
        assert!(futures_util::poll!(&mut one).is_pending());
        let other = limit.try_acquire().unwrap();
        assert!(futures_util::poll!(&mut one).is_pending());
        let mut two = Box::pin(held.release_during(&cancel, ready()));
        assert!(futures_util::poll!(&mut two).is_pending());
        drop(other);
        one.await;
        two.await;
        assert_eq!(limit.running(), 1);
    }

    #[tokio::test]
    async fn a_cancelled_handler_does_not_wait_for_permits() {
        let limit = limit(1, 0);
        let held = HeldPermits::new(Arc::clone(&limit), limit.try_acquire().unwrap());
        let cancel = not_cancelled();
        let mut released = Box::pin(held.release_during(&cancel, tokio::task::yield_now()));
        assert!(futures_util::poll!(&mut released).is_pending());
        let _other = limit.try_acquire().unwrap();
        assert!(futures_util::poll!(&mut released).is_pending());
        cancel.cancel();
        released.await;
    }

    #[test]
    fn closed_permits_are_free_while_the_handle_lives() {
        let limit = limit(1, 0);
        let held = HeldPermits::new(Arc::clone(&limit), limit.try_acquire().unwrap());
        held.close(&not_cancelled());
        assert_eq!(limit.running(), 0);
    }
}
