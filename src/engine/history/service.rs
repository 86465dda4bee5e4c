//! What is kept of one service: its samples, and what was counted before.

use std::collections::VecDeque;
use std::time::Duration;

use super::ring::Ring;
use super::sample::{Gauges, INTERVAL, Packed};
use super::totals::Totals;

/// How often the counts are kept from which recent figures follow, in intervals: a minute.
const MARK_EVERY: u64 = 6;
/// How many are kept: five minutes and the one that goes on.
const MARKS: usize = 6;

/// How a service did in the last minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentCalls {
    /// How many minutes: between five and six, or since it was called first.
    pub period: Duration,
    /// How many invocations and calls ended.
    pub calls: u64,
    /// How many of them failed.
    pub failed: u64,
    /// The time within which half of the handlers had run; `None` where none ran.
    pub duration_p50: Option<Duration>,
    /// The time within which 99 % of them had.
    pub duration_p99: Option<Duration>,
}

/// One service.
#[derive(Debug)]
pub(super) struct Service {
    /// `None` while nothing has happened for an hour.
    ring: Option<Ring>,
    /// What was counted at the end of the last interval.
    before: Totals,
    /// What was counted at the end of earlier intervals, the oldest first.
    marks: VecDeque<(u64, Totals)>,
}

impl Service {
    /// A service of which so much was counted when it was seen first, in an interval.
    pub(super) fn new(interval: u64, before: Totals) -> Self {
        let mut marks = VecDeque::with_capacity(MARKS);
        marks.push_back((interval, before));
        Self {
            ring: None,
            before,
            marks,
        }
    }

    /// Keeps what happened in an interval, and returns what was counted in it.
    pub(super) fn sample(&mut self, interval: u64, now: Totals, gauges: &Gauges) -> Totals {
        let counted = now.since(&self.before);
        self.before = now;
        let sample = Packed::new(&counted, gauges);
        if self.ring.is_some() || !sample.is_empty() {
            let ring = self.ring.get_or_insert_default();
            ring.put(interval, sample);
            self.ring.take_if(|ring| ring.is_unused(interval));
        }
        if interval.is_multiple_of(MARK_EVERY) {
            if self.marks.len() >= MARKS {
                self.marks.pop_front();
            }
            self.marks.push_back((interval, now));
        }
        counted
    }

    /// Its samples, if anything has happened in the last hour.
    pub(super) fn ring(&self) -> Option<&Ring> {
        self.ring.as_ref()
    }

    /// What its marks take.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.marks.capacity() * size_of::<(u64, Totals)>()
    }

    /// How it did until the end of an interval. `None` where nothing was called.
    pub(super) fn recent(&self, interval: u64) -> Option<RecentCalls> {
        let (begin, counted_then) = self.marks.front()?;
        let counted = self.before.since(counted_then);
        let intervals = u32::try_from(interval.saturating_sub(*begin)).unwrap_or(u32::MAX);
        let [_, failed, ..] = counted.outcomes;
        (counted.calls() > 0).then(|| RecentCalls {
            period: INTERVAL.saturating_mul(intervals),
            calls: counted.calls(),
            failed: failed.into(),
            duration_p50: counted.quantile(0.5),
            duration_p99: counted.quantile(0.99),
        })
    }
}
