//! Exponential backoff with jitter, for retries of calls and for reconnects.

use std::time::Duration;

const INITIAL_BACKOFF: Duration = Duration::from_millis(100);

/// The backoff of a series of attempts: it doubles with each one, up to a maximum.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(crate) fn new(max: Duration) -> Self {
        let next = INITIAL_BACKOFF.min(max);
        Self { next, max }
    }

    /// Restarts with the initial backoff, after an attempt that succeeded.
    pub(in crate::remote) fn reset(&mut self) {
        *self = Self::new(self.max);
    }

    /// The delay before the next attempt: half of the backoff to all of it, at random.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let delay = self.next.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.next = (self.next * 2).min(self.max);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum_until_the_backoff_is_reset() {
        let mut backoff = Backoff::new(Duration::from_millis(300));
        let mut next_is = |millis| {
            let expected = Duration::from_millis(millis);
            let delay = backoff.next_delay();
            assert!(delay >= expected / 2 && delay <= expected, "{delay:?}");
        };
        [100, 200, 300, 300].into_iter().for_each(&mut next_is);
        backoff.reset();
        let delay = backoff.next_delay();
        assert!(delay <= INITIAL_BACKOFF, "{delay:?}");
    }
}
