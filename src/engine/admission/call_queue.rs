//! The queue of synchronous calls that wait for a permit: the oldest first, and under overload the newest first.
//!
//! One call at a time has the turn: it waits for the next permit, and then passes the turn on. While a queue does not
//! become empty, calls arrive faster than they are answered. The oldest ones have waited longest and are the likeliest
//! to be given up by their callers, so the turn goes to the newest, which can still be answered in time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a queue has calls before it counts as overloaded. Bursts are shorter.
const OVERLOADED_AFTER: Duration = Duration::from_millis(500);

/// The queue of one service. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct CallQueue(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Those that wait for the turn, the oldest first. A sender without a receiver is a call that left.
    waiting: VecDeque<oneshot::Sender<Turn>>,
    /// Since when a call has the turn, without a pause; `None` while none has it.
    busy_since: Option<Instant>,
}

impl State {
    fn is_overloaded(&self) -> bool {
        let since = self.busy_since;
        since.is_some_and(|since| since.elapsed() >= OVERLOADED_AFTER)
    }

    /// The next call, and whether there is one.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        match self.is_overloaded() {
            true => self.waiting.pop_back(),
            false => self.waiting.pop_front(),
        }
    }
}

/// The turn to wait for a permit. Passed on when it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<CallQueue>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.pass_on();
        }
    }
}

impl CallQueue {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one push, one pop or one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the newest call comes first.
    pub(super) fn is_overloaded(&self) -> bool {
        self.state().is_overloaded()
    }

    /// Waits for the turn. At most `max` calls wait: under overload the oldest is given up for a new one. `None` for
    /// the call that is given up.
    ///
    /// # Cancel safety
    ///
    /// A call that stops waiting leaves the queue, and passes on a turn that it has been given meanwhile.
    pub(super) async fn turn(&self, max: usize) -> Option<Turn> {
        let turn = {
            let mut state = self.state();
            if state.busy_since.is_none() {
                state.busy_since = Some(Instant::now());
                return Some(Turn(Some(self.clone())));
            }
            if state.waiting.len() >= max {
                state.waiting.retain(|call| !call.is_closed());
                if state.waiting.len() >= max {
                    state.waiting.pop_front();
                }
            }
            let (sender, turn) = oneshot::channel();
            state.waiting.push_back(sender);
            turn
        };
        turn.await.ok()
    }

    /// Gives the turn to the next call that still waits.
    fn pass_on(&self) {
        loop {
            let mut state = self.state();
            let Some(next) = state.next() else {
                state.busy_since = None;
                return;
            };
            drop(state);
            match next.send(Turn(Some(self.clone()))) {
                Ok(()) => return,
                // It left: the turn must not be passed on by its drop as well.
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// Lets calls that wait in this order have their turns; returns the order in which they get them.
    async fn order(queue: &CallQueue, calls: usize, busy_for: Duration) -> Vec<usize> {
        let first = queue.turn(10).await.unwrap();
        let mut waiting: Vec<_> = (0..calls).map(|_| Box::pin(queue.turn(10))).collect();
        for call in &mut waiting {
            assert!(call.now_or_never().is_none());
        }
        tokio::time::advance(busy_for).await;
        let mut order = Vec::new();
        let mut turn = Some(first);
        while turn.take().is_some() {
            for (index, call) in waiting.iter_mut().enumerate() {
                if !order.contains(&index)
                    && let Some(given) = call.now_or_never()
                {
                    order.push(index);
                    turn = given;
                }
            }
        }
        order
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_comes_first_and_under_overload_the_newest() {
        let queue = CallQueue::default();
        assert_eq!(order(&queue, 3, Duration::ZERO).await, [0, 1, 2]);
        assert!(!queue.is_overloaded());
        assert_eq!(order(&queue, 3, OVERLOADED_AFTER).await, [2, 1, 0]);
        assert!(!queue.is_overloaded());
    }

    #[tokio::test]
    async fn a_call_that_leaves_passes_its_turn_on() {
        let queue = CallQueue::default();
        let first = queue.turn(10).await.unwrap();
        let (mut leaves, mut stays) = (Box::pin(queue.turn(10)), Box::pin(queue.turn(10)));
        assert!((&mut leaves).now_or_never().is_none());
        assert!((&mut stays).now_or_never().is_none());
        // It is given the turn, and leaves before it takes it.
        drop(first);
        drop(leaves);
        assert!(stays.now_or_never().flatten().is_some());
        assert!(queue.turn(10).now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn the_oldest_is_given_up_where_the_queue_is_full() {
        let queue = CallQueue::default();
        let _first = queue.turn(1).await.unwrap();
        let (mut old, mut new) = (Box::pin(queue.turn(1)), Box::pin(queue.turn(1)));
        assert!((&mut old).now_or_never().is_none());
        assert!((&mut new).now_or_never().is_none());
        assert!(old.now_or_never().unwrap().is_none());
    }
}
