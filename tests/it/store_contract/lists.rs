//! The contract of lists: filters, pages, and the children of an invocation.

use cidery::engine::store::{Child, Filter, Record, Store, Stored};
use cidery::model::invocation::{EventKind, InReplyTo, State};
use cidery::{Cid, dict};

use super::with_request;
use crate::support::stored::{
    NOW, accepted, at, claimed, invocation, record, service, started, succeeded,
};

/// The CIDs that match a filter, read in pages of `max`.
pub(super) async fn listed(store: &dyn Store, filter: &Filter, max: usize) -> Vec<Cid> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = store.list(filter.clone(), before, max).await.unwrap();
        assert!(page.invocations.len() <= max);
        all.extend(page.invocations.iter().map(|found| found.request.cid));
        match page.next {
            Some(next) => before = Some(next),
            None => return all,
        }
    }
}

pub(super) async fn lists_are_filtered_and_paged_newest_first(store: &dyn Store) {
    let mut cids = Vec::new();
    for name in ["a", "b", "a", "a", "b"] {
        cids.push(accepted(store, name, NOW).await);
    }
    claimed(store, "a", NOW, 1).await;
    assert!(store.record(succeeded(cids[0])).await.unwrap());
    let child = with_request(invocation("c", NOW, dict! {}), |request| {
        (request.parent, request.root) = (Some(cids[1]), cids[1]);
    });
    let child_cid = child.request.cid;
    store.accept(child).await.unwrap();
    let listed = async |filter: &Filter, max| listed(store, filter, max).await;
    let all = [child_cid, cids[4], cids[3], cids[2], cids[1], cids[0]];
    let any = Filter::default();
    for max in [1, 4, 6, 100] {
        assert_eq!(listed(&any, max).await, all, "{max}");
    }
    let of_a = Filter {
        services: vec![service("a")],
        ..Filter::default()
    };
    assert_eq!(listed(&of_a, 2).await, [cids[3], cids[2], cids[0]]);
    let ended = Filter {
        states: vec![State::Succeeded],
        ended_after: Some(NOW),
        ended_before: Some(at(1)),
        ..Filter::default()
    };
    assert_eq!(listed(&ended, 2).await, [cids[0]]);
    let children = Filter {
        parent: Some(cids[1]),
        ..Filter::default()
    };
    assert_eq!(listed(&children, 2).await, [child_cid]);
    let tree = Filter {
        root: Some(cids[1]),
        ..Filter::default()
    };
    assert_eq!(listed(&tree, 2).await, [child_cid]);
    let later = Filter {
        accepted_after: Some(at(1)),
        ..Filter::default()
    };
    assert_eq!(listed(&later, 2).await, []);
}

/// A running invocation is stored as pending: the engine, which knows what runs, lists it by its CID.
pub(super) async fn lists_contain_invocations_by_state_or_by_cid(store: &dyn Store) {
    let mut cids = Vec::new();
    for name in ["a", "b", "a", "a", "b", "c"] {
        cids.push(accepted(store, name, NOW).await);
    }
    claimed(store, "a", NOW, 1).await;
    assert!(store.record(succeeded(cids[0])).await.unwrap());
    let listed = async |filter: &Filter| listed(store, filter, 1).await;
    let running = Filter {
        states: vec![State::Succeeded],
        cids: vec![cids[3], cids[4]],
        services: vec![service("a")],
        ..Filter::default()
    };
    assert_eq!(listed(&running).await, [cids[3], cids[0]]);
    let these = Filter {
        cids: vec![cids[1], Cid::new()],
        ..Filter::default()
    };
    assert_eq!(listed(&these).await, [cids[1]]);
    let several = Filter {
        services: vec![service("c"), service("b")],
        ..Filter::default()
    };
    assert_eq!(listed(&several).await, [cids[5], cids[4], cids[1]]);
    for states in [[State::Failed, State::Expired], [State::ACCEPTED; 2]] {
        let pending = states.contains(&State::ACCEPTED);
        let filter = Filter {
            states: states.to_vec(),
            services: vec![service("b")],
            ..Filter::default()
        };
        let expected = if pending {
            vec![cids[4], cids[1]]
        } else {
            vec![]
        };
        assert_eq!(listed(&filter).await, expected);
    }
}

/// The parent of a callback is the invocation whose outcome it gets.
pub(super) async fn children_are_listed_in_the_order_of_acceptance(store: &dyn Store) {
    let parent = accepted(store, "a", NOW).await;
    let mut children = Vec::new();
    // Due in another order than accepted, and with other invocations in between.
    for (due, is_callback) in [(3, false), (1, true), (2, false), (0, true)] {
        let child = with_request(invocation("b", at(due), dict! {}), |request| {
            (request.parent, request.root) = (Some(parent), parent);
            request.terms.in_reply_to = is_callback.then(|| InReplyTo {
                cid: parent,
                service: service("a"),
                attempt: 1,
            });
        });
        let cid = child.request.cid;
        children.push(Child { cid, is_callback });
        store.accept(child).await.unwrap();
        accepted(store, "b", NOW).await;
    }
    for max in [0, 1, 3, 4, 100] {
        let listed = store.children(parent, max).await.unwrap();
        assert_eq!(listed, children[..max.min(4)], "{max}");
    }
    assert_eq!(store.children(children[0].cid, 9).await.unwrap(), []);
    assert_eq!(store.children(Cid::new(), 9).await.unwrap(), []);
    // Whatever their state, until they are removed.
    claimed(store, "b", at(3), 100).await;
    assert!(store.record(succeeded(children[0].cid)).await.unwrap());
    assert_eq!(store.children(parent, 9).await.unwrap(), children);
    assert!(store.remove(children[0].cid).await.unwrap());
    assert_eq!(store.children(parent, 9).await.unwrap(), children[1..]);
}

pub(super) async fn failures_are_listed_by_reason(store: &dyn Store) {
    let failed = EventKind::Failed(cidery::Error::internal("BROKEN", "broken"));
    let mut cids = Vec::new();
    for _ in 0..3 {
        cids.push(accepted(store, "a", NOW).await);
    }
    let ended = record(cids[0], State::Failed, failed);
    assert!(store.record(ended).await.unwrap());
    let backoff = Record {
        last_failure: Some(cidery::Error::unavailable("DOWN", "down")),
        deferred: true,
        ..record(cids[1], State::Pending { started: true }, started())
    };
    assert!(store.record(backoff).await.unwrap());
    let listed = async |reasons: &[&str]| {
        let filter = Filter {
            failure_reasons: reasons.iter().map(ToString::to_string).collect(),
            ..Filter::default()
        };
        let page = store.list(filter, None, 9).await.unwrap();
        let cids = page.invocations.iter().map(|found| found.request.cid);
        cids.collect::<Vec<_>>()
    };
    assert_eq!(listed(&["BROKEN"]).await, [cids[0]]);
    assert_eq!(listed(&["DOWN", "BROKEN"]).await, [cids[1], cids[0]]);
    assert_eq!(listed(&["OTHER"]).await, []);
    let deferred = async |cid| match store.get(cid).await.unwrap() {
        Stored::Found(found) => found.deferred,
        other => panic!("not found: {other:?}"),
    };
    assert!(!deferred(cids[0]).await && deferred(cids[1]).await);
}
