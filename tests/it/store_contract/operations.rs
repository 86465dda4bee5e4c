//! Operations, and the position before which a list has all that was accepted so far.

use cidery::engine::store::{Filter, Store, StoredOperation};
use cidery::model::operation::{OperationId, OperationProgress, OperationState, Refusals};
use cidery::{Cid, Error};

use crate::support::stored::{NOW, accepted, at};

pub(crate) fn operation(position: u64) -> StoredOperation {
    StoredOperation {
        id: OperationId::new(),
        create_time: NOW,
        request: b"asked".to_vec(),
        position,
        progress: OperationProgress::default(),
    }
}

pub(super) async fn operations_are_saved_replaced_and_removed(store: &dyn Store) {
    let (first, second) = (operation(7), operation(8));
    store.save_operation(first.clone()).await.unwrap();
    store.save_operation(second.clone()).await.unwrap();
    let mut refusals = Refusals::default();
    let (error, cid) = (Error::internal("WHY", "for this"), Cid::new());
    refusals.add(cid, &error);
    let progress = OperationProgress {
        state: OperationState::Failed,
        end_time: Some(at(3)),
        matched: 9,
        processed: 5,
        changed: 4,
        refusals: refusals.clone(),
        failure: Some(error),
    };
    let ended = StoredOperation {
        position: 3,
        progress,
        ..first.clone()
    };
    store.save_operation(ended).await.unwrap();
    let mut found = store.operations().await.unwrap();
    found.sort_by_key(|one| one.position);
    let [ended, running] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((ended.id, running.id), (first.id, second.id));
    assert_eq!((ended.position, &ended.request), (3, &first.request));
    assert_eq!(ended.create_time, NOW);
    let progress = &ended.progress;
    assert_eq!(progress.state, OperationState::Failed);
    assert_eq!(progress.end_time, Some(at(3)));
    let counts = (progress.matched, progress.processed, progress.changed);
    assert_eq!(counts, (9, 5, 4));
    assert_eq!(progress.refusals, refusals);
    assert_eq!(progress.failure.as_ref().unwrap().reason(), "WHY");
    assert_eq!(running.progress.state, OperationState::Running);
    let unknown = OperationId::new();
    store
        .remove_operations(vec![first.id, unknown])
        .await
        .unwrap();
    let left = store.operations().await.unwrap();
    assert_eq!(
        left.iter().map(|one| one.id).collect::<Vec<_>>(),
        [second.id]
    );
}

pub(super) async fn a_list_before_the_next_position_has_what_was_accepted_so_far(
    store: &dyn Store,
) {
    let list = async |before| {
        let page = store.list(Filter::default(), Some(before), 10).await;
        let found = page.unwrap().invocations;
        found.iter().map(|one| one.request.cid).collect::<Vec<_>>()
    };
    assert_eq!(list(store.next_position()).await, []);
    let first = accepted(store, "a", NOW).await;
    let second = accepted(store, "b", NOW).await;
    let position = store.next_position();
    accepted(store, "a", NOW).await;
    assert_eq!(list(position).await, [second, first]);
}
