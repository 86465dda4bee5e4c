//! Histograms with fixed buckets. To observe a value costs two relaxed additions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The most buckets of a histogram, with the one that has no bound.
const MAX_BUCKETS: usize = 22;

/// The bounds of the buckets of a histogram.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// The upper bounds, inclusive, ascending, in the unit of observations. At most 21.
    upper: &'static [u64],
    /// How many of the unit of observations are one of the unit that is shown.
    per_shown: f64,
}

/// Durations, observed in nanoseconds and shown in seconds: from a handler in the process to a long attempt.
pub(crate) static SECONDS: Bounds = Bounds::new(&SECONDS_UPPER, 1e9);

/// The upper bounds of [`SECONDS`] in nanoseconds. The last bucket has none.
pub(crate) const SECONDS_UPPER: [u64; 20] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
    300_000_000_000,
    900_000_000_000,
];

impl Bounds {
    /// Bounds in the unit of observations, of which `per_shown` are one of the unit that is shown.
    pub(crate) const fn new(upper: &'static [u64], per_shown: f64) -> Self {
        assert!(upper.len() < MAX_BUCKETS, "the last bucket has no bound");
        Self { upper, per_shown }
    }

    /// The bucket of a value. Most values are small.
    #[inline]
    fn bucket(&self, value: u64) -> usize {
        let mut upper = self.upper.iter();
        let bucket = upper.position(|bound| value <= *bound);
        bucket.unwrap_or(self.upper.len())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "sums above 2^53 nanoseconds are shown to the second"
    )]
    fn shown(&self, value: u64) -> f64 {
        value as f64 / self.per_shown
    }
}

/// How many observations each bucket has, and their sum.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; MAX_BUCKETS],
    /// Wraps after 2^64: of nanoseconds that are 584 years.
    sum: AtomicU64,
}

impl Histogram {
    /// Adds a value. All values of a histogram have the same bounds.
    #[inline]
    pub(crate) fn observe(&self, bounds: &Bounds, value: u64) {
        if let Some(bucket) = self.buckets.get(bounds.bucket(value)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Adds a duration to a histogram of [`SECONDS`].
    #[inline]
    pub(crate) fn observe_duration(&self, elapsed: Duration) {
        // Cheaper than `as_nanos`, which has 128 bits.
        let seconds = elapsed.as_secs().saturating_mul(1_000_000_000);
        let nanoseconds = seconds.saturating_add(elapsed.subsec_nanos().into());
        self.observe(&SECONDS, nanoseconds);
    }

    /// What it has now, together with others of the same bounds.
    pub(crate) fn snapshot<'a>(
        bounds: &Bounds,
        parts: impl IntoIterator<Item = &'a Self>,
    ) -> HistogramSnapshot {
        let mut counts = vec![0; bounds.upper.len() + 1];
        let mut sum = 0_u64;
        for part in parts {
            for (count, bucket) in counts.iter_mut().zip(&part.buckets) {
                *count += bucket.load(Ordering::Relaxed);
            }
            sum = sum.wrapping_add(part.sum.load(Ordering::Relaxed));
        }
        HistogramSnapshot {
            bounds: bounds.upper.iter().map(|it| bounds.shown(*it)).collect(),
            counts,
            sum: bounds.shown(sum),
        }
    }
}

/// What a histogram had when it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramSnapshot {
    /// The upper bounds of the buckets but the last, inclusive, ascending.
    pub bounds: Vec<f64>,
    /// How many observations each bucket has, not cumulative: one more than there are bounds.
    pub counts: Vec<u64>,
    /// The sum of all observations.
    pub sum: f64,
}

impl HistogramSnapshot {
    /// How many observations there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds what another one of the same bounds has.
    pub fn add(&mut self, other: &Self) {
        if self.counts.is_empty() {
            self.clone_from(other);
            return;
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static BOUNDS: Bounds = Bounds::new(&[10, 20], 10.0);

    #[test]
    fn a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::default();
        for value in [0, 10, 11, 20, 21, 1_000] {
            histogram.observe(&BOUNDS, value);
        }
        let snapshot = Histogram::snapshot(&BOUNDS, [&histogram]);
        assert_eq!(snapshot.bounds, [1.0, 2.0]);
        assert_eq!(snapshot.counts, [2, 2, 2]);
        assert_eq!((snapshot.count(), snapshot.sum), (6, 106.2));
        let mut both = snapshot.clone();
        both.add(&snapshot);
        assert_eq!((both.counts, both.sum), (vec![4, 4, 4], 212.4));
    }

    #[test]
    fn the_bounds_of_durations_are_round_seconds() {
        let histogram = Histogram::default();
        histogram.observe_duration(Duration::from_millis(2));
        histogram.observe_duration(Duration::MAX);
        let snapshot = Histogram::snapshot(&SECONDS, [&histogram]);
        assert_eq!(snapshot.bounds[..4], [0.0001, 0.00025, 0.0005, 0.001]);
        assert_eq!(snapshot.bounds.last(), Some(&900.0));
        assert_eq!(snapshot.counts[4], 1);
        assert_eq!(snapshot.counts.last(), Some(&1));
    }
}
