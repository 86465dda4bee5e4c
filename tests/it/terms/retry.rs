//! Retry policies, and invocations that are held as dead letters.

use std::time::Duration;

use cidery::engine::FollowRequest;
use cidery::model::invocation::State;
use cidery::{Node, OnExhausted, RetryPolicy, dict};

use super::{accept, call, ended, over_each_store, start};
use crate::support::Folder;

over_each_store! {
    a_policy_of_the_call_beats_the_services
    a_held_invocation_waits_for_an_operator
    a_held_invocation_ends_at_its_deadline
}

async fn a_policy_of_the_call_beats_the_services(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let mut flaky = call("demo.flaky", dict! { "failures": 10 });
    flaky.durable().retry_policy = Some(RetryPolicy {
        max_attempts: 3,
        initial_interval: Duration::from_millis(1),
        ..RetryPolicy::default()
    });
    flaky.durable().retention = Some(Duration::from_secs(3));
    let found = ended(&node, accept(&node, flaky).await).await.invocation;
    assert_eq!((found.state, found.attempts), (State::Failed, 3));
    let kept = found
        .purge_time
        .unwrap()
        .duration_since(found.end_time.unwrap());
    assert_eq!(kept.as_secs(), 3);
    node.stop().await;
}

async fn a_held_invocation_waits_for_an_operator(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let mut flaky = call("demo.flaky", dict! { "failures": 10 });
    flaky.durable().retry_policy = Some(RetryPolicy::never());
    flaky.durable().on_exhausted = Some(OnExhausted::Hold);
    let cid = accept(&node, flaky).await;
    let mut follower = node
        .invoker()
        .follow(FollowRequest {
            cids: vec![(cid, 0)],
            ..FollowRequest::default()
        })
        .unwrap();
    // Accepted, started, and the result of the only attempt.
    for _ in 0..3 {
        follower.next().await.unwrap().unwrap();
    }
    let found = node
        .invoker()
        .find(cid, Duration::ZERO)
        .await
        .unwrap()
        .invocation;
    assert_eq!(found.state, State::Pending { started: true });
    assert_eq!(
        (found.due, found.attempts),
        (cidery::model::invocation::HELD, 1)
    );
    assert_eq!(found.last_failure.unwrap().reason(), "DEMO_FLAKY");
    node.stop().await;
}

async fn a_held_invocation_ends_at_its_deadline(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let mut flaky = call("demo.flaky", dict! { "failures": 10 });
    flaky.durable().retry_policy = Some(RetryPolicy::never());
    flaky.durable().on_exhausted = Some(OnExhausted::Hold);
    flaky.durable().deadline = Some(node.invoker().now() + Duration::from_secs(2));
    let found = ended(&node, accept(&node, flaky).await).await.invocation;
    assert_eq!((found.state, found.attempts), (State::Failed, 1));
    let error = found.outcome().unwrap().unwrap_err();
    assert_eq!(error.reason(), "DEADLINE_EXCEEDED");
    node.stop().await;
}
