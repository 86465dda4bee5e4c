//! Limits of the filters of stored invocations.

use cidery::codec::proto::v1;
use cidery::store::SqliteStore;
use cidery::{Kind, Node};

use crate::support::{Folder, TestNode, paths};

fn filter(values: usize) -> v1::InvocationFilter {
    v1::InvocationFilter {
        services: (0..values).map(|n| format!("a.service{n}")).collect(),
        states: vec![v1::State::Failed.into(); values],
        pending_reasons: vec![v1::PendingReason::NoWorker.into(); values],
        failure_reasons: (0..values).map(|n| format!("REASON_{n}")).collect(),
        ..v1::InvocationFilter::default()
    }
}

#[tokio::test]
async fn each_list_of_a_filter_has_a_limit() {
    let folder = Folder::new("filters");
    let store = SqliteStore::open(folder.path()).unwrap();
    let node = TestNode::start(Node::builder().demo().store(store)).await;
    assert!(node.client.invocations(filter(1_000), 1).await.is_ok());
    for values in [1_001, 40_000] {
        let refused = node.client.invocations(filter(values), 1).await;
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.reason()),
            (Kind::InvalidArgument, "REQUEST_INVALID")
        );
        let expected = [
            "/filter/services",
            "/filter/states",
            "/filter/pending_reasons",
            "/filter/failure_reasons",
        ];
        assert_eq!(paths(&refused), expected);
        for violation in refused.field_violations() {
            assert_eq!(violation.code, "TOO_MANY");
            assert!(violation.message.contains("1000"), "{violation:?}");
        }
    }
    let cancelled = node.client.cancel(filter(1_001), false).await;
    assert_eq!(cancelled.unwrap_err().kind(), Kind::InvalidArgument);
}
