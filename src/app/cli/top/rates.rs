//! Rates and quantiles of services: the difference between the newest statistics and those of some seconds before.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

use crate::app::cli::times::between;
use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;

/// How many polls are kept: at one poll a second, rates are those of the last five seconds.
const MAX_SAMPLES: usize = 6;

/// What one service has done since the node started.
#[derive(Clone, Debug, Default, PartialEq)]
struct Counters {
    ended: u64,
    failed: u64,
    /// The buckets of its durations.
    durations: Vec<u64>,
}

/// The counters of all services at one time.
#[derive(Debug)]
struct Sample {
    time: Timestamp,
    services: HashMap<String, Counters>,
}

/// What a service does per second, and how long it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    /// Calls and attempts that ended, per second, refused ones included.
    pub(super) calls: Option<f64>,
    /// Calls and attempts that failed, per second.
    pub(super) failures: Option<f64>,
    /// The duration in seconds within which half of the handlers ended; `None` where none did.
    pub(super) p50: Option<f64>,
    /// That of 99 of 100.
    pub(super) p99: Option<f64>,
}

/// The last polls.
#[derive(Debug, Default)]
pub(super) struct Window {
    start_time: Option<Timestamp>,
    bounds: Vec<f64>,
    samples: VecDeque<Sample>,
}

impl Window {
    /// Adds a poll. Those of a node that has restarted since are forgotten.
    pub(super) fn add(&mut self, response: &v1::ListServiceStatsResponse) {
        let Some(time) = time_of(response.observe_time.as_ref()) else {
            return;
        };
        let start_time = time_of(response.start_time.as_ref());
        let went_back = self.samples.back().is_some_and(|last| last.time >= time);
        if start_time != self.start_time || went_back {
            self.samples.clear();
            self.start_time = start_time;
        }
        let durations = response.stats.iter().find_map(|one| one.duration.as_ref());
        if let Some(durations) = durations {
            self.bounds.clone_from(&durations.bounds);
        }
        let services = response.stats.iter();
        let services = services.map(|stats| (stats.service.clone(), Counters::of(stats)));
        self.samples.push_back(Sample {
            time,
            services: services.collect(),
        });
        if self.samples.len() > MAX_SAMPLES {
            self.samples.pop_front();
        }
    }

    /// The rates of a service; unknown before the second poll.
    pub(super) fn rates(&self, service: &str) -> Rates {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return Rates::default();
        };
        let seconds = between(first.time, last.time).as_secs_f64();
        let Some(now) = last.services.get(service).filter(|_| seconds > 0.0) else {
            return Rates::default();
        };
        // One that was not there has done nothing until then.
        let before = first.services.get(service).cloned().unwrap_or_default();
        let durations = now.durations.iter().enumerate().map(|(index, count)| {
            let before = before.durations.get(index).copied().unwrap_or_default();
            count.saturating_sub(before)
        });
        let durations: Vec<u64> = durations.collect();
        let rate = |now: u64, before: u64| Some(now.saturating_sub(before) as f64 / seconds);
        Rates {
            calls: rate(now.ended, before.ended),
            failures: rate(now.failed, before.failed),
            p50: quantile(&self.bounds, &durations, 0.5),
            p99: quantile(&self.bounds, &durations, 0.99),
        }
    }

    /// When the node started.
    pub(super) fn start_time(&self) -> Option<Timestamp> {
        self.start_time
    }
}

impl Counters {
    fn of(stats: &v1::ServiceStats) -> Self {
        let count = |is_counted: fn(v1::OutcomeKind) -> bool| -> u64 {
            let outcomes = stats.outcomes.iter();
            let counted = outcomes.filter(|one| is_counted(one.outcome()));
            counted.map(|one| one.count).sum()
        };
        let durations = stats.duration.as_ref();
        Self {
            // An attempt that another one follows has no outcome of its own.
            ended: count(|_| true) + stats.retries,
            failed: count(|outcome| outcome == v1::OutcomeKind::Failed) + stats.retries,
            durations: durations.map_or_else(Vec::new, |it| it.counts.clone()),
        }
    }
}

fn time_of(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(timestamp_from_proto)
}

/// The value below which this part of the observations is, interpolated within its bucket; in the last bucket, which has
/// no upper bound, its lower one.
fn quantile(bounds: &[f64], counts: &[u64], part: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return None;
    }
    let rank = total as f64 * part;
    let (mut below, mut lower) = (0.0, 0.0);
    for (index, count) in counts.iter().enumerate() {
        let count = *count as f64;
        let Some(upper) = bounds.get(index) else {
            break;
        };
        if count > 0.0 && below + count >= rank {
            return Some(lower + (upper - lower) * (rank - below) / count);
        }
        below += count;
        lower = *upper;
    }
    Some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::convert::timestamp_to_proto;

    fn poll(second: i64, start: i64, calls: u64, counts: [u64; 3]) -> v1::ListServiceStatsResponse {
        let at = |second| {
            let time = Timestamp::from_second(second).unwrap();
            Some(timestamp_to_proto(time))
        };
        v1::ListServiceStatsResponse {
            stats: vec![v1::ServiceStats {
                service: "a".to_owned(),
                outcomes: vec![
                    outcome(v1::OutcomeKind::Succeeded, calls),
                    outcome(v1::OutcomeKind::Failed, calls / 2),
                ],
                duration: Some(v1::Histogram {
                    bounds: vec![0.1, 0.2],
                    counts: counts.to_vec(),
                    sum: 0.0,
                }),
                ..v1::ServiceStats::default()
            }],
            observe_time: at(second),
            start_time: at(start),
            ..v1::ListServiceStatsResponse::default()
        }
    }

    fn outcome(outcome: v1::OutcomeKind, count: u64) -> v1::OutcomeCount {
        v1::OutcomeCount {
            kind: v1::InvocationKind::Sync.into(),
            outcome: outcome.into(),
            count,
        }
    }

    #[test]
    fn rates_are_differences() {
        let mut window = Window::default();
        assert_eq!(window.rates("a"), Rates::default());
        window.add(&poll(100, 0, 10, [4, 0, 0]));
        assert_eq!(window.rates("a"), Rates::default());
        window.add(&poll(102, 0, 30, [4, 10, 0]));
        let rates = window.rates("a");
        assert_eq!((rates.calls, rates.failures), (Some(15.0), Some(5.0)));
        // Those before the first poll do not count.
        assert_eq!(rates.p50, Some(0.15));
        assert_eq!(window.rates("b"), Rates::default());
    }

    #[test]
    fn a_window_has_the_last_polls() {
        let mut window = Window::default();
        for second in 0..20 {
            window.add(&poll(second, 0, 0, [0; 3]));
        }
        assert_eq!(window.samples.len(), MAX_SAMPLES);
        assert_eq!(window.rates("a").calls, Some(0.0));
        assert_eq!(window.rates("a").p99, None);
    }

    #[test]
    fn a_node_that_restarted_counts_anew() {
        let mut window = Window::default();
        window.add(&poll(100, 0, 1_000, [0; 3]));
        window.add(&poll(101, 100, 2, [0; 3]));
        assert_eq!(window.rates("a"), Rates::default());
        window.add(&poll(102, 100, 4, [0; 3]));
        assert_eq!(window.rates("a").calls, Some(3.0));
    }

    #[test]
    fn quantiles_are_interpolated() {
        let bounds = [0.1, 0.2];
        for (counts, part, expected) in [
            ([10, 0, 0], 0.5, 0.05),
            ([0, 10, 0], 0.5, 0.15),
            ([5, 5, 0], 0.99, 0.198),
            ([0, 0, 7], 0.5, 0.2),
        ] {
            let found = quantile(&bounds, &counts, part).unwrap();
            assert!((found - expected).abs() < 1e-9, "{counts:?}: {found}");
        }
        assert_eq!(quantile(&bounds, &[0; 3], 0.5), None);
    }
}
