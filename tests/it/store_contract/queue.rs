//! The contract of what a pending invocation waits behind.

use cidery::dict;
use cidery::engine::store::{QueuePlace, Record, Store};
use cidery::model::invocation::{AsyncCompletion, State};
use cidery::model::token::Token;
use cidery::{Cid, Error};

use super::with_terms;
use crate::support::stored::{
    NOW, accepted, at, claimed, found, invocation, record, started, succeeded, unclaimed,
};

async fn place(store: &dyn Store, cid: Cid, max: usize) -> (usize, Option<Cid>) {
    let waiting = found(store, cid).await;
    let QueuePlace { ahead, key_holder } = store.queue_place(&waiting, max).await.unwrap();
    (ahead, key_holder)
}

pub(super) async fn a_pending_invocation_knows_how_many_are_claimed_before_it(store: &dyn Store) {
    let mut cids = Vec::new();
    // As they were accepted, and due later.
    for due in [NOW, NOW, NOW, at(1), at(1)] {
        cids.push(accepted(store, "a", due).await);
    }
    accepted(store, "b", NOW).await;
    for (ahead, cid) in cids.iter().enumerate() {
        assert_eq!(place(store, *cid, 9).await, (ahead, None));
    }
    assert_eq!(place(store, cids[4], 2).await, (2, None));
    // Claimed ones are not before it any more, and what becomes due earlier is.
    assert_eq!(claimed(store, "a", NOW, 2).await, cids[..2]);
    assert_eq!(place(store, cids[0], 9).await, (0, None));
    assert_eq!(place(store, cids[4], 9).await, (2, None));
    assert_eq!(place(store, cids[4], 2).await, (2, None));
    let again = Record {
        last_failure: Some(Error::unavailable("DOWN", "down")),
        ..record(cids[0], State::Pending { started: true }, started())
    };
    assert!(store.record(again).await.unwrap());
    assert!(store.record(succeeded(cids[1])).await.unwrap());
    assert_eq!(place(store, cids[4], 9).await, (3, None));
    assert_eq!(place(store, cids[1], 9).await, (0, None));
}

pub(super) async fn a_pending_invocation_knows_which_one_holds_its_concurrency_key(
    store: &dyn Store,
) {
    let keyed = |key: &str, due| {
        with_terms(invocation("a", at(due), dict! {}), |terms| {
            terms.concurrency_key = Some(key.to_owned());
        })
    };
    let all = [keyed("x", 1), keyed("x", 2), keyed("x", 3), keyed("y", 4)];
    let [first, second, third, other] = all.each_ref().map(|one| one.request.cid);
    for one in all {
        store.accept(one).await.unwrap();
    }
    let holder = async |cid| place(store, cid, 9).await.1;
    assert_eq!(holder(first).await, None);
    assert_eq!(holder(second).await, Some(first));
    assert_eq!(holder(third).await, Some(first));
    assert_eq!(holder(other).await, None);
    // Only the first of each key is before others.
    assert_eq!(place(store, other, 9).await.0, 1);
    assert_eq!(claimed(store, "a", at(1), 9).await, [first]);
    assert_eq!(holder(second).await, Some(first));
    assert_eq!(holder(first).await, None);
    // It is held by one that waits for an outcome from outside, too.
    let later = Record {
        due: at(100),
        next_wakeup: at(100),
        completion: Some(AsyncCompletion::awaited(Token::new().hash())),
        ..record(first, State::Pending { started: true }, started())
    };
    assert!(store.record(later).await.unwrap());
    assert_eq!(holder(second).await, Some(first));
    let completed = unclaimed(store, succeeded(first)).await;
    assert!(store.record(completed).await.unwrap());
    assert_eq!(holder(second).await, None);
    assert_eq!(holder(third).await, Some(second));
}
