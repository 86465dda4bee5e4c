//! What the lists of the console ask for.

use std::sync::Arc;

use cidery::codec::proto::v1;
use cidery::codec::struct_pb;
use cidery::model::batch::Batch;
use cidery::model::call::Call;
use cidery::store::SqliteStore;
use cidery::{Error, Metadata, Node, NodeBuilder, Value, Violation, dict};

use crate::plain_http::client::call;
use crate::support::{Folder, TestNode, ended, paths};

/// The groups alone, over each store.
async fn groups_are_listed_alone(builder: NodeBuilder) {
    let node = TestNode::start(builder.demo()).await;
    let batch = || Batch::of([("cidery.ping", dict! {}), ("cidery.ping", dict! {})]).unwrap();
    node.client
        .invoke_async(Call::new("cidery.ping", ()))
        .await
        .unwrap();
    let mut groups = Vec::new();
    for _ in 0..3 {
        let group = node.client.invoke_batch(batch()).await.unwrap();
        ended(&node.client, group.cid).await;
        groups.insert(0, group.cid.to_string());
    }
    let listed = async |filter| {
        let found = node.client.invocations(filter, 10).await;
        found.map(|found| found.into_iter().map(|one| one.cid).collect::<Vec<_>>())
    };
    let alone = v1::InvocationFilter {
        groups_only: true,
        ..v1::InvocationFilter::default()
    };
    assert_eq!(listed(alone.clone()).await.unwrap(), groups);
    let failed = v1::InvocationFilter {
        states: vec![v1::State::Failed.into()],
        ..alone.clone()
    };
    assert_eq!(listed(failed).await.unwrap(), Vec::<String>::new());
    let of_service = v1::InvocationFilter {
        services: vec!["cidery.ping".to_owned()],
        ..alone
    };
    let refused = listed(of_service).await.unwrap_err();
    assert_eq!(paths(&refused), ["/filter/services"]);
    let text = call(
        node.address(),
        "GET /invocations?filter=kind%20%3D%20GROUP",
        &[],
        "",
    );
    let Value::List(found) = text.await.json()["invocations"].clone() else {
        panic!("a list");
    };
    assert_eq!(found.len(), 3);
}

#[tokio::test]
async fn groups_are_listed_alone_in_memory() {
    groups_are_listed_alone(Node::builder()).await;
}

#[tokio::test]
async fn groups_are_listed_alone_on_disk() {
    let folder = Folder::new("groups-alone");
    let store = SqliteStore::open(folder.path()).unwrap();
    groups_are_listed_alone(Node::builder().store(store)).await;
}

/// The summary has what a row shows, and nothing that may be large.
#[tokio::test]
async fn the_summary_of_an_invocation_leaves_out_what_may_be_large() {
    let answers = async || dict! { "text": "x".repeat(10_000) };
    let fails = async || {
        let violation = Violation::new("/a", "WRONG", "is wrong");
        Err::<(), _>(Error::failed_precondition("BROKEN", "broken").with_violation(violation))
    };
    let builder = Node::builder()
        .service("answers", answers)
        .service("fails", fails);
    let node = TestNode::start(builder).await;
    for service in ["answers", "fails"] {
        let mut request = Call::new(service, ());
        let mut metadata = Metadata::default();
        metadata.insert("tenant", "a");
        request.metadata = Some(Arc::new(metadata));
        let accepted = node.client.invoke_async(request).await.unwrap();
        ended(&node.client, accepted.cid).await;
    }
    let list = async |view| list(&node, view, "").await;
    let listed = list(v1::InvocationView::Summary).await;
    let [failed, answered] = listed.as_slice() else {
        panic!("two invocations");
    };
    assert_eq!(answered.service, "answers");
    assert_eq!(answered.state(), v1::State::Succeeded);
    assert!(answered.end_time.is_some() && answered.metadata.is_empty());
    assert_eq!(answered.outcome.as_ref().unwrap().outcome, None);
    let Some(v1::outcome::Outcome::Failure(failure)) =
        failed.outcome.as_ref().and_then(|it| it.outcome.clone())
    else {
        panic!("{failed:?}");
    };
    assert_eq!(
        (failure.reason.as_str(), failure.details.len()),
        ("BROKEN", 0)
    );
    assert!(prost::Message::encoded_len(answered) < 500);
    let listed = list(v1::InvocationView::Basic).await;
    let [failed, answered] = listed.as_slice() else {
        panic!("two invocations");
    };
    assert_eq!(answered.metadata.len(), 1);
    assert!(prost::Message::encoded_len(answered) > 10_000);
    let Some(v1::outcome::Outcome::Failure(failure)) =
        failed.outcome.as_ref().and_then(|it| it.outcome.clone())
    else {
        panic!("{failed:?}");
    };
    assert!(!failure.details.is_empty());
}

/// A group succeeds when its last member has ended, whatever that ended as.
#[tokio::test]
async fn the_summary_of_a_group_has_the_counts_of_its_members() {
    let builder = Node::builder()
        .service("answers", async || {})
        .service("fails", async || {
            Err::<(), _>(Error::failed_precondition("BROKEN", "broken"))
        });
    let node = TestNode::start(builder).await;
    let batch = Batch {
        calls: ["answers", "fails", "fails"]
            .map(|name| Call::new(name, ()))
            .into(),
        ..Batch::default()
    };
    let group = node.client.invoke_batch(batch).await.unwrap();
    ended(&node.client, group.cid).await;
    let listed = list(&node, v1::InvocationView::Summary, "kind = GROUP").await;
    let outcome = listed[0].outcome.as_ref().unwrap();
    let Some(v1::outcome::Outcome::Payload(counts)) = &outcome.outcome else {
        panic!("{outcome:?}");
    };
    let counts = struct_pb::decode_dict(counts).unwrap();
    assert_eq!(
        counts,
        dict! { "members": 3, "succeeded": 1, "failed": 2, "cancelled": 0, "expired": 0 }
    );
}

async fn list(
    node: &TestNode,
    view: v1::InvocationView,
    filter_expression: &str,
) -> Vec<v1::Invocation> {
    let request = v1::ListInvocationsRequest {
        view: view.into(),
        filter_expression: filter_expression.to_owned(),
        ..v1::ListInvocationsRequest::default()
    };
    let mut stub = node.stub.clone();
    let listed = stub.list_invocations(request).await.unwrap();
    listed.into_inner().invocations
}
