//! Groups are cancelled with their members, also across a restart.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::model::batch::Batch;
use cidery::model::call::{Call, Start};
use cidery::store::SqliteStore;
use cidery::{Node, Payload, ServiceOptions, dict};

use super::blocked_service;
use crate::support::{Folder, TestNode, ended, until};

#[tokio::test]
async fn a_group_is_cancelled_with_its_members() {
    let (definition, gate, running) = blocked_service("test.held");
    let definition = definition.options(ServiceOptions {
        concurrency: Some(2),
        ..ServiceOptions::default()
    });
    let node = TestNode::start(Node::builder().register(definition)).await;
    let calls = (0..10).map(|n| ("test.held", dict! { "n": n }));
    let batch = Batch::of(calls).unwrap();
    let group = node.client.invoke_batch(batch).await.unwrap();
    gate.add_permits(1);
    until("three have run or run", || {
        running.load(Ordering::SeqCst) == 3
    })
    .await;
    let changes = node.client.cancel(group.cid, false).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert!(changes[0].failure.is_none(), "{changes:?}");
    let found = ended(&node.client, group.cid).await;
    let Some(v1::outcome::Outcome::Payload(summary)) = found.outcome.unwrap().outcome else {
        panic!("no summary");
    };
    let summary = cidery::codec::payload::decode(Payload::Struct(summary)).unwrap();
    assert_eq!(
        (&summary["succeeded"], &summary["cancelled"]),
        (&1.into(), &9.into())
    );
    let again = node.client.cancel(group.cid, false).await.unwrap();
    assert_eq!(again[0].failure.as_ref().unwrap().reason, "ENDED");
    let outcomes = node.client.join(&group).await.unwrap();
    let cancelled = outcomes.iter().filter(|(_, outcome)| outcome.is_err());
    assert_eq!(cancelled.count(), 9);
}

/// If a node stops while it cancels a group, the next node continues.
#[tokio::test]
async fn the_next_node_continues_the_cancellation_of_a_group() {
    let folder = Folder::new("cancelling");
    let start = async || {
        let store = SqliteStore::open(folder.path()).unwrap();
        TestNode::start(Node::builder().demo().store(store)).await
    };
    let node = start().await;
    let calls = (0..3).map(|n| {
        let mut call = Call::new("customer.get", dict! { "cust_id": n });
        call.durable().start = Some(Start::After(Duration::from_secs(3_600)));
        call
    });
    let batch = Batch::of(calls).unwrap();
    let group = node.client.invoke_batch(batch).await.unwrap();
    // The state after a crash right after that.
    let store = node.handle.invoker().store();
    assert!(store.request_cancel(group.cid, None).await.unwrap());
    let found = node.client.invocation(group.cid, Duration::ZERO).await;
    let found = found.unwrap();
    assert!(found.state() == v1::State::Running && found.cancel_requested);
    node.handle.stop().await;
    drop((node.client, node.stub));
    let node = start().await;
    ended(&node.client, group.cid).await;
    for cid in group.members {
        let member = ended(&node.client, cid).await;
        assert_eq!(member.state(), v1::State::Cancelled);
    }
}

/// A cancellation that was pending at a crash is completed even where no worker serves the service.
#[tokio::test]
async fn a_pending_cancellation_needs_no_worker() {
    let folder = Folder::new("cancelling");
    let start = async || {
        let store = SqliteStore::open(folder.path()).unwrap();
        TestNode::start(Node::builder().store(store)).await
    };
    let node = start().await;
    let builder = cidery::Worker::builder().service("a.gone", async || {});
    let worker = builder.connect(&node.address().to_string()).await.unwrap();
    worker.stop().await;
    let call = Call::new("a.gone", dict! {});
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    // The state after a crash while the handler ran.
    let store = node.handle.invoker().store();
    assert!(store.request_cancel(cid, None).await.unwrap());
    node.handle.stop().await;
    drop((node.client, node.stub));
    let node = start().await;
    assert_eq!(ended(&node.client, cid).await.state(), v1::State::Cancelled);
}
