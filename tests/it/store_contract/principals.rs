//! The contract of principals: whose an invocation is, and who asked for it.

use std::sync::Arc;

use cidery::engine::store::{Acceptance, Filter, Record, Store, Stored};
use cidery::model::access::Owners;
use cidery::model::invocation::{Invocation, Request, State};
use cidery::{Cid, Principal, Principals, dict};

use super::with_terms;
use crate::support::stored::{
    NOW, at, claimed, found, group, invocation, owned_by, record, service, started, succeeded,
    unclaimed,
};

/// An invocation that `asked` asked for, and that belongs to `owner` and its group.
fn owned(asked: &str, owner: Option<&str>, group: Option<&str>) -> Invocation {
    let mut invocation = invocation("a", NOW, dict! {});
    let mut request = Request::clone(&invocation.request);
    request.principals = Some(Arc::new(Principals {
        principal: Some(Principal::known(asked)),
        acting_principal: owner.map(Principal::known),
        acting_group: group.map(Principal::known),
    }));
    invocation.request = Arc::new(request);
    invocation
}

fn with_key(invocation: Invocation) -> Invocation {
    with_terms(invocation, |terms| {
        terms.idempotency_key = Some("k".to_owned())
    })
}

pub(super) async fn an_idempotency_key_is_that_of_its_owner(store: &dyn Store) {
    let unowned = with_key(invocation("a", NOW, dict! {}));
    let of_anna = with_key(owned("anna", Some("anna"), None));
    let of_worker = with_key(owned("anna", Some("worker"), None));
    for one in [&unowned, &of_anna, &of_worker] {
        let accepted = store.accept(one.clone()).await.unwrap();
        assert!(matches!(accepted, Acceptance::Stored));
    }
    for (owner, expected) in [
        (None, Some(&unowned)),
        (Some("anna"), Some(&of_anna)),
        (Some("worker"), Some(&of_worker)),
        (Some("berta"), None),
    ] {
        let owner = owner.map(Principal::known);
        let key = store.find_by_idempotency_key(service("a"), "k".to_owned(), owner);
        let expected = expected.map(|one| one.request.cid);
        assert_eq!(key.await.unwrap(), expected);
    }
    let again = store
        .accept(with_key(owned("berta", Some("anna"), None)))
        .await;
    let Acceptance::Known(first) = again.unwrap() else {
        panic!("stored twice");
    };
    assert_eq!(first.cid, of_anna.request.cid);
    assert_eq!(first.principals, of_anna.request.principals);
    let read = found(store, of_worker.request.cid).await;
    assert_eq!(read.request.principals, of_worker.request.principals);
}

pub(super) async fn lists_and_counts_have_the_invocations_of_principals(store: &dyn Store) {
    let anna = owned("anna", Some("anna"), Some("team"));
    let berta = owned("berta", Some("berta"), Some("team"));
    let worker = owned("anna", Some("worker"), None);
    let node = owned("berta", None, None);
    let unowned = invocation("a", NOW, dict! {});
    for one in [&anna, &berta, &worker, &node, &unowned] {
        store.accept(one.clone()).await.unwrap();
    }
    let owners = |principal: &str, group: Option<&str>| Filter {
        owners: Some(Owners {
            principal: Principal::known(principal),
            group: group.map(Principal::known),
        }),
        ..Filter::default()
    };
    let asked = |names: &[&str]| Filter {
        principals: names.iter().map(|name| Principal::known(name)).collect(),
        ..Filter::default()
    };
    let many: Vec<_> = (0..20).map(|n| format!("p{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).chain(["anna"]).collect();
    let cases: [(Filter, &[&Invocation]); 9] = [
        (owners("anna", None), &[&anna]),
        (owners("anna", Some("team")), &[&anna, &berta]),
        (owners("worker", Some("team")), &[&anna, &berta, &worker]),
        (owners("nobody", None), &[]),
        (asked(&["anna"]), &[&anna, &worker]),
        (asked(&["anna", "berta"]), &[&anna, &berta, &worker, &node]),
        (asked(&many), &[&anna, &worker]),
        (
            Filter {
                owners: owners("worker", None).owners,
                ..asked(&["anna"])
            },
            &[&worker],
        ),
        (
            Filter {
                owners: owners("berta", None).owners,
                ..asked(&["anna"])
            },
            &[],
        ),
    ];
    // Those that were accepted last are found without an index, until enough of them have ended.
    for _ in 0..2 {
        for (filter, expected) in &cases {
            assert_found(store, filter, expected).await;
        }
        claimed(store, "a", NOW, 10).await;
        for one in [&anna, &berta, &worker, &node, &unowned] {
            let mut ended = succeeded(one.request.cid);
            ended.purge_time = Some(at(1_000));
            store.record(ended).await.unwrap();
        }
        // The indexes are written now.
        store.purge(NOW, 10).await.unwrap();
    }
}

async fn assert_found(store: &dyn Store, filter: &Filter, expected: &[&Invocation]) {
    let mut listed: Vec<Cid> = Vec::new();
    let mut before = None;
    loop {
        let page = store.list(filter.clone(), before, 1).await.unwrap();
        listed.extend(page.invocations.iter().map(|one| one.request.cid));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let expected: Vec<Cid> = expected.iter().rev().map(|one| one.request.cid).collect();
    assert_eq!(listed, expected, "{filter:?}");
    let counted = store.summarize(filter.clone(), Arc::default(), None).await;
    let counts = counted.unwrap().summaries;
    let count: u64 = counts.iter().map(|one| one.count.count).sum();
    assert_eq!(count, expected.len() as u64, "{filter:?}");
}

pub(super) async fn pending_invocations_are_counted_by_owner(store: &dyn Store) {
    let [anna, worker] = ["anna", "worker"].map(Principal::known);
    let counts = || [&anna, &worker].map(|owner| store.pending_count_of(owner));
    let first = owned("anna", Some("anna"), Some("team"));
    let cid = first.request.cid;
    // Neither that of another one who acts counts, nor that of nobody.
    let others = [
        owned("anna", Some("worker"), None),
        owned("anna", None, None),
        invocation("a", NOW, dict! {}),
    ];
    store.accept(first.clone()).await.unwrap();
    for other in others {
        store.accept(other).await.unwrap();
    }
    assert_eq!(counts(), [1, 1]);
    // What is known is not counted again.
    store.accept(first).await.unwrap();
    assert_eq!(counts(), [1, 1]);
    assert_eq!(claimed(store, "a", NOW, 10).await.len(), 4);
    assert_eq!(counts(), [0, 0]);
    let again = Record {
        owner: Some(anna.clone()),
        followed_by: vec![owned("anna", Some("worker"), None)],
        ..record(cid, State::Pending { started: true }, started())
    };
    assert!(store.record(again).await.unwrap());
    assert_eq!(counts(), [1, 1]);
    let decided = unclaimed(store, succeeded(cid)).await;
    let ended = |attempts| Record {
        owner: Some(anna.clone()),
        expected_attempts: Some(attempts),
        ..decided.clone()
    };
    assert!(!store.record(ended(7)).await.unwrap());
    assert_eq!(counts(), [1, 1]);
    assert!(store.record(ended(1)).await.unwrap());
    assert_eq!(counts(), [0, 1]);
    // A group counts as its members.
    let (group, members) = group(3);
    let group = owned_by(&anna, group);
    let members = members.into_iter().map(|one| owned_by(&anna, one));
    let members: Vec<_> = members.collect();
    store.accept_group(group, members).await.unwrap();
    assert_eq!(counts(), [3, 1]);
}

pub(super) async fn a_tombstone_has_its_owner(store: &dyn Store) {
    let one = owned("anna", Some("worker"), Some("team"));
    store.accept(one.clone()).await.unwrap();
    claimed(store, "a", NOW, 1).await;
    store.record(succeeded(one.request.cid)).await.unwrap();
    store.purge(at(10), 10).await.unwrap();
    let Stored::Removed(tombstone) = store.get(one.request.cid).await.unwrap() else {
        panic!("no tombstone");
    };
    let owner = Principals {
        principal: None,
        ..Principals::clone(one.request.principals.as_ref().unwrap())
    };
    assert_eq!(tombstone.owner.as_deref(), Some(&owner));
}
