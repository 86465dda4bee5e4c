//! What happened in ten seconds: as it is read, and as it is kept.

use std::time::Duration;

use jiff::Timestamp;

use super::compact::Compact;
use super::totals::Totals;

/// How long an interval is.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// What happened in one interval, and what there was at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When the interval ended.
    pub time: Timestamp,
    /// How many invocations and calls succeeded.
    pub succeeded: u64,
    /// How many failed.
    pub failed: u64,
    /// How many were cancelled.
    pub cancelled: u64,
    /// How many expired.
    pub expired: u64,
    /// How many were refused.
    pub refused: u64,
    /// The time within which half of the handlers that ended had run; `None` where none ended.
    pub duration_p50: Option<Duration>,
    /// The time within which 99 % of them had.
    pub duration_p99: Option<Duration>,
    /// How many handlers ran.
    pub running: u64,
    /// How many synchronous calls waited.
    pub queued: u64,
    /// How many invocations were pending.
    pub pending: u64,
    /// How long the one that had been due longest had been so; `None` where none was.
    pub oldest_due_age: Option<Duration>,
}

/// What there is at the end of an interval.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gauges {
    pub(super) running: usize,
    pub(super) queued: usize,
    pub(super) pending: usize,
    pub(super) oldest_due_age: Option<Duration>,
}

impl Gauges {
    /// Adds those of another service.
    pub(super) fn add(&mut self, other: &Self) {
        self.running += other.running;
        self.queued += other.queued;
        self.pending += other.pending;
        self.oldest_due_age = self.oldest_due_age.max(other.oldest_due_age);
    }
}

/// A sample in 22 bytes. Where nothing happened and there was nothing, all of them are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed {
    outcomes: [Compact; 5],
    /// In microseconds, at least one; 0: none.
    quantiles: [Compact; 2],
    gauges: [Compact; 3],
    /// In milliseconds, at least one; 0: none.
    oldest_due_age: Compact,
}

impl Packed {
    /// Packs what was counted in an interval, and what there was at its end.
    pub(super) fn new(counted: &Totals, gauges: &Gauges) -> Self {
        let count = |n: u32| Compact::new(n.into());
        let size = |n: usize| Compact::new(u64::try_from(n).unwrap_or(u64::MAX));
        let at_least_one = |n: u128| Compact::new(u64::try_from(n).unwrap_or(u64::MAX).max(1));
        let quantile = |share| {
            let quantile = counted.quantile(share);
            quantile.map_or_else(Compact::default, |it| at_least_one(it.as_micros()))
        };
        let age = gauges.oldest_due_age;
        Self {
            outcomes: counted.outcomes.map(count),
            quantiles: [quantile(0.5), quantile(0.99)],
            gauges: [gauges.running, gauges.queued, gauges.pending].map(size),
            oldest_due_age: age.map_or_else(Compact::default, |age| at_least_one(age.as_millis())),
        }
    }

    /// Whether nothing happened, and there was nothing.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The sample, of an interval that ended at a time.
    pub(super) fn unpack(&self, time: Timestamp) -> Sample {
        let some = |number: u64| Some(number).filter(|number| *number > 0);
        let quantile = |compact: Compact| some(compact.get()).map(Duration::from_micros);
        let [succeeded, failed, cancelled, expired, refused] = self.outcomes.map(Compact::get);
        let [running, queued, pending] = self.gauges.map(Compact::get);
        let [p50, p99] = self.quantiles;
        Sample {
            time,
            succeeded,
            failed,
            cancelled,
            expired,
            refused,
            duration_p50: quantile(p50),
            duration_p99: quantile(p99),
            running,
            queued,
            pending,
            oldest_due_age: some(self.oldest_due_age.get()).map(Duration::from_millis),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_small_and_read_as_it_was() {
        assert_eq!(size_of::<Packed>(), 22);
        let mut counted = Totals {
            outcomes: [1, 2, 3, 4, 5],
            ..Totals::default()
        };
        // Ten handlers ran for up to a millisecond.
        counted.buckets[3] = 10;
        let gauges = Gauges {
            running: 6,
            queued: 7,
            pending: 8,
            oldest_due_age: Some(Duration::from_millis(1_500)),
        };
        let sample = Packed::new(&counted, &gauges).unpack(Timestamp::UNIX_EPOCH);
        let expected = Sample {
            succeeded: 1,
            failed: 2,
            cancelled: 3,
            expired: 4,
            refused: 5,
            duration_p50: Some(Duration::from_micros(750)),
            duration_p99: Some(Duration::from_micros(995)),
            running: 6,
            queued: 7,
            pending: 8,
            oldest_due_age: Some(Duration::from_millis(1_500)),
            ..Sample::default()
        };
        assert_eq!(sample, expected);
        assert!(Packed::new(&Totals::default(), &Gauges::default()).is_empty());
        let due = Gauges {
            oldest_due_age: Some(Duration::ZERO),
            ..Gauges::default()
        };
        assert!(!Packed::new(&Totals::default(), &due).is_empty());
    }
}
