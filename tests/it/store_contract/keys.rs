//! The contract of idempotency keys, concurrency keys and declarations.

use cidery::Principal;
use cidery::dict;
use cidery::engine::store::{Acceptance, Filter, Record, Store, Stored, StoredDeclaration};
use cidery::model::invocation::{AsyncCompletion, State};
use cidery::model::token::Token;

use super::with_terms;
use crate::support::stored::{
    NOW, accepted, at, claimed, found, invocation, record, service, started, succeeded,
};

pub(super) async fn an_idempotency_key_is_accepted_once_until_its_invocation_is_removed(
    store: &dyn Store,
) {
    let keyed = |name: &str| {
        with_terms(invocation(name, NOW, dict! {}), |terms| {
            terms.idempotency_key = Some("k".to_owned());
        })
    };
    let first = keyed("a");
    let cid = first.request.cid;
    store.accept(first).await.unwrap();
    let Acceptance::Known(known) = store.accept(keyed("a")).await.unwrap() else {
        panic!("stored twice");
    };
    assert_eq!(known.cid, cid);
    let Acceptance::Known(elsewhere) = store.accept(keyed("b")).await.unwrap() else {
        panic!("stored for another service");
    };
    assert_eq!(elsewhere.cid, cid);
    let find = async || {
        store
            .find_by_idempotency_key(service("a"), "k".to_owned(), None)
            .await
            .unwrap()
    };
    assert_eq!(find().await, Some(cid));
    let other = store
        .find_by_idempotency_key(service("b"), "k".to_owned(), None)
        .await;
    assert_eq!(other.unwrap(), Some(cid), "whatever its service");
    claimed(store, "a", NOW, 1).await;
    assert!(store.record(succeeded(cid)).await.unwrap());
    assert_eq!(find().await, Some(cid));
    store.purge(at(10), 10).await.unwrap();
    assert_eq!(find().await, None);
    let again = store.accept(keyed("a")).await.unwrap();
    assert!(matches!(again, Acceptance::Stored));
}

pub(super) async fn invocations_with_the_same_concurrency_key_are_claimed_one_at_a_time(
    store: &dyn Store,
) {
    let mut cids = Vec::new();
    for (key, due) in [("x", 1), ("x", 2), ("y", 3), ("x", 4)] {
        let next = with_terms(invocation("a", at(due), dict! {}), |terms| {
            terms.concurrency_key = Some(key.to_owned());
        });
        cids.push(next.request.cid);
        store.accept(next).await.unwrap();
    }
    let free = accepted(store, "a", at(5)).await;
    let first = claimed(store, "a", at(9), 10).await;
    assert_eq!(first, [cids[0], cids[2], free]);
    assert_eq!(claimed(store, "a", at(9), 10).await, []);
    assert!(store.record(succeeded(cids[0])).await.unwrap());
    assert_eq!(claimed(store, "a", at(9), 10).await, [cids[1]]);
    assert!(store.record(succeeded(cids[1])).await.unwrap());
    assert_eq!(claimed(store, "a", at(9), 10).await, [cids[3]]);
}

/// Even if an invocation that is due earlier is accepted meanwhile.
pub(super) async fn a_concurrency_key_is_busy_until_it_is_recorded(store: &dyn Store) {
    let keyed = |due| {
        with_terms(invocation("a", at(due), dict! {}), |terms| {
            terms.concurrency_key = Some("x".to_owned());
        })
    };
    let (later, earlier) = (keyed(5), keyed(3));
    let (running, waiting) = (later.request.cid, earlier.request.cid);
    store.accept(later).await.unwrap();
    assert_eq!(claimed(store, "a", at(9), 10).await, [running]);
    store.accept(earlier).await.unwrap();
    assert_eq!(claimed(store, "a", at(9), 10).await, []);
    assert!(store.record(succeeded(running)).await.unwrap());
    assert_eq!(claimed(store, "a", at(9), 10).await, [waiting]);
}

pub(super) async fn a_pending_invocation_shows_whether_its_concurrency_key_is_busy(
    store: &dyn Store,
) {
    let keyed = |due| {
        with_terms(invocation("a", at(due), dict! {}), |terms| {
            terms.concurrency_key = Some("x".to_owned());
        })
    };
    let (later, first, earliest) = (keyed(5), keyed(3), keyed(1));
    let cids = [&later, &first, &earliest].map(|one| one.request.cid);
    let [later_cid, first_cid, _] = cids;
    let busy = async || {
        let mut busy = Vec::new();
        for cid in cids {
            if let Stored::Found(found) = store.get(cid).await.unwrap() {
                busy.push(found.key_busy);
            }
        }
        busy
    };
    store.accept(later).await.unwrap();
    assert_eq!(busy().await, [false]);
    store.accept(first).await.unwrap();
    assert_eq!(busy().await, [true, false]);
    assert_eq!(claimed(store, "a", at(9), 10).await, [first_cid]);
    assert_eq!(busy().await, [true, false]);
    store.accept(earliest).await.unwrap();
    assert_eq!(busy().await, [true, false, true]);
    assert!(store.record(succeeded(first_cid)).await.unwrap());
    assert_eq!(busy().await, [true, false, false]);
    let listed = store.list(Filter::default(), None, 10).await.unwrap();
    let mut listed = listed.invocations.iter();
    let later = listed.find(|one| one.request.cid == later_cid);
    assert!(later.unwrap().key_busy);
}

pub(super) async fn declarations_are_remembered_until_they_are_forgotten(store: &dyn Store) {
    let announced = |name: &str, hash: &str, time| StoredDeclaration {
        service: service(name),
        hash: hash.to_owned(),
        first_time: at(time),
        last_time: at(time),
        declaration: hash.as_bytes().to_vec(),
        principal: (time != 3).then(|| Principal::known(&format!("worker-{time}"))),
    };
    let first = vec![
        announced("a", "x", 1),
        announced("a", "y", 2),
        announced("b", "x", 3),
    ];
    store.remember_declarations(first).await.unwrap();
    let repeated = vec![announced("a", "x", 4)];
    store.remember_declarations(repeated).await.unwrap();
    store.remember_declarations(Vec::new()).await.unwrap();
    let all = async || {
        let mut all = store.declarations().await.unwrap();
        all.sort_by_key(|announced| announced.last_time);
        all
    };
    let again = StoredDeclaration {
        last_time: at(4),
        ..announced("a", "x", 1)
    };
    let b = announced("b", "x", 3);
    assert_eq!(all().await, [announced("a", "y", 2), b.clone(), again]);
    store.forget_declarations(service("a")).await.unwrap();
    assert_eq!(all().await, [b]);
}

/// Even if an invocation that is due earlier is accepted meanwhile.
pub(super) async fn a_concurrency_key_is_busy_while_an_invocation_awaits_completion(
    store: &dyn Store,
) {
    let keyed = |due| {
        with_terms(invocation("a", at(due), dict! {}), |terms| {
            terms.concurrency_key = Some("x".to_owned());
        })
    };
    let first = keyed(5);
    let cid = first.request.cid;
    store.accept(first).await.unwrap();
    assert_eq!(claimed(store, "a", at(5), 9).await, [cid]);
    let awaits = |later| Record {
        due: at(100),
        next_wakeup: at(100),
        completion: Some(later),
        ..record(cid, State::Pending { started: true }, started())
    };
    let later = AsyncCompletion::awaited(Token::new().hash());
    assert!(store.record(awaits(later)).await.unwrap());
    let counts = || {
        let service = service("a");
        (
            store.pending_count(&service),
            store.awaiting_completion_count(&service),
        )
    };
    assert_eq!(counts(), (1, 1));
    let second = keyed(1);
    let next = second.request.cid;
    store.accept(second).await.unwrap();
    assert!(found(store, next).await.key_busy);
    assert!(!found(store, cid).await.key_busy);
    assert!(found(store, cid).await.waits_for_completion());
    let awaited = Filter {
        include_waiting: true,
        ..Filter::default()
    };
    let listed = store.list(awaited, None, 9).await.unwrap().invocations;
    assert_eq!(
        listed.iter().map(|one| one.request.cid).collect::<Vec<_>>(),
        [cid]
    );
    assert_eq!(claimed(store, "a", at(99), 9).await, []);
    assert_eq!(claimed(store, "a", at(100), 9).await, [cid]);
    let ended = Record {
        completion: Some(later.finished()),
        ..succeeded(cid)
    };
    assert!(store.record(ended).await.unwrap());
    assert_eq!(found(store, cid).await.completion, Some(later.finished()));
    assert_eq!(counts(), (1, 0));
    assert_eq!(claimed(store, "a", at(100), 9).await, [next]);
}

pub(super) async fn keys_are_read_again_while_the_store_is_used(store: &dyn Store) {
    let before = accepted(store, "a", NOW).await;
    store.reload_keys().await.unwrap();
    let after = accepted(store, "a", NOW).await;
    for cid in [before, after] {
        assert_eq!(found(store, cid).await.state, State::ACCEPTED);
    }
}
