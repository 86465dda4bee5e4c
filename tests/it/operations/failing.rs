//! Operations over a store that refuses records: they say so, and can be cancelled.

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::operation_action::Action;
use cidery::{Error, Node};

use super::{cancel, counts, due_later, held, id, of, release, request, started, when};
use crate::support::TestNode;
use crate::support::gated::{GatedStore, Gates};

async fn start() -> (TestNode, Gates) {
    let (store, gates) = GatedStore::new();
    let node = TestNode::start(Node::builder().demo().store(store)).await;
    (node, gates)
}

/// Runs an operation over a store that fails, cancels it, and runs it again over one that does not.
async fn waits_and_is_cancelled(node: &TestNode, gates: &Gates, action: Action, service: &str) {
    let (client, pending) = (&node.client, of(service, &[v1::State::Pending]));
    gates.fail_records(Some(Error::unavailable("STORE_FAILED", "the disk is gone")));
    let operation = started(client, request(action.clone(), pending.clone())).await;
    let waits = when(client, &operation, |now| now.failure.is_some()).await;
    assert_eq!(waits.state(), v1::OperationState::Running);
    assert_eq!(waits.failure.unwrap().reason, "STORE_FAILED");
    let cancelled = client.cancel_operation(id(&operation)).await.unwrap();
    assert_eq!(cancelled.state(), v1::OperationState::Cancelled);
    assert_eq!(cancelled.changed, 0);
    gates.fail_records(None);
    assert_eq!(counts(client, request(action, pending)).await, [2, 2, 2]);
}

#[tokio::test]
async fn a_cancellation_that_fails_is_seen_and_can_be_given_up() {
    let (node, gates) = start().await;
    due_later(&node.client, 2).await;
    waits_and_is_cancelled(&node, &gates, cancel(""), "cidery.echo").await;
    node.handle.stop().await;
}

#[tokio::test]
async fn a_release_that_fails_is_seen_and_can_be_given_up() {
    let (node, gates) = start().await;
    held(&node.client, 2).await;
    waits_and_is_cancelled(&node, &gates, release(), "demo.fail").await;
    node.handle.stop().await;
}

/// Whoever waits for a change is told why it failed.
#[tokio::test]
async fn a_synchronous_cancellation_answers_with_the_failure_of_the_store() {
    let (node, gates) = start().await;
    let cids = due_later(&node.client, 1).await;
    gates.fail_records(Some(Error::unavailable("STORE_FAILED", "the disk is gone")));
    let changes = node.client.cancel(&cids[..], false).await.unwrap();
    assert_eq!(changes[0].failure.as_ref().unwrap().reason, "STORE_FAILED");
    gates.fail_records(None);
    let changes = node.client.cancel(&cids[..], false).await.unwrap();
    assert_eq!(changes[0].failure, None);
    node.handle.stop().await;
}
