//! What the status of a node is read from: what has been due longest, what is held, the room that is left.

use cidery::engine::store::Store;
use cidery::model::invocation::{EventKind, HELD, State, Summary};
use cidery::{Cid, Error, dict};
use jiff::Timestamp;

use crate::support::stored::{
    NOW, accepted, at, claimed, invocation, record, service, started, succeeded, unclaimed,
    with_request,
};

/// By service: its name, the invocation, and when it was due.
async fn oldest(store: &dyn Store, now: Timestamp) -> Vec<(String, Cid, Timestamp)> {
    let found = store.oldest_due(now).await.unwrap().into_iter();
    let mut found: Vec<_> = found
        .map(|found| (found.service.to_string(), found.cid, found.due))
        .collect();
    found.sort();
    found
}

pub(super) async fn the_longest_due_invocation_of_each_service_is_found(store: &dyn Store) {
    assert_eq!(oldest(store, NOW).await, []);
    let second = accepted(store, "a", at(2)).await;
    let first = accepted(store, "a", at(1)).await;
    let other = accepted(store, "b", at(3)).await;
    accepted(store, "c", at(9)).await;
    let of_a = |cid, due| ("a".to_owned(), cid, at(due));
    let of_b = ("b".to_owned(), other, at(3));
    assert_eq!(oldest(store, at(5)).await, [of_a(first, 1), of_b.clone()]);
    assert_eq!(oldest(store, at(2)).await, [of_a(first, 1)]);
    // One that is claimed does not wait any more.
    assert_eq!(claimed(store, "a", at(1), 1).await, [first]);
    assert_eq!(oldest(store, at(5)).await, [of_a(second, 2), of_b.clone()]);
    let mut retried = record(first, State::Pending { started: true }, started());
    (retried.due, retried.next_wakeup) = (at(4), at(4));
    assert!(store.record(retried).await.unwrap());
    assert_eq!(claimed(store, "a", at(2), 1).await, [second]);
    store.record(succeeded(second)).await.unwrap();
    assert_eq!(oldest(store, at(5)).await, [of_a(first, 4), of_b]);
}

pub(super) async fn what_waits_for_its_key_is_not_due(store: &dyn Store) {
    for due in [1, 2] {
        let keyed = with_request(invocation("a", at(due), dict! {}), |request| {
            request.terms.concurrency_key = Some("x".to_owned());
        });
        store.accept(keyed).await.unwrap();
    }
    let first = oldest(store, at(5)).await;
    assert_eq!(first.len(), 1);
    assert_eq!(claimed(store, "a", at(5), 9).await, [first[0].1]);
    assert_eq!(oldest(store, at(5)).await, []);
    store.record(succeeded(first[0].1)).await.unwrap();
    let second = oldest(store, at(5)).await;
    assert_eq!(second[0].2, at(2));
}

pub(super) async fn what_is_claimed_later_is_counted(store: &dyn Store) {
    let later = async |now, max| store.later_count(service("a"), now, max).await.unwrap();
    assert_eq!(later(NOW, 9).await, 0);
    for due in [1, 5, 6] {
        accepted(store, "a", at(due)).await;
    }
    accepted(store, "b", at(9)).await;
    let keyed = |due| {
        with_request(invocation("a", at(due), dict! {}), |request| {
            request.terms.concurrency_key = Some("x".to_owned());
        })
    };
    for due in [7, 8] {
        store.accept(keyed(due)).await.unwrap();
    }
    assert_eq!(later(at(3), 9).await, 3);
    assert_eq!(later(at(3), 2).await, 2);
    assert_eq!(later(at(5), 9).await, 2);
    assert_eq!(later(at(7), 9).await, 0);
    // One that failed is held, or due again later.
    let claimed = claimed(store, "a", at(5), 2).await;
    for (cid, due) in claimed.iter().zip([HELD, at(6)]) {
        let mut failed = record(*cid, State::Pending { started: true }, started());
        (failed.due, failed.next_wakeup) = (due, due);
        assert!(store.record(failed).await.unwrap());
    }
    assert_eq!(later(at(5), 9).await, 4);
    assert_eq!(later(at(8), 9).await, 1);
}

pub(super) async fn held_invocations_are_counted(store: &dyn Store) {
    let held = async || store.held_count().await.unwrap();
    let mut cids = Vec::new();
    for _ in 0..3 {
        cids.push(accepted(store, "a", NOW).await);
    }
    assert_eq!(held().await, 0);
    claimed(store, "a", NOW, 3).await;
    // The second one has a deadline, by which it wakes before.
    for (cid, wakeup) in cids.iter().zip([HELD, at(50)]) {
        let mut hold = record(*cid, State::Pending { started: true }, started());
        (hold.due, hold.next_wakeup) = (HELD, wakeup);
        assert!(store.record(hold).await.unwrap());
    }
    assert_eq!(held().await, 2);
    // Released, and cancelled.
    let mut release = record(cids[0], State::Pending { started: true }, started());
    (release.due, release.next_wakeup) = (at(5), at(5));
    let release = unclaimed(store, release).await;
    assert!(store.record(release).await.unwrap());
    assert_eq!(held().await, 1);
    let ended = unclaimed(store, succeeded(cids[1])).await;
    assert!(store.record(ended).await.unwrap());
    assert_eq!(held().await, 0);
    assert_eq!(store.pending_count(&service("a")), 1);
}

pub(super) async fn the_room_of_a_store_is_told(store: &dyn Store) {
    let before = store.usage().await.unwrap();
    assert!(before.accept_limit < before.bytes_limit);
    for _ in 0..20 {
        let large = invocation("a", NOW, dict! { "text": "x".repeat(2_000) });
        store.accept(large).await.unwrap();
    }
    let after = store.usage().await.unwrap();
    assert!(
        after.bytes >= before.bytes + 20 * 2_000,
        "{before:?} {after:?}"
    );
    assert_eq!(after.bytes_limit, before.bytes_limit);
    if let Some(disk) = after.disk {
        assert!(disk.free > 0 && disk.free <= disk.total, "{disk:?}");
    }
    assert_eq!(after.disk.is_some(), store.name() == "sqlite");
}

/// Ends an invocation as failed for a reason at a time.
async fn fail(store: &dyn Store, name: &str, reason: &'static str, seconds: i64) -> Cid {
    let cid = accepted(store, name, NOW).await;
    let error = EventKind::Failed(Error::not_found(reason, "gone"));
    let mut failed = record(cid, State::Failed, error);
    failed.end_time = Some(at(seconds));
    failed.purge_time = Some(at(seconds + 100));
    failed.expected_attempts = Some(0);
    assert!(store.record(failed).await.unwrap());
    cid
}

pub(super) async fn failures_are_counted_since_a_time_up_to_a_limit(store: &dyn Store) {
    // By service and reason: how many, and the example.
    let counted = async |since, max| {
        let found = store.recent_failures(at(since), max).await.unwrap();
        let summaries = found.summaries.into_iter().map(|Summary { key, count }| {
            assert_eq!((key.state, key.held), (State::Failed, false));
            let reason = key.failure_reason.unwrap_or_default();
            (key.service.to_string(), reason, count.count, count.example)
        });
        let mut summaries: Vec<_> = summaries.collect();
        summaries.sort();
        (summaries, found.has_more)
    };
    let of = |service: &str, reason: &str, count: u64, example: Cid| {
        (service.to_owned(), reason.to_owned(), count, example)
    };
    assert_eq!(counted(0, 9).await, (vec![], false));
    let old = fail(store, "a", "GONE", 10).await;
    let last = fail(store, "a", "GONE", 30).await;
    let middle = fail(store, "a", "GONE", 20).await;
    let other = fail(store, "a", "OTHER", 20).await;
    let of_b = fail(store, "b", "GONE", 40).await;
    let succeeds = accepted(store, "a", NOW).await;
    store.record(succeeded(succeeds)).await.unwrap();
    let rest = [of("a", "OTHER", 1, other), of("b", "GONE", 1, of_b)];
    let expected = [&[of("a", "GONE", 2, last)], &rest[..]].concat();
    assert_eq!(counted(11, 9).await, (expected.clone(), false));
    assert_eq!(counted(11, 4).await, (expected, false));
    // Of more than the limit, those that failed last.
    let expected = vec![of("a", "GONE", 1, last), of("b", "GONE", 1, of_b)];
    assert_eq!(counted(0, 2).await, (expected, true));
    // Without those that were removed.
    for cid in [old, middle] {
        assert!(store.remove(cid).await.unwrap());
    }
    let expected = [&[of("a", "GONE", 1, last)], &rest[..]].concat();
    assert_eq!(counted(0, 9).await, (expected, false));
    assert_eq!(counted(40, 9).await.0, [of("b", "GONE", 1, of_b)]);
}

pub(super) async fn an_open_store_is_healthy_and_keeps_its_generation(store: &dyn Store) {
    let generation = store.first_generation();
    assert!(generation > 0);
    // It began as no copy.
    assert_eq!(store.undone_generations(), 0..0);
    accepted(store, "a", NOW).await;
    assert!(store.health().is_ok());
    assert_eq!(store.first_generation(), generation);
}

pub(super) async fn of_some_invocations_those_that_have_ended_are_named(store: &dyn Store) {
    let (ended, running, removed) = (
        accepted(store, "a", NOW).await,
        accepted(store, "b", NOW).await,
        accepted(store, "a", NOW).await,
    );
    claimed(store, "a", NOW, 9).await;
    for cid in [ended, removed] {
        assert!(store.record(succeeded(cid)).await.unwrap());
    }
    assert!(store.remove(removed).await.unwrap());
    let asked = vec![running, removed, Cid::new(), ended];
    let mut named = store.ended(asked).await.unwrap();
    named.sort();
    let mut expected = [ended, removed];
    expected.sort();
    assert_eq!(named, expected);
}
