//! How long the handlers of a service run, as a moving estimate: tells which calls can still meet their deadlines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A moving estimate of the time that a handler takes: mean and deviation, as TCP estimates round trips (RFC 6298).
///
/// Its two values are read and written separately: a mixture of two updates is as good an estimate.
#[derive(Debug, Default)]
pub(super) struct HandlerTime {
    mean_micros: AtomicU64,
    deviation_micros: AtomicU64,
}

impl HandlerTime {
    /// Records that a handler ended after a time. One that was cancelled would have taken longer: it counts only where
    /// it took longer than estimated, because otherwise calls that start too late would make the estimate too short.
    pub(super) fn record(&self, elapsed: Duration, was_cancelled: bool) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX / 8);
        let mean = self.mean_micros.load(Ordering::Relaxed);
        if was_cancelled && micros <= mean {
            return;
        }
        if mean == 0 {
            // RFC 6298, 2.2: half of the first measurement.
            self.deviation_micros.store(micros / 2, Ordering::Relaxed);
            self.mean_micros.store(micros.max(1), Ordering::Relaxed);
            return;
        }
        let deviation = self.deviation_micros.load(Ordering::Relaxed);
        let distance = mean.abs_diff(micros);
        let deviation = deviation - deviation / 4 + distance / 4;
        self.deviation_micros.store(deviation, Ordering::Relaxed);
        let mean = (mean - mean / 8).saturating_add(micros / 8).max(1);
        self.mean_micros.store(mean, Ordering::Relaxed);
    }

    /// The time that a handler takes on average; zero while it is not known.
    pub(super) fn mean(&self) -> Duration {
        Duration::from_micros(self.mean_micros.load(Ordering::Relaxed))
    }

    /// The time within which a handler mostly ends; zero while it is not known.
    pub(super) fn likely(&self) -> Duration {
        let deviation = self.deviation_micros.load(Ordering::Relaxed);
        self.mean() + Duration::from_micros(deviation) * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_estimate_follows_the_handlers() {
        let time = HandlerTime::default();
        assert_eq!(time.likely(), Duration::ZERO);
        for _ in 0..50 {
            time.record(ms(500), false);
        }
        assert!(time.mean().abs_diff(ms(500)) < ms(5));
        assert!(time.likely() < ms(510));
        for _ in 0..50 {
            time.record(ms(20), false);
        }
        assert!(time.mean() < ms(30));
    }

    #[test]
    fn cancelled_handlers_do_not_make_it_shorter() {
        let time = HandlerTime::default();
        time.record(ms(500), false);
        time.record(ms(100), true);
        assert_eq!(time.mean(), ms(500));
        time.record(ms(1_000), true);
        assert!(time.mean() > ms(500));
    }
}
