//! What is kept, for how long, and how much memory that takes.

use std::time::Duration;

use super::*;
use crate::engine::history::totals::BUCKETS;

fn at(interval: u64) -> Timestamp {
    let seconds = i64::try_from(interval * INTERVAL.as_secs()).unwrap();
    Timestamp::from_second(seconds).unwrap()
}

/// A service with so many calls until now, all of them of up to a tenth of a millisecond.
fn observed(name: &str, calls: u32, is_named: bool) -> Observed {
    let mut totals = Totals {
        outcomes: [calls, 0, 0, 0, 0],
        ..Totals::default()
    };
    totals.buckets[0] = calls;
    Observed {
        service: ServiceName::parse(name).unwrap(),
        totals,
        gauges: Gauges::default(),
        is_named,
    }
}

fn succeeded(samples: &[Sample]) -> Vec<(i64, u64)> {
    let each = samples.iter();
    each.map(|sample| (sample.time.as_second(), sample.succeeded))
        .collect()
}

#[test]
fn the_node_has_all_services_and_each_one_its_own() {
    let history = History::default();
    for (interval, calls) in [(1, 10), (2, 10), (3, 25)] {
        let all = vec![
            observed("a", calls, true),
            observed("b", 5, true),
            observed("unnamed", calls, false),
        ];
        history.end_interval(at(interval), all);
    }
    assert_eq!(
        succeeded(&history.samples(None, None)),
        [(10, 25), (30, 30)]
    );
    assert_eq!(
        succeeded(&history.samples(Some("a"), None)),
        [(10, 10), (30, 15)]
    );
    assert_eq!(succeeded(&history.samples(Some("b"), None)), [(10, 5)]);
    assert_eq!(
        succeeded(&history.samples(Some("a"), Some(at(1)))),
        [(30, 15)]
    );
    for unknown in ["unnamed", "c"] {
        assert!(history.samples(Some(unknown), None).is_empty());
    }
}

#[test]
fn samples_are_kept_for_an_hour() {
    let history = History::default();
    for interval in 1..=400 {
        let calls = u32::try_from(interval).unwrap();
        history.end_interval(at(interval), vec![observed("a", calls, true)]);
    }
    let samples = history.samples(Some("a"), None);
    assert_eq!(samples.len(), 360);
    assert_eq!(samples[0].time, at(41));
    assert!(samples.iter().all(|sample| sample.succeeded == 1));
    // Nothing more happens.
    for interval in 401..=760 {
        history.end_interval(at(interval), vec![observed("a", 400, true)]);
    }
    assert!(history.samples(Some("a"), None).is_empty());
    assert!(history.state().services["a"].ring().is_none());
    history.end_interval(at(761), vec![observed("a", 402, true)]);
    assert_eq!(succeeded(&history.samples(Some("a"), None)), [(7_610, 2)]);
}

#[test]
fn a_service_that_is_forgotten_leaves_nothing() {
    let history = History::default();
    history.end_interval(at(1), vec![observed("a", 3, true)]);
    history.end_interval(at(2), Vec::new());
    assert!(history.samples(Some("a"), None).is_empty());
    assert!(history.state().services.is_empty());
    // It counts from zero then.
    history.end_interval(at(3), vec![observed("a", 1, true)]);
    assert_eq!(succeeded(&history.samples(Some("a"), None)), [(30, 1)]);
}

#[test]
fn recent_calls_are_those_of_five_minutes() {
    let history = History::default();
    let name = "a";
    for interval in 1..=100 {
        let calls = u32::try_from(interval).unwrap();
        history.end_interval(at(interval), vec![observed(name, calls, true)]);
    }
    let recent = history.recent(name).unwrap();
    assert_eq!(recent.period, INTERVAL * 34);
    assert_eq!((recent.calls, recent.failed), (34, 0));
    assert_eq!(recent.duration_p50, Some(Duration::from_micros(50)));
    for interval in 101..=140 {
        history.end_interval(at(interval), vec![observed(name, 100, true)]);
    }
    assert_eq!(history.recent(name), None);
    assert_eq!(history.recent("b"), None);
}

#[test]
fn a_thousand_busy_services_take_less_than_nine_megabytes() {
    let history = History::default();
    let services = 1_000;
    for interval in 1..=36_u32 {
        let busy = (0..services).map(|n| observed(&format!("s{n}"), interval * 1_000, true));
        history.end_interval(at(interval.into()), busy.collect());
    }
    let state = history.state();
    let one = size_of::<(ServiceName, Service)>() + SAMPLES * size_of::<Packed>();
    let heap = |service: &Service| service.heap_bytes();
    let all: usize = state.services.values().map(|it| one + heap(it)).sum();
    assert_eq!(
        (state.services.len(), state.ends.len()),
        (services, SAMPLES)
    );
    assert!(all < 9_000_000, "{all} bytes");
    assert_eq!(BUCKETS, 21);
}
