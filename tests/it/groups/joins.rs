//! Handlers that join their groups: permits, cancellation, and repeated attempts.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::model::call::Call;
use cidery::{
    Context, Definition, Error, Input, Node, Payload, RetryPolicy, ServiceOptions, Value, dict,
};

use super::blocked_service;
use crate::support::{TestNode, ended, until};

/// Fans out to itself recursively and sums up: its permit must be released while it waits.
async fn add_up(ctx: Context, Input(depth): Input<i64>) -> cidery::Result<i64> {
    if depth == 0 {
        return Ok(1);
    }
    let half = || ("test.add_up", Value::from(depth - 1));
    let calls = [half(), half()];
    let mut sum = 0;
    for outcome in ctx.fan_out(calls).once("halves").join().await? {
        sum += outcome?.parse::<i64>()?;
    }
    Ok(sum)
}

#[tokio::test]
async fn a_join_releases_the_permit_of_the_handler() {
    let definition = Definition::new("test.add_up", add_up).unwrap();
    let definition = definition.options(ServiceOptions {
        concurrency: Some(1),
        ..ServiceOptions::default()
    });
    let node = TestNode::start(Node::builder().register(definition)).await;
    let call = Call::new("test.add_up", Payload::Value(4.into()));
    let (_, reply) = node.client.invoke(call).await.unwrap();
    let sum = cidery::codec::payload::decode(reply.payload).unwrap();
    assert_eq!(sum, Value::from(16));
}

#[tokio::test]
async fn a_join_in_a_worker_releases_the_permit_of_the_worker() {
    let node = TestNode::start(Node::builder()).await;
    let worker = cidery::Worker::builder()
        .name("adds")
        .max_in_flight(1)
        .service("test.add_up", add_up)
        .connect(&node.address().to_string())
        .await
        .unwrap();
    let call = Call::new("test.add_up", Payload::Value(3.into()));
    let accepted = node.client.invoke_async(call).await.unwrap();
    let found = ended(&node.client, accepted.cid).await;
    assert_eq!(found.state(), v1::State::Succeeded, "{found:?}");
    // Both of its groups have it as their parent, and are listed.
    let children = node.client.invocations(
        v1::InvocationFilter {
            parent_cid: accepted.cid.to_string(),
            ..v1::InvocationFilter::default()
        },
        100,
    );
    let children = children.await.unwrap();
    let groups = children.iter().filter(|child| child.group.is_some());
    assert_eq!((children.len(), groups.count()), (3, 1));
    worker.stop().await;
}

/// A handler that waits for a group is cancelled with its own call.
#[tokio::test]
async fn a_join_is_cancelled_with_its_caller() {
    let (definition, gate, running) = blocked_service("test.held");
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let joins = move |ctx: Context| {
        let sender = sender.clone();
        async move {
            let calls = [("test.held", dict! { "n": 1 })];
            let joined = ctx.fan_out(calls).join().await;
            sender.send(joined.map(|outcomes| outcomes.len())).unwrap();
        }
    };
    let builder = Node::builder().register(definition);
    let node = TestNode::start(builder.service("test.joins", joins)).await;
    let mut call = Call::new("test.joins", ());
    call.timeout = Some(Duration::from_millis(200));
    let error = node.client.invoke(call).await.unwrap_err();
    assert_eq!(error.reason(), "DEADLINE_EXCEEDED");
    let joined = receiver.recv().await.unwrap();
    assert_eq!(joined.unwrap_err().reason(), "DEADLINE_EXCEEDED");
    // The members continue.
    until("the member runs", || running.load(Ordering::SeqCst) == 1).await;
    gate.add_permits(1);
}

#[tokio::test]
async fn once_accepts_a_group_once_for_all_attempts() {
    async fn twice(ctx: Context) -> cidery::Result<String> {
        let calls = [("cidery.echo", dict! { "n": 1 })];
        let group = ctx.fan_out(calls).once("calls").await?;
        assert_eq!(group.already_accepted(), ctx.attempt() > 1);
        if ctx.attempt() == 1 {
            return Err(Error::unavailable("TRY_AGAIN", "not yet"));
        }
        Ok(group.cid().to_string())
    }
    let node = TestNode::start(Node::builder().demo().service("test.twice", twice)).await;
    let mut call = Call::new("test.twice", ());
    call.durable().retry_policy = Some(RetryPolicy {
        initial_interval: Duration::from_millis(1),
        ..RetryPolicy::default()
    });
    let accepted = node.client.invoke_async(call).await.unwrap();
    let found = ended(&node.client, accepted.cid).await;
    assert_eq!(
        (found.state(), found.attempt),
        (v1::State::Succeeded, 2),
        "{found:?}"
    );
}
