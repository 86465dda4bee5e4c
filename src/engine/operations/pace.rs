//! The pace of an operation: how many invocations it changes in a second.

use std::num::NonZero;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::clock::{Clock, saturating_add};

/// Spaces the changes of an operation evenly. What it could have done while it waited for something else is not made
/// up for.
#[derive(Debug)]
pub(super) struct Pace {
    clock: Clock,
    rate: NonZero<u32>,
    /// When the next changes may begin.
    next: Timestamp,
    /// How long the last ones took of the second.
    last: Duration,
}

impl Pace {
    pub(super) fn new(clock: Clock, rate: NonZero<u32>) -> Self {
        Self {
            next: clock.now(),
            clock,
            rate,
            last: Duration::ZERO,
        }
    }

    /// Waits until `count` more invocations may be changed.
    pub(super) async fn admit(&mut self, count: usize) {
        let start = loop {
            let now = self.clock.now();
            let wait = Duration::try_from(self.next.duration_since(now)).unwrap_or_default();
            // It is longer than the last changes allow where the clock was set back meanwhile.
            if wait.is_zero() || wait > self.last {
                break now;
            }
            self.clock.pause(wait).await;
        };
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.last = Duration::from_secs(count) / self.rate.get();
        self.next = saturating_add(start, self.last);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::engine::clock::ManualClock;

    #[tokio::test]
    async fn changes_are_spaced_by_the_clock() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let rate = NonZero::new(100).unwrap();
        let mut pace = Pace::new(Clock::Manual(clock.clone()), rate);
        let admitted = |pace: &mut Pace| pace.admit(50).now_or_never().is_some();
        assert!(admitted(&mut pace));
        assert!(!admitted(&mut pace));
        clock.advance(Duration::from_millis(499));
        assert!(!admitted(&mut pace));
        clock.advance(Duration::from_millis(1));
        assert!(admitted(&mut pace));
        // A long pause allows no burst.
        clock.advance(Duration::from_secs(60));
        assert!(admitted(&mut pace));
        assert!(!admitted(&mut pace));
    }
}
