//! The queue of those that wait for a permit of one service: synchronous calls, and its scheduler.
//!
//! One of them at a time has the turn: it waits for the next permit, and then passes the turn on. Calls come first,
//! because their callers wait; background work waits in the store, and gets one turn of [`TURNS`] while calls wait.
//!
//! Calls have their turns in order, the oldest first. While calls wait without a pause, more arrive than are answered.
//! The oldest ones have waited longest and are the likeliest to be given up by their callers, so under overload the
//! turn goes to the newest, which can still be answered in time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::engine::admission::handler_time::HandlerTime;

/// How long calls wait without a pause before the queue counts as overloaded, at least and at most. Between the two it
/// is twice the time that permits are held: in less, a queue of a few calls does not become empty either.
const OVERLOADED_AFTER: (Duration, Duration) =
    (Duration::from_millis(500), Duration::from_secs(10));

/// While calls wait, one turn of this many goes to background work.
const TURNS: u32 = 8;

/// The queue of one service. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct CallQueue {
    state: Arc<Mutex<State>>,
    handler_time: Arc<HandlerTime>,
}

#[derive(Debug, Default)]
struct State {
    /// The calls that wait for the turn, the oldest first. A sender without a receiver is a call that left.
    calls: VecDeque<oneshot::Sender<Turn>>,
    /// The scheduler of the service, where it waits for the turn.
    background: Option<oneshot::Sender<Turn>>,
    is_taken: bool,
    /// How many calls have started since the scheduler had the turn.
    calls_in_a_row: u32,
    /// Since when a call waits or has the turn, without a pause; `None` while none does.
    busy_since: Option<Instant>,
}

impl State {
    /// The next one that has the turn, and takes it.
    fn next(&mut self, is_overloaded: bool) -> Option<oneshot::Sender<Turn>> {
        let is_due = self.calls.is_empty() || self.calls_in_a_row >= TURNS - 1;
        if is_due && let Some(background) = self.background.take() {
            self.calls_in_a_row = 0;
            if self.calls.is_empty() {
                self.busy_since = None;
            }
            return Some(background);
        }
        let call = match is_overloaded {
            true => self.calls.pop_back(),
            false => self.calls.pop_front(),
        };
        if call.is_none() {
            self.is_taken = false;
            self.busy_since = None;
        }
        call
    }
}

/// The turn to wait for a permit. Passed on when it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<CallQueue>);

impl Turn {
    /// Passes the turn on: the call starts. One that does not start leaves its part of the permits to other calls.
    pub(super) fn start_call(self) {
        if let Some(queue) = &self.0 {
            let mut state = queue.state();
            state.calls_in_a_row = state.calls_in_a_row.saturating_add(1);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.pass_on();
        }
    }
}

impl CallQueue {
    pub(super) fn new(handler_time: Arc<HandlerTime>) -> Self {
        Self {
            state: Arc::default(),
            handler_time,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a few assignments that cannot panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the newest call comes first.
    pub(super) fn is_overloaded(&self) -> bool {
        self.is_overloaded_in(&self.state())
    }

    fn is_overloaded_in(&self, state: &State) -> bool {
        let (least, most) = OVERLOADED_AFTER;
        let busy = state.busy_since.map(|since| since.elapsed());
        busy.is_some_and(|busy| {
            busy >= least && busy >= (self.handler_time.mean_held().saturating_mul(2)).min(most)
        })
    }

    /// The share of the permits that calls get while they wait.
    pub(super) fn share_of_calls(&self) -> f64 {
        let waits = |background: &oneshot::Sender<_>| !background.is_closed();
        match self.state().background.as_ref().is_some_and(waits) {
            true => f64::from(TURNS - 1) / f64::from(TURNS),
            false => 1.0,
        }
    }

    /// Waits for the turn of a call. At most `max` calls wait: under overload the oldest is given up for a new one.
    /// `None` for the call that is given up.
    ///
    /// # Cancel safety
    ///
    /// A call that stops waiting leaves the queue, and passes on a turn that it has been given meanwhile.
    pub(super) async fn turn(&self, max: usize) -> Option<Turn> {
        let turn = {
            let mut state = self.state();
            state.busy_since.get_or_insert_with(Instant::now);
            if !std::mem::replace(&mut state.is_taken, true) {
                return Some(Turn(Some(self.clone())));
            }
            if state.calls.len() >= max {
                state.calls.retain(|call| !call.is_closed());
                if state.calls.len() >= max {
                    state.calls.pop_front();
                }
            }
            let (sender, turn) = oneshot::channel();
            state.calls.push_back(sender);
            turn
        };
        turn.await.ok()
    }

    /// Waits for the turn of the scheduler; `None` where another one has come in its place.
    ///
    /// # Cancel safety
    ///
    /// As for [`turn`](Self::turn).
    pub(super) async fn background_turn(&self) -> Option<Turn> {
        let turn = {
            let mut state = self.state();
            if !std::mem::replace(&mut state.is_taken, true) {
                return Some(Turn(Some(self.clone())));
            }
            let (sender, turn) = oneshot::channel();
            state.background = Some(sender);
            turn
        };
        turn.await.ok()
    }

    /// Gives the turn to the next one that still waits.
    fn pass_on(&self) {
        loop {
            let mut state = self.state();
            let is_overloaded = self.is_overloaded_in(&state);
            let Some(next) = state.next(is_overloaded) else {
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

    fn queue() -> CallQueue {
        CallQueue::new(Arc::default())
    }

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
        let queue = queue();
        let (overloaded_after, _) = OVERLOADED_AFTER;
        assert_eq!(order(&queue, 3, Duration::ZERO).await, [0, 1, 2]);
        assert!(!queue.is_overloaded());
        assert_eq!(order(&queue, 3, overloaded_after).await, [2, 1, 0]);
        assert!(!queue.is_overloaded());
        // A queue of long handlers is not empty that soon.
        let handler_time = Duration::from_secs(2);
        queue.handler_time.record(handler_time, handler_time, false);
        let almost = handler_time * 2 - Duration::from_millis(1);
        assert_eq!(order(&queue, 3, almost).await, [0, 1, 2]);
        assert_eq!(order(&queue, 3, handler_time * 2).await, [2, 1, 0]);
        let handler_time = Duration::from_hours(1);
        queue.handler_time.record(handler_time, handler_time, false);
        assert_eq!(order(&queue, 3, OVERLOADED_AFTER.1).await, [2, 1, 0]);
    }

    /// Calls come first, and background work does not starve. A call that does not start does not count.
    #[tokio::test]
    async fn background_work_has_one_turn_of_eight_while_calls_wait() {
        let queue = queue();
        let mut turn = queue.background_turn().await;
        let mut started = false;
        let mut background = Box::pin(queue.background_turn());
        assert!((&mut background).now_or_never().is_none());
        let mut calls: Vec<_> = (0..20).map(|_| Box::pin(queue.turn(20))).collect();
        for call in &mut calls {
            assert!(call.now_or_never().is_none());
        }
        let mut order = String::new();
        while let Some(ended) = turn.take() {
            match started {
                true => ended.start_call(),
                false => drop(ended),
            }
            if let Some(given) = (&mut background).now_or_never() {
                order.push('b');
                started = false;
                background = Box::pin(queue.background_turn());
                assert!((&mut background).now_or_never().is_none());
                turn = given;
            } else {
                let given = calls.iter_mut().map(|call| call.now_or_never());
                let given = given.enumerate().find_map(|(i, given)| Some((i, given?)));
                let Some((index, given)) = given else { break };
                drop(calls.remove(index));
                // The first one is refused: that counts for no one.
                started = calls.len() < 19;
                order.push(if started { 'c' } else { 'r' });
                turn = given;
            }
            if order.ends_with("bb") {
                break;
            }
        }
        assert_eq!(order, "rcccccccbcccccccbcccccbb");
        assert!(queue.share_of_calls() < 1.0);
        drop(background);
        assert!(queue.share_of_calls() >= 1.0);
    }

    #[tokio::test]
    async fn a_call_that_leaves_passes_its_turn_on() {
        let queue = queue();
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
        let queue = queue();
        let _first = queue.turn(1).await.unwrap();
        let (mut old, mut new) = (Box::pin(queue.turn(1)), Box::pin(queue.turn(1)));
        assert!((&mut old).now_or_never().is_none());
        assert!((&mut new).now_or_never().is_none());
        assert!(old.now_or_never().unwrap().is_none());
    }
}
