//! The contract of claims: what may be recorded of an invocation, and by whom.

use cidery::dict;
use cidery::engine::store::{ClaimLimit, Record, Store};
use cidery::model::invocation::{Invocation, State};

use crate::support::stored::{
    NOW, accepted, claimed, found, invocation, record, service, started, succeeded,
};

/// Also where it comes back: as from a node that was taken for dead.
pub(super) async fn a_record_of_a_claim_is_taken_while_the_claim_lasts(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    claimed(store, "a", NOW, 1).await;
    let pending = || record(cid, State::Pending { started: true }, started());
    let (first, late, last) = (pending(), pending(), succeeded(cid));
    assert!(store.record(first).await.unwrap());
    assert!(!store.record(late).await.unwrap());
    assert!(!store.record(last).await.unwrap());
    let read = found(store, cid).await;
    assert_eq!(
        (read.state, read.events.len()),
        (State::Pending { started: true }, 3)
    );
    assert_eq!(claimed(store, "a", NOW, 1).await, [cid]);
    assert!(store.record(succeeded(cid)).await.unwrap());
}

/// No sequence is given out twice, whoever claims the invocation.
pub(super) async fn a_claim_has_the_generation_of_its_events(store: &dyn Store) {
    let mut last = store.first_generation();
    let mut one = invocation("a", NOW, dict! {});
    one = Invocation::accepted((*one.request).clone(), u64::from(last) << 32 | 1);
    let cid = one.request.cid;
    store.accept(one).await.unwrap();
    for _ in 0..2 {
        let next = found(store, cid).await.generation;
        let limit = ClaimLimit::invocations(1);
        let claim = store.claim(&service("a"), NOW, limit).await.unwrap();
        let generation = claim.invocations[0].generation;
        assert_eq!(generation, next);
        let is_next = if store.is_shared() {
            generation > last
        } else {
            generation == last
        };
        assert!(is_next, "{generation} after {last}");
        last = generation;
        let pending = Record {
            generation,
            expected_attempts: None,
            ..record(cid, State::Pending { started: true }, started())
        };
        assert!(store.record(pending).await.unwrap());
    }
}
