//! Delays, expirations and deadlines.

use std::sync::Arc;
use std::time::Duration;

use cidery::engine::clock::Clock;
use cidery::model::call::Start;
use cidery::model::invocation::State;
use cidery::{Definition, Node, RetryPolicy, dict};
use tokio::sync::mpsc;

use super::{accept, call, ended, over_each_store, start};
use crate::support::Folder;

over_each_store! {
    a_delayed_invocation_starts_after_its_delay
    an_invocation_that_does_not_start_in_time_expires
    a_deadline_ends_running_and_pending_invocations
}

async fn a_delayed_invocation_starts_after_its_delay(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let mut later = call("demo.flaky", dict! { "failures": 0 });
    later.durable().start = Some(Start::After(Duration::from_millis(300)));
    let cid = accept(&node, later).await;
    let found = node.invoker().find(cid, Duration::ZERO).await.unwrap();
    assert!(!found.due && matches!(found.invocation.state, State::Pending { .. }));
    let found = ended(&node, cid).await.invocation;
    let waited = found
        .first_attempt_time
        .unwrap()
        .duration_since(found.request.accept_time);
    assert!(waited.as_millis() >= 300, "{waited:?}");
    node.stop().await;
}

/// A service that is busy until the test releases it.
fn busy() -> (Definition, mpsc::Sender<()>) {
    let (free, wait) = mpsc::channel::<()>(1);
    let wait = Arc::new(tokio::sync::Mutex::new(wait));
    let handler = move || {
        let wait = Arc::clone(&wait);
        async move {
            wait.lock().await.recv().await;
            dict! {}
        }
    };
    (
        Definition::new("busy", handler).unwrap().concurrency(1),
        free,
    )
}

async fn an_invocation_that_does_not_start_in_time_expires(disk: Option<&Folder>) {
    let (busy, free) = busy();
    let node = start(Node::builder().register(busy), disk).await;
    let first = accept(&node, call("busy", dict! {})).await;
    let mut second = call("busy", dict! {});
    second.durable().expiration = Some(Duration::from_millis(100));
    let second = accept(&node, second).await;
    let expired = ended(&node, second).await.invocation;
    free.send(()).await.unwrap();
    assert_eq!(ended(&node, first).await.invocation.state, State::Succeeded);
    assert_eq!((expired.state, expired.attempts), (State::Expired, 0));
    assert_eq!(expired.outcome().unwrap().unwrap_err().reason(), "EXPIRED");
    node.stop().await;
}

async fn a_deadline_ends_running_and_pending_invocations(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let deadline = || {
        Some(
            Clock::System
                .now()
                .checked_add(jiff::SignedDuration::from_millis(200))
                .unwrap(),
        )
    };
    let mut runs = call("demo.sleep", dict! { "seconds": 3_600 });
    runs.durable().deadline = deadline();
    let runs = accept(&node, runs).await;
    let mut retried = call("demo.flaky", dict! { "failures": 100 });
    retried.durable().deadline = deadline();
    retried.durable().retry_policy = Some(RetryPolicy {
        initial_interval: Duration::from_secs(3_600),
        max_interval: Duration::from_secs(3_600),
        ..RetryPolicy::default()
    });
    let retried = accept(&node, retried).await;
    for cid in [runs, retried] {
        let found = ended(&node, cid).await.invocation;
        assert_eq!((found.state, found.attempts), (State::Failed, 1));
        assert_eq!(
            found.outcome().unwrap().unwrap_err().reason(),
            "DEADLINE_EXCEEDED"
        );
    }
    node.stop().await;
}
