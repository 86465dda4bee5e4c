//! The contract of summaries, of retries, and of the criteria that no column has.

use std::collections::HashSet;
use std::sync::Arc;

use cidery::engine::store::{Filter, Record, Store};
use cidery::model::invocation::{
    AnyCaseText, EventKind, HELD, State, Summaries, Summary, SummaryCount,
};
use cidery::model::metadata::Metadata;
use cidery::{Cid, Error, dict};

use super::lists::listed;
use super::{with_request, with_terms};
use crate::support::stored::{
    NOW, accepted, at, claimed, found, invocation, record, service, started, succeeded,
};

/// Adds all invocations to the indexes, if the store has indexes that are written later.
async fn index(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    let ended = Record {
        purge_time: Some(at(-1)),
        ..succeeded(cid)
    };
    assert!(store.record(ended).await.unwrap());
    assert_eq!(store.purge(at(-1), 1).await.unwrap(), 1);
}

/// Records the end of an invocation of the service `a` with a failure.
async fn fail(store: &dyn Store, cid: Cid, error: Error) {
    let failed = record(cid, State::Failed, EventKind::Failed(error));
    assert!(store.record(failed).await.unwrap());
}

/// Records that an invocation of the service `a` is held after a failure.
async fn hold(store: &dyn Store, cid: Cid, error: Error) {
    let held = Record {
        due: HELD,
        next_wakeup: HELD,
        last_failure: Some(error),
        ..record(cid, State::Pending { started: true }, started())
    };
    assert!(store.record(held).await.unwrap());
}

/// All parts of a summary, added up.
async fn summarized(store: &dyn Store, filter: &Filter, running: &[Cid]) -> Vec<Summary> {
    let running: Arc<HashSet<Cid>> = Arc::new(running.iter().copied().collect());
    let (mut all, mut before) = (Summaries::default(), None);
    loop {
        let part = store
            .summarize(filter.clone(), Arc::clone(&running), before)
            .await
            .unwrap();
        for Summary { key, count } in part.summaries {
            all.add(key, &count);
        }
        before = part.next;
        if before.is_none() {
            return all.most_frequent(usize::MAX);
        }
    }
}

/// Service, state, whether they are held, reason, number, example.
type Line<'a> = (String, State, bool, Option<&'a str>, u64, Cid);

fn line(summary: &Summary) -> Line<'_> {
    let Summary { key, count } = summary;
    let reason = key.failure_reason.as_deref();
    let service = key.service.to_string();
    (
        service,
        key.state,
        key.held,
        reason,
        count.count,
        count.example,
    )
}

pub(super) async fn summaries_count_by_service_state_and_reason(store: &dyn Store) {
    let mut cids = Vec::new();
    for name in ["a", "a", "a", "a", "a", "a", "b"] {
        cids.push(accepted(store, name, NOW).await);
    }
    claimed(store, "a", NOW, 9).await;
    for cid in &cids[..3] {
        fail(store, *cid, Error::unavailable("DOWN", "down")).await;
    }
    hold(store, cids[3], Error::unavailable("DOWN", "down")).await;
    assert!(store.record(succeeded(cids[4])).await.unwrap());
    let down = Some("DOWN");
    let a = "a".to_owned();
    let expected = [
        (a.clone(), State::Failed, false, down, 3, cids[2]),
        ("b".to_owned(), State::ACCEPTED, false, None, 1, cids[6]),
        (a.clone(), State::RUNNING, false, None, 1, cids[5]),
        (a.clone(), State::Succeeded, false, None, 1, cids[4]),
        (a.clone(), State::ACCEPTED, true, down, 1, cids[3]),
    ];
    for is_indexed in [false, true] {
        if is_indexed {
            index(store).await;
        }
        let all = summarized(store, &Filter::default(), &[cids[5]]).await;
        assert_eq!(all.iter().map(line).collect::<Vec<_>>(), expected);
        let expected = SummaryCount {
            count: 3,
            first_accept_time: NOW,
            last_accept_time: NOW,
            last_end_time: Some(NOW),
            example: cids[2],
        };
        assert_eq!(all[0].count, expected);
        // Without a filter of states, an invocation that runs may be counted under any of them.
        let held = Filter {
            held: true,
            ..Filter::default()
        };
        let held = summarized(store, &held, &[]).await;
        assert_eq!(
            held.iter().map(line).collect::<Vec<_>>(),
            expected_held(&cids)
        );
        let of_b = Filter {
            services: vec![service("b")],
            ..Filter::default()
        };
        assert_eq!(summarized(store, &of_b, &[]).await.len(), 1);
    }
}

fn expected_held(cids: &[Cid]) -> [Line<'static>; 1] {
    [(
        "a".to_owned(),
        State::ACCEPTED,
        true,
        Some("DOWN"),
        1,
        cids[3],
    )]
}

pub(super) async fn a_retried_invocation_shows_its_last_retry(store: &dyn Store) {
    let first = accepted(store, "a", NOW).await;
    claimed(store, "a", NOW, 1).await;
    fail(store, first, Error::unavailable("DOWN", "down")).await;
    let dead = Filter {
        dead_letter: true,
        ..Filter::default()
    };
    let to_retry = Filter {
        states: vec![State::Failed],
        include_held: true,
        not_retried: true,
        ..Filter::default()
    };
    assert_eq!(found(store, first).await.retried_as, None);
    for filter in [&dead, &to_retry] {
        assert_eq!(listed(store, filter, 9).await, [first]);
    }
    let mut last = None;
    for is_indexed in [false, true] {
        if is_indexed {
            index(store).await;
        }
        let retry = with_terms(invocation("a", NOW, dict! {}), |terms| {
            terms.retry_of = Some(first);
        });
        last = Some(retry.request.cid);
        // What is known is not accepted again, and retries nothing.
        for _ in 0..2 {
            store.accept(retry.clone()).await.unwrap();
        }
        assert_eq!(found(store, first).await.retried_as, last);
        let page = store.list(Filter::default(), None, 9).await.unwrap();
        let in_list = page.invocations.last().unwrap();
        assert_eq!((in_list.request.cid, in_list.retried_as), (first, last));
        for filter in [&dead, &to_retry] {
            assert_eq!(listed(store, filter, 9).await, []);
        }
    }
    // The retry of an invocation that is gone.
    assert!(store.remove(first).await.unwrap());
    let orphan = with_terms(invocation("a", NOW, dict! {}), |terms| {
        terms.retry_of = Some(first);
    });
    store.accept(orphan).await.unwrap();
    assert_eq!(found(store, last.unwrap()).await.retried_as, None);
}

/// Filters, and which of four invocations match them.
fn cases(cids: &[Cid]) -> Vec<(Filter, Vec<Cid>)> {
    let metadata = |entries: &[(&str, &str)]| Filter {
        metadata: entries.iter().copied().collect::<Metadata>(),
        ..Filter::default()
    };
    let text = |text: &str| Filter {
        failure_text: Some(AnyCaseText::new(text)),
        ..Filter::default()
    };
    let acme = metadata(&[("tenant", "acme")]);
    let dead = |filter: &Filter| Filter {
        dead_letter: true,
        ..filter.clone()
    };
    let or_held = |states: &[State]| Filter {
        states: states.to_vec(),
        include_held: true,
        ..Filter::default()
    };
    vec![
        (acme.clone(), vec![cids[3], cids[2], cids[0]]),
        (metadata(&[("tenant", "acme"), ("n", "3")]), vec![cids[2]]),
        (metadata(&[("tenant", "ACME")]), vec![]),
        (metadata(&[("absent", "")]), vec![]),
        (text("connection"), vec![cids[2], cids[0]]),
        (text("ion refused"), vec![cids[0]]),
        (text("TIMED"), vec![cids[1]]),
        (text("tenant"), vec![]),
        (dead(&Filter::default()), vec![cids[2], cids[1], cids[0]]),
        (dead(&acme), vec![cids[2], cids[0]]),
        (
            Filter {
                states: vec![State::Failed],
                ..dead(&Filter::default())
            },
            vec![cids[1], cids[0]],
        ),
        (
            Filter {
                states: vec![State::Pending { started: true }],
                ..dead(&text("connection"))
            },
            vec![cids[2]],
        ),
        (or_held(&[]), vec![cids[2]]),
        (or_held(&[State::Failed]), vec![cids[2], cids[1], cids[0]]),
        (or_held(&[State::Succeeded]), vec![cids[3], cids[2]]),
    ]
}

pub(super) async fn lists_are_filtered_by_metadata_message_and_dead_letters(store: &dyn Store) {
    let mut cids = Vec::new();
    for (n, tenant) in [(1, "acme"), (2, "other"), (3, "acme"), (4, "acme")] {
        let one = with_request(invocation("a", NOW, dict! { "n": n }), |request| {
            let entries = [("tenant", tenant.to_owned()), ("n", n.to_string())];
            request.metadata = entries.into_iter().collect();
        });
        cids.push(one.request.cid);
        store.accept(one).await.unwrap();
    }
    claimed(store, "a", NOW, 9).await;
    fail(
        store,
        cids[0],
        Error::unavailable("DOWN", "Connection REFUSED"),
    )
    .await;
    fail(store, cids[1], Error::unavailable("DOWN", "timed out")).await;
    hold(
        store,
        cids[2],
        Error::unavailable("DOWN", "connection reset"),
    )
    .await;
    assert!(store.record(succeeded(cids[3])).await.unwrap());
    let cases = cases(&cids);
    for is_indexed in [false, true] {
        if is_indexed {
            index(store).await;
        }
        for (filter, expected) in &cases {
            for max in [1, 2, 9] {
                assert_eq!(&listed(store, filter, max).await, expected, "{filter:?}");
            }
            let counted = summarized(store, filter, &[]).await;
            let counted: u64 = counted.iter().map(|one| one.count.count).sum();
            assert_eq!(counted, expected.len() as u64, "{filter:?}");
        }
    }
}
