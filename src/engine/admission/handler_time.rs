//! How long the handlers of a service run, and how long they hold their permits.
//!
//! Two times, because a handler gives its permits away while it waits for nested calls: a call that waits for the
//! handler waits for all of its time, a call that waits for its permits does not.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many handlers count as recent.
const RECENT: usize = 32;

/// The times of the recent handlers of a service.
#[derive(Debug, Default)]
pub(super) struct HandlerTime(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How long each recent handler ran, the oldest first.
    recent: VecDeque<Duration>,
    /// How long permits are held, as a moving mean.
    mean_held: Option<Duration>,
}

impl HandlerTime {
    fn state(&self) -> MutexGuard<'_, State> {
        // Times are added and removed whole: the state is consistent even after a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a handler ended after `elapsed`, in which it held its permits for `held`.
    ///
    /// One that was cancelled would have taken longer. It counts only where it took longer than the shortest one:
    /// otherwise calls that start too late would make the estimate too short.
    pub(super) fn record(&self, elapsed: Duration, held: Duration, was_cancelled: bool) {
        let mut state = self.state();
        let mean = state.mean_held.unwrap_or(held);
        state.mean_held = Some(mean.saturating_sub(mean / 8).saturating_add(held / 8));
        if was_cancelled && state.shortest().is_some_and(|shortest| elapsed <= shortest) {
            return;
        }
        if state.recent.len() >= RECENT {
            state.recent.pop_front();
        }
        state.recent.push_back(elapsed);
    }

    /// How long the shortest of the recent handlers ran; `None` while none has ended.
    pub(super) fn shortest(&self) -> Option<Duration> {
        self.state().shortest()
    }

    /// How long a handler holds its permits, on average; zero while that is not known.
    pub(super) fn mean_held(&self) -> Duration {
        self.state().mean_held.unwrap_or_default()
    }
}

impl State {
    fn shortest(&self) -> Option<Duration> {
        self.recent.iter().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn record(time: &HandlerTime, elapsed: Duration, count: usize) {
        for _ in 0..count {
            time.record(elapsed, elapsed, false);
        }
    }

    #[test]
    fn times_follow_the_handlers() {
        let time = HandlerTime::default();
        assert_eq!((time.shortest(), time.mean_held()), (None, Duration::ZERO));
        record(&time, ms(500), 50);
        assert_eq!(
            (time.shortest(), time.mean_held()),
            (Some(ms(500)), ms(500))
        );
        // At once where handlers become faster, and after the recent ones where they become slower.
        record(&time, ms(20), 1);
        assert_eq!(time.shortest(), Some(ms(20)));
        record(&time, ms(500), RECENT - 1);
        assert_eq!(time.shortest(), Some(ms(20)));
        record(&time, ms(500), 1);
        assert_eq!(time.shortest(), Some(ms(500)));
        record(&time, ms(20), 50);
        assert!(time.mean_held() < ms(30));
    }

    #[test]
    fn cancelled_handlers_do_not_make_it_shorter() {
        let time = HandlerTime::default();
        time.record(ms(500), ms(500), false);
        time.record(ms(100), ms(100), true);
        assert_eq!(time.shortest(), Some(ms(500)));
        for _ in 0..RECENT {
            time.record(ms(1_000), ms(1_000), true);
        }
        assert_eq!(time.shortest(), Some(ms(1_000)));
    }
}
