//! What metrics have counted of a service: by outcome, and how long handlers ran. The difference of two is what
//! happened in between.

use std::time::Duration;

use crate::engine::metrics::{OutcomeKind, SECONDS_UPPER, ServiceMetrics};

/// How many buckets the histogram of durations has.
pub(super) const BUCKETS: usize = SECONDS_UPPER.len() + 1;

/// Counts, which wrap around: their difference is right as long as fewer than two billion happen in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Totals {
    /// Succeeded, failed, cancelled, expired, refused.
    pub(super) outcomes: [u32; 5],
    /// How many handlers ran so long, by the buckets of [`SECONDS_UPPER`].
    pub(super) buckets: [u32; BUCKETS],
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            outcomes: [0; 5],
            buckets: [0; BUCKETS],
        }
    }
}

impl Totals {
    /// What was counted of a service until now.
    pub(super) fn of(metrics: &ServiceMetrics) -> Self {
        let mut totals = Self::default();
        for counted in metrics.outcomes() {
            let index = match counted.outcome {
                OutcomeKind::Succeeded => 0,
                OutcomeKind::Failed => 1,
                OutcomeKind::Cancelled => 2,
                OutcomeKind::Expired => 3,
                OutcomeKind::Refused => 4,
            };
            if let Some(total) = totals.outcomes.get_mut(index) {
                *total = total.wrapping_add(wrapped(counted.count));
            }
        }
        for (total, count) in totals.buckets.iter_mut().zip(metrics.duration().counts) {
            *total = wrapped(count);
        }
        totals
    }

    /// Adds those of another service.
    pub(super) fn add(&mut self, other: &Self) {
        self.each(other, u32::wrapping_add);
    }

    /// What was counted since an earlier time. Of a service that was forgotten and came back, which counts from zero,
    /// nothing was.
    pub(super) fn since(mut self, earlier: &Self) -> Self {
        self.each(earlier, |now, earlier| {
            let counted = now.wrapping_sub(earlier);
            if counted > u32::MAX / 2 { 0 } else { counted }
        });
        self
    }

    fn each(&mut self, other: &Self, change: fn(u32, u32) -> u32) {
        let own = self.outcomes.iter_mut().chain(&mut self.buckets);
        let other = other.outcomes.iter().chain(&other.buckets);
        for (own, other) in own.zip(other) {
            *own = change(*own, *other);
        }
    }

    /// How many invocations and calls there were, whatever their outcome.
    pub(super) fn calls(&self) -> u64 {
        self.outcomes.iter().map(|count| u64::from(*count)).sum()
    }

    /// The time within which a share of the handlers had run, as if they were spread evenly within a bucket. `None`
    /// where none ran. Of the last bucket, which has no bound, it is the bound before.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        let all: u64 = self.buckets.iter().map(|count| u64::from(*count)).sum();
        if all == 0 {
            return None;
        }
        // Fewer than 2^53, in a few minutes.
        let rank = share * all as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        for (count, upper) in self.buckets.iter().zip(SECONDS_UPPER) {
            let (count, upper) = (f64::from(*count), upper as f64);
            if count > 0.0 && below + count >= rank {
                let within = (rank - below) / count;
                return Some(nanoseconds(lower + within * (upper - lower)));
            }
            below += count;
            lower = upper;
        }
        Some(nanoseconds(lower))
    }
}

fn nanoseconds(number: f64) -> Duration {
    Duration::from_secs_f64(number / 1e9)
}

/// The lower half of a count.
fn wrapped(count: u64) -> u32 {
    (count & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(buckets: &[(usize, u32)]) -> Totals {
        let mut totals = Totals::default();
        for (bucket, count) in buckets {
            totals.buckets[*bucket] = *count;
        }
        totals
    }

    #[test]
    fn a_quantile_is_within_its_bucket() {
        let microseconds = |totals: Totals, share| totals.quantile(share).unwrap().as_micros();
        // The buckets end at 0.1, 0.25, 0.5 and 1 ms.
        assert_eq!(microseconds(with(&[(0, 10)]), 0.5), 50);
        assert_eq!(microseconds(with(&[(0, 50), (3, 50)]), 0.5), 100);
        assert_eq!(microseconds(with(&[(0, 50), (3, 50)]), 0.99), 990);
        assert_eq!(microseconds(with(&[(0, 99), (3, 1)]), 0.5), 50);
        // Without a bound: more than 15 minutes.
        assert_eq!(microseconds(with(&[(BUCKETS - 1, 1)]), 0.5), 900_000_000);
        assert_eq!(Totals::default().quantile(0.5), None);
    }

    #[test]
    fn a_difference_is_right_after_the_counts_have_wrapped() {
        let before = Totals {
            outcomes: [u32::MAX, 0, 0, 0, 7],
            ..with(&[(2, u32::MAX - 1)])
        };
        let after = Totals {
            outcomes: [4, 0, 0, 0, 9],
            ..with(&[(2, 1)])
        };
        let since = after.since(&before);
        assert_eq!(since.outcomes, [5, 0, 0, 0, 2]);
        assert_eq!((since.buckets[2], since.calls()), (3, 7));
        let again = Totals {
            outcomes: [1, 0, 0, 0, 0],
            ..Totals::default()
        };
        assert_eq!(again.since(&after).calls(), 0);
    }
}
