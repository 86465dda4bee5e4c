//! Small requests that cause much: what a request can cause is known when it is accepted.

use std::time::Duration;

use cidery::Node;
use cidery::codec::proto::v1;
use cidery::model::batch::Batch;
use cidery::model::call::{Call, Start};

use crate::support::{TestNode, error_of};

fn call_with_callbacks(callbacks: usize) -> Call {
    let mut call = Call::new("cidery.ping", ());
    call.durable().start = Some(Start::After(Duration::from_hours(1)));
    call.durable().callbacks = vec!["cidery.ping".to_owned(); callbacks];
    call
}

/// Ten thousand members with sixteen callbacks each are a request of 200 kB that would cause 170 000 invocations.
#[tokio::test]
async fn a_batch_causes_a_limited_number_of_invocations() {
    let node = TestNode::demo().await;
    let mut batch = Batch::of((0..10_000).map(|_| ("cidery.ping", ()))).unwrap();
    batch.on_each = vec!["cidery.ping".to_owned(); 16];
    let refused = node.client.invoke_batch(batch).await.unwrap_err();
    assert_eq!(refused.reason(), "COST_LIMIT");
    let pending = node.handle.invoker().store().total_pending_count();
    assert_eq!(pending, 0);
}

/// Callbacks count as pending from when they are promised, until the invocation ends.
#[tokio::test]
async fn promised_callbacks_count_as_pending() {
    let node = Node::builder().limits(|limits| limits.node_pending = 20);
    let node = TestNode::start(node).await;
    let first = node
        .client
        .invoke_async(call_with_callbacks(16))
        .await
        .unwrap();
    let client = node.client.clone().max_attempts(1);
    let refused = client
        .invoke_async(call_with_callbacks(4))
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), "PENDING_LIMIT");
    client.invoke_async(call_with_callbacks(2)).await.unwrap();
    let cancel = v1::CancelInvocationsRequest {
        cids: vec![first.cid.to_string()],
        ..v1::CancelInvocationsRequest::default()
    };
    node.stub.clone().cancel_invocations(cancel).await.unwrap();
    client.invoke_async(call_with_callbacks(16)).await.unwrap();
}

/// A reason is for people to read.
#[tokio::test]
async fn a_reason_for_a_cancellation_is_short() {
    let node = TestNode::demo().await;
    let cancel = v1::CancelInvocationsRequest {
        cids: vec![cidery::Cid::new().to_string()],
        reason: "x".repeat(1_025),
        ..v1::CancelInvocationsRequest::default()
    };
    let refused = node
        .stub
        .clone()
        .cancel_invocations(cancel)
        .await
        .unwrap_err();
    let refused = error_of(&refused);
    assert_eq!(refused.field_violations()[0].path, "/reason");
}

/// Names are compared for "did you mean", which takes time with the product of their lengths.
#[tokio::test]
async fn long_names_are_not_compared() {
    let name = "x".repeat(200);
    let node = TestNode::start(Node::builder().service(&name, async || {})).await;
    let unknown = node.client.invoke(Call::new(format!("{name}y"), ())).await;
    let unknown = unknown.unwrap_err();
    assert_eq!(unknown.reason(), "SERVICE_UNKNOWN");
    assert!(!unknown.message().contains("did you mean"), "{unknown}");
}
