//! What a bench has measured so far. It is complete at any time: Ctrl-C prints it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

use crate::model::error::Error;

/// The longest latency that is told apart, in microseconds: longer ones count as this.
const LONGEST_MICROS: u64 = 3_600_000_000;
/// How many codes and reasons are told apart. Reasons come from services.
const MAX_REASONS: usize = 100;
/// The reason of failures beyond them.
const OTHERS: &str = "OTHERS";

/// Counts what calls answer, in one part for each connection.
pub(super) struct Measured {
    parts: Vec<Mutex<Part>>,
    missed: AtomicU64,
    begun: Instant,
    /// Calls that should begin before are not counted.
    from: Instant,
}

#[derive(Default)]
struct Part {
    /// Latencies of calls that succeeded, in microseconds. `None` before the first one.
    latencies: Option<Histogram<u64>>,
    failures: BTreeMap<(&'static str, String), u64>,
    first_failure: Option<Error>,
    /// When the last call ended.
    end: Option<Instant>,
}

/// What is measured.
pub(super) struct Measurement {
    pub(super) latencies: Histogram<u64>,
    /// By code and reason.
    pub(super) failures: BTreeMap<(&'static str, String), u64>,
    /// Calls that were not made.
    pub(super) missed: u64,
    /// From the end of the warm-up to the end of the last call.
    pub(super) elapsed: Duration,
    first_failure: Option<Error>,
}

impl Measured {
    pub(super) fn new(connections: usize, warm_up: Duration) -> Self {
        let begun = Instant::now();
        Self {
            parts: (0..connections.max(1)).map(|_| Mutex::default()).collect(),
            missed: AtomicU64::new(0),
            begun,
            from: begun + warm_up,
        }
    }

    /// When the warm-up begins.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// When the measurement begins.
    pub(super) fn from(&self) -> Instant {
        self.from
    }

    /// A call has ended that should have begun at `due`.
    pub(super) fn record(&self, number: usize, due: Instant, outcome: Result<(), Error>) {
        let end = Instant::now();
        let Some(part) = self.parts.get(number % self.parts.len()) else {
            return;
        };
        if due >= self.from {
            let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
            part.record(end - due, outcome);
            part.end = Some(end);
        }
    }

    /// A call that should have begun at `due` was not made.
    pub(super) fn miss(&self, due: Instant) {
        if due >= self.from {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What is measured so far.
    pub(super) fn result(&self) -> Measurement {
        let mut all = Part::default();
        for part in &self.parts {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            all.add(&part);
        }
        let end = all.end.unwrap_or(self.from);
        Measurement {
            latencies: all.latencies.unwrap_or_else(histogram),
            failures: all.failures,
            missed: self.missed.load(Ordering::Relaxed),
            elapsed: end - self.from,
            first_failure: all.first_failure,
        }
    }
}

impl Part {
    fn record(&mut self, latency: Duration, outcome: Result<(), Error>) {
        let Err(error) = outcome else {
            let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            let latencies = self.latencies.get_or_insert_with(histogram);
            latencies.saturating_record(micros.max(1));
            return;
        };
        self.count(error.kind().name(), error.reason(), 1);
        self.first_failure.get_or_insert(error);
    }

    fn count(&mut self, code: &'static str, reason: &str, count: u64) {
        let key = (code, reason.to_owned());
        let is_known = self.failures.contains_key(&key);
        let key = match is_known || self.failures.len() < MAX_REASONS {
            true => key,
            false => (code, OTHERS.to_owned()),
        };
        *self.failures.entry(key).or_default() += count;
    }

    fn add(&mut self, other: &Self) {
        if let Some(latencies) = &other.latencies {
            // Both have the same bounds.
            let _ = self.latencies.get_or_insert_with(histogram).add(latencies);
        }
        for ((code, reason), count) in &other.failures {
            self.count(code, reason, *count);
        }
        self.end = self.end.max(other.end);
        if self.first_failure.is_none() {
            self.first_failure.clone_from(&other.first_failure);
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "the bounds are constants that the library accepts"
)]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("the bounds are valid")
}

impl Measurement {
    pub(super) fn succeeded(&self) -> u64 {
        self.latencies.len()
    }

    pub(super) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Calls that have ended, per second.
    #[expect(clippy::cast_precision_loss, reason = "a number of calls")]
    pub(super) fn per_second(&self) -> f64 {
        let calls = (self.succeeded() + self.failed()) as f64;
        calls / self.elapsed.as_secs_f64().max(0.000_001)
    }

    /// The failure of the first call, where none has succeeded.
    pub(super) fn only_failure(&self) -> Option<Error> {
        match self.succeeded() {
            0 => self.first_failure.clone(),
            _ => None,
        }
    }

    /// How many calls took how long: ranges whose ends double, in microseconds, from the first to the last with calls.
    pub(super) fn ranges(&self) -> Vec<(u64, u64, u64)> {
        let mut ranges: Vec<(u64, u64, u64)> = Vec::new();
        let mut counts = BTreeMap::new();
        for value in self.latencies.iter_recorded() {
            let begin = 1 << value.value_iterated_to().max(1).ilog2();
            *counts.entry(begin).or_insert(0) += value.count_since_last_iteration();
        }
        let (first, last) = (counts.keys().next(), counts.keys().next_back());
        let (Some(&first), Some(&last)) = (first, last) else {
            return ranges;
        };
        let mut begin: u64 = first;
        while begin <= last {
            let count = counts.get(&begin).copied().unwrap_or_default();
            ranges.push((begin, begin * 2, count));
            begin *= 2;
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_double_and_have_no_gaps() {
        let measured = Measured::new(2, Duration::ZERO);
        let mut part = Part::default();
        for micros in [3, 3, 40] {
            part.record(Duration::from_micros(micros), Ok(()));
        }
        *measured.parts[1].lock().unwrap() = part;
        let result = measured.result();
        let expected = [(2, 4, 2), (4, 8, 0), (8, 16, 0), (16, 32, 0), (32, 64, 1)];
        assert_eq!(result.ranges(), expected);
        assert_eq!(result.succeeded(), 3);
    }

    #[test]
    fn reasons_are_bounded() {
        let mut part = Part::default();
        for number in 0..2 * MAX_REASONS {
            let error = Error::internal(format!("R{number}"), "x");
            part.record(Duration::ZERO, Err(error));
        }
        assert_eq!(part.failures.len(), MAX_REASONS + 1);
        let others = part.failures.get(&("INTERNAL", OTHERS.to_owned()));
        assert_eq!(others, Some(&(MAX_REASONS as u64)));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_of_the_warm_up_are_not_counted() {
        let measured = Measured::new(1, Duration::from_secs(1));
        measured.record(0, Instant::now(), Ok(()));
        measured.miss(Instant::now());
        tokio::time::advance(Duration::from_secs(2)).await;
        measured.record(0, measured.from(), Ok(()));
        measured.miss(measured.from());
        let result = measured.result();
        assert_eq!((result.succeeded(), result.missed), (1, 1));
        // From when it was due, however late it began.
        assert!(
            result.latencies.max() >= 990_000,
            "{}",
            result.latencies.max()
        );
    }
}
