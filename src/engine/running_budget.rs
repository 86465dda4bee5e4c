//! The byte budget of attempts: how much memory the inputs, items and follow-ups of all running attempts take.
//!
//! An invocation is answered when it is accepted, and its input lives as long as its attempt: no budget of a connection
//! counts it. Pending work waits in the store until there is room for its input. What a handler makes while it runs
//! cannot wait, because others may wait for the handler: it is refused. A quarter of the budget is kept for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::engine::store::STORE_RETRY_DELAY;
use crate::model::error::{Error, Result, reason};

/// The budget of a node.
#[derive(Debug)]
pub(in crate::engine) struct RunningBudget {
    limit: usize,
    held: Mutex<Held>,
    /// Those that wait for room take turns, in the order in which they came.
    turn: tokio::sync::Mutex<()>,
    /// Notifies the one whose turn it is.
    changed: Notify,
}

/// What all attempts hold.
#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    /// Of these: how much belongs to handlers that wait for other invocations.
    waiting_bytes: usize,
}

impl RunningBudget {
    pub(in crate::engine) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            held: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Waits for room for inputs of so many bytes, in turn, and reserves it.
    ///
    /// Where all that is held belongs to handlers that wait for other invocations, one is admitted whatever its size:
    /// it may be the one that they wait for. So is one that is larger than the budget, once nothing else runs.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the place in the queue, and nothing else.
    pub(in crate::engine) async fn admit(self: &Arc<Self>, bytes: usize) -> Admission {
        let _turn = self.turn.lock().await;
        while !self.try_admit(bytes) {
            self.changed.notified().await;
        }
        Admission {
            budget: Arc::clone(self),
            bytes,
        }
    }

    fn try_admit(&self, bytes: usize) -> bool {
        let mut held = self.lock();
        let total = held.bytes.saturating_add(bytes);
        let is_admitted = total <= self.limit - self.limit / 4 || held.bytes == held.waiting_bytes;
        if is_admitted {
            held.bytes = total;
        }
        is_admitted
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Numbers that change together are assigned without a call in between.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self) -> Error {
        let limit = self.limit;
        let message = format!(
            "the invocations that run take too much memory (node_running_bytes: {limit} bytes)"
        );
        Error::resource_exhausted(reason::MEMORY_LIMIT, message)
            .with_info("node_running_bytes", limit)
            .with_retry_after(STORE_RETRY_DELAY)
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

/// Room that is reserved for invocations that are about to be claimed. Released when dropped.
#[derive(Debug)]
pub(in crate::engine) struct Admission {
    budget: Arc<RunningBudget>,
    bytes: usize,
}

impl Admission {
    /// Divides the room among the invocations that were claimed, by their sizes, and releases the rest.
    pub(in crate::engine) fn divide(mut self, sizes: &[usize]) -> Vec<Arc<AttemptMemory>> {
        let attempts = sizes.iter().map(|bytes| {
            Arc::new(AttemptMemory {
                budget: Arc::clone(&self.budget),
                state: Mutex::new(AttemptState {
                    bytes: *bytes,
                    waits: 0,
                }),
            })
        });
        let attempts = attempts.collect();
        let total = sizes.iter().sum();
        let reserved = std::mem::take(&mut self.bytes);
        let mut held = self.budget.lock();
        held.bytes = held.bytes.saturating_add(total).saturating_sub(reserved);
        drop(held);
        self.budget.changed.notify_one();
        attempts
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.lock().bytes -= self.bytes;
            self.budget.changed.notify_one();
        }
    }
}

/// The memory of one attempt. Released when the attempt ends, or when this is dropped.
#[derive(Debug)]
pub(in crate::engine) struct AttemptMemory {
    budget: Arc<RunningBudget>,
    state: Mutex<AttemptState>,
}

#[derive(Debug)]
struct AttemptState {
    bytes: usize,
    /// How many waits for other invocations are under way.
    waits: usize,
}

impl AttemptMemory {
    /// Counts what the handler has made.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT` where the node has no room.
    pub(in crate::engine) fn hold(&self, bytes: usize) -> Result<()> {
        let mut state = self.lock();
        let mut held = self.budget.lock();
        let total = held.bytes.saturating_add(bytes);
        if total > self.budget.limit {
            return Err(self.budget.error());
        }
        held.bytes = total;
        if state.waits > 0 {
            held.waiting_bytes += bytes;
        }
        state.bytes += bytes;
        Ok(())
    }

    /// Notes that the handler waits for another invocation, until the guard is dropped.
    pub(in crate::engine) fn waiting(&self) -> WaitGuard<'_> {
        let mut state = self.lock();
        state.waits += 1;
        if state.waits == 1 {
            self.budget.lock().waiting_bytes += state.bytes;
            self.budget.changed.notify_one();
        }
        WaitGuard(self)
    }

    /// Releases all of it: the attempt has ended.
    pub(in crate::engine) fn release(&self) {
        let mut state = self.lock();
        let bytes = std::mem::take(&mut state.bytes);
        let mut held = self.budget.lock();
        held.bytes -= bytes;
        if state.waits > 0 {
            held.waiting_bytes -= bytes;
        }
        drop(held);
        self.budget.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, AttemptState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AttemptMemory {
    fn drop(&mut self) {
        self.release();
    }
}

/// One wait of a handler for another invocation.
#[derive(Debug)]
pub(in crate::engine) struct WaitGuard<'a>(&'a AttemptMemory);

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.waits -= 1;
        if state.waits == 0 {
            self.0.budget.lock().waiting_bytes -= state.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    async fn attempt(budget: &Arc<RunningBudget>, bytes: usize) -> Arc<AttemptMemory> {
        let admission = budget.admit(bytes).await;
        admission.divide(&[bytes]).pop().unwrap()
    }

    #[tokio::test]
    async fn inputs_wait_in_order_for_three_quarters_of_the_budget() {
        let budget = RunningBudget::new(100);
        let first = attempt(&budget, 60).await;
        let mut large = Box::pin(budget.admit(70));
        let mut small = Box::pin(budget.admit(1));
        assert!((&mut large).now_or_never().is_none());
        assert!((&mut small).now_or_never().is_none());
        first.release();
        let large = large.now_or_never().expect("there is room");
        let _small = small.now_or_never().expect("there is room");
        drop(large);
        assert_eq!(budget.bytes(), 1);
    }

    #[tokio::test]
    async fn an_input_larger_than_the_budget_is_admitted_alone() {
        let budget = RunningBudget::new(100);
        let large = attempt(&budget, 500).await;
        assert!(budget.admit(1).now_or_never().is_none());
        assert_eq!(large.hold(1).unwrap_err().reason(), reason::MEMORY_LIMIT);
        drop(large);
        assert!(budget.admit(1).now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_is_not_used_of_an_admission_is_released() {
        let budget = RunningBudget::new(100);
        let attempts = budget.admit(70).await.divide(&[10, 20]);
        assert_eq!(budget.bytes(), 30);
        attempts[0].hold(70).unwrap();
        assert!(attempts[1].hold(1).is_err());
        drop(attempts);
        assert_eq!(budget.bytes(), 0);
    }

    #[tokio::test]
    async fn where_all_handlers_wait_one_more_is_admitted() {
        let budget = RunningBudget::new(100);
        let (one, two) = (attempt(&budget, 40).await, attempt(&budget, 30).await);
        let mut next = Box::pin(budget.admit(50));
        let _one_waits = one.waiting();
        assert!((&mut next).now_or_never().is_none());
        let two_waits = two.waiting();
        let next = next.now_or_never().expect("all handlers wait");
        // It runs: another one waits for it.
        assert!(budget.admit(10).now_or_never().is_none());
        drop((two_waits, next));
        assert!(budget.admit(10).now_or_never().is_none());
        two.release();
        assert_eq!(budget.bytes(), 40);
    }

    #[tokio::test]
    async fn a_wait_that_outlives_its_attempt_counts_nothing() {
        let budget = RunningBudget::new(100);
        let memory = attempt(&budget, 40).await;
        let waits = memory.waiting();
        memory.release();
        drop(waits);
        assert_eq!((budget.bytes(), budget.lock().waiting_bytes), (0, 0));
    }
}
