//! A store that is full.

use cidery::dict;
use cidery::engine::store::{Acceptance, Store};

use crate::support::stored::{NOW, accepted, at, claimed, invocation, succeeded};

/// Fills `store`, which has a small limit.
pub(super) async fn room_is_reserved_for_outcomes(store: &dyn Store) {
    let text = "x".repeat(1_000);
    let (mut all, mut first) = (Vec::new(), None);
    let error = loop {
        let next = invocation("a", NOW, dict! { "text": text.as_str() });
        first.get_or_insert_with(|| next.clone());
        let cid = next.request.cid;
        match store.accept(next).await {
            Ok(_) => all.push(cid),
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), "STORE_FULL");
    // A known CID is answered even if the store is full.
    let again = store.accept(first.unwrap()).await.unwrap();
    assert!(matches!(again, Acceptance::Known(_)), "{again:?}");
    claimed(store, "a", NOW, all.len()).await;
    for cid in &all {
        assert!(store.record(succeeded(*cid)).await.unwrap());
    }
    store.purge(at(10), all.len()).await.unwrap();
    accepted(store, "a", NOW).await;
}
