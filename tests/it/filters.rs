//! Limits of the filters of stored invocations.

use cidery::codec::proto::v1;
use cidery::engine::store::{Filter, Store as _};
use cidery::model::call::Call;
use cidery::model::invocation::Invocation;
use cidery::remote::client::Selector;
use cidery::store::SqliteStore;
use cidery::{Kind, Node, dict};

use crate::support::{Folder, PATIENCE, TestNode, error_of, paths, stored};

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

/// Clients that drop unknown names send a misspelled filter as an empty one.
#[tokio::test]
async fn an_empty_filter_changes_nothing_unless_all_is_set() {
    let node = TestNode::demo().await;
    let call = Call::new("customer.get", dict! { "cust_id": 1 });
    let accepted = node.client.invoke_async(call).await;
    let cid = accepted.unwrap().cid;
    node.client.invocation(cid, PATIENCE).await.unwrap();
    let empty = Some(v1::InvocationFilter::default());
    let cids = vec![cid.to_string()];
    let one = Some(filter(1));
    for (filter, cids, all, path, code) in [
        (empty.clone(), vec![], false, "/filter", "MISSING"),
        (one, vec![], true, "/all", "CONFLICT"),
        (None, cids.clone(), true, "/all", "CONFLICT"),
        (empty.clone(), cids, true, "/filter", "CONFLICT"),
        (None, vec![], false, "/cids", "MISSING"),
    ] {
        let mut stub = node.stub.clone();
        let cancel = v1::CancelInvocationsRequest {
            cids: cids.clone(),
            filter: filter.clone(),
            all,
            ..Default::default()
        };
        let retry = v1::RetryInvocationsRequest {
            cids: cids.clone(),
            filter: filter.clone(),
            all,
            ..Default::default()
        };
        let purge = v1::PurgeInvocationsRequest {
            cids,
            filter,
            all,
            ..Default::default()
        };
        for refused in [
            stub.cancel_invocations(cancel).await.unwrap_err(),
            stub.retry_invocations(retry).await.unwrap_err(),
            stub.purge_invocations(purge).await.unwrap_err(),
        ] {
            let error = error_of(&refused);
            let violation = &error.field_violations()[0];
            assert_eq!(
                (error.reason(), violation.path.as_str(), &*violation.code),
                ("REQUEST_INVALID", path, code)
            );
        }
    }
    let purge = |filter, dry_run| v1::PurgeInvocationsRequest {
        filter,
        dry_run,
        all: true,
        ..Default::default()
    };
    let mut stub = node.stub.clone();
    for request in [purge(empty, true), purge(None, true), purge(None, false)] {
        let purged = stub.purge_invocations(request).await.unwrap().into_inner();
        assert_eq!(purged.changes.len(), 1);
        assert_eq!(purged.changes[0].failure, None);
    }
    assert!(node.client.invocation(cid, PATIENCE).await.is_err());
    assert!(
        node.client
            .cancel(Selector::All, false)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn unspecified_and_unknown_values_of_a_filter_are_refused() {
    let node = TestNode::demo().await;
    let invalid = v1::InvocationFilter {
        states: vec![0, v1::State::Failed.into(), 99],
        pending_reasons: vec![v1::PendingReason::Held.into(), 0],
        ..Default::default()
    };
    let refused = node.client.invocations(invalid, 1).await.unwrap_err();
    let expected = [
        "/filter/pending_reasons/1",
        "/filter/states/0",
        "/filter/states/2",
    ];
    assert_eq!(paths(&refused), expected);
    let mut codes = refused.field_violations().iter().map(|it| &*it.code);
    assert!(codes.all(|code| code == "UNKNOWN_VALUE"));
}

/// The metadata is in the records, which are read for all invocations: one page reads so many of them.
#[tokio::test]
async fn a_page_reads_a_limited_number_of_records() {
    const MEMBERS: u32 = 20_500;
    let folder = Folder::new("filters");
    let store = SqliteStore::open(folder.path()).unwrap();
    let (group, members) = stored::group(MEMBERS);
    let oldest = members[0].request.cid;
    let with_metadata = |one: Invocation| match one.request.cid == oldest {
        true => stored::with_request(one, |request| {
            request.metadata = [("tenant", "acme")].into_iter().collect();
        }),
        false => one,
    };
    let members = members.into_iter().map(with_metadata).collect();
    store.accept_group(group, members).await.unwrap();
    let filter = Filter {
        metadata: [("tenant", "acme")].into_iter().collect(),
        ..Filter::default()
    };
    let first = store.list(filter.clone(), None, 10).await.unwrap();
    assert!(first.invocations.is_empty() && first.next.is_some());
    let second = store.list(filter.clone(), first.next, 10).await.unwrap();
    assert_eq!(second.invocations[0].request.cid, oldest);
    assert_eq!(second.next, None);
    // A client sees no difference.
    let node = TestNode::start(Node::builder().demo().store(store)).await;
    let filter = v1::InvocationFilter {
        metadata: [("tenant".to_owned(), "acme".to_owned())].into(),
        ..v1::InvocationFilter::default()
    };
    let found = node.client.invocations(filter.clone(), 10).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(node.client.summarize(filter).await.unwrap().total, 1);
    let all = node.client.summarize(v1::InvocationFilter::default()).await;
    assert_eq!(all.unwrap().total, u64::from(MEMBERS) + 1);
}
