//! What waits while a service is paused: retries, expirations, cancellations, outcomes from outside. With the paused
//! time of tokio.

use std::time::Duration;

use cidery::engine::clock::Clock;
use cidery::model::call::Call;
use cidery::model::invocation::State;
use cidery::{Cid, Context, Error, Node, NodeHandle, RetryPolicy};

use super::{name, pause_here, waits};

async fn node() -> NodeHandle {
    let flaky = async |ctx: Context| match ctx.attempt() {
        1 => Err(Error::unavailable("DOWN", "down")),
        attempt => Ok(attempt),
    };
    let later = async |ctx: Context| ctx.later();
    let builder = Node::builder()
        .register(waits())
        .service("flaky", flaky)
        .service("later", later)
        .no_listener();
    builder.clock(Clock::steady()).start().await.unwrap()
}

async fn accept(node: &NodeHandle, service: &'static str, change: impl FnOnce(&mut Call)) -> Cid {
    let mut call = Call::new(service, ());
    change(&mut call);
    node.invoker().invoke_async(call).await.unwrap().cid
}

/// The state of an invocation after so many seconds, how many attempts ended, and whether it is paused.
async fn after(node: &NodeHandle, cid: Cid, seconds: u64) -> (State, u32, bool) {
    let found = node.invoker().find(cid, Duration::from_secs(seconds));
    let found = found.await.unwrap();
    let invocation = found.invocation;
    (invocation.state, invocation.attempts, found.paused)
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_waits_for_its_retry_waits_for_the_resume() {
    let node = node().await;
    let cid = accept(&node, "flaky", |call| {
        call.durable().retry_policy = Some(RetryPolicy {
            initial_interval: Duration::from_secs(60),
            ..RetryPolicy::default()
        });
    })
    .await;
    while after(&node, cid, 0).await.1 == 0 {
        tokio::task::yield_now().await;
    }
    pause_here(&node, "flaky").await;
    let (state, attempts, _) = after(&node, cid, 3_600).await;
    assert_eq!((state, attempts), (State::Pending { started: true }, 1));
    let found = node.invoker().find(cid, Duration::ZERO).await.unwrap();
    assert!(found.due && found.paused);
    node.invoker()
        .resume_service("flaky", String::new())
        .await
        .unwrap();
    assert_eq!(after(&node, cid, 1).await, (State::Succeeded, 2, false));
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn expirations_go_on_counting_and_what_waits_can_be_cancelled() {
    let node = node().await;
    pause_here(&node, "flaky").await;
    let expires = accept(&node, "flaky", |call| {
        call.durable().expiration = Some(Duration::from_secs(2));
    })
    .await;
    let cancelled = accept(&node, "flaky", |_| {}).await;
    assert_eq!(after(&node, expires, 4).await.0, State::Expired);
    node.invoker().cancel(cancelled, None).await.unwrap();
    assert_eq!(after(&node, cancelled, 0).await.0, State::Cancelled);
    assert_eq!(node.invoker().store().pending_count(&name("flaky")), 0);
    node.stop().await;
}

/// What answered "later" runs: its timeout ends the attempt, and the next attempt waits.
#[tokio::test(start_paused = true)]
async fn an_attempt_whose_outcome_is_awaited_goes_on() {
    let node = node().await;
    let cid = accept(&node, "later", |call| {
        call.timeout = Some(Duration::from_secs(60));
        call.durable().retry_policy = Some(RetryPolicy {
            max_attempts: 2,
            ..RetryPolicy::default()
        });
    })
    .await;
    let awaited = || {
        node.invoker()
            .store()
            .awaiting_completion_count(&name("later"))
    };
    while awaited() == 0 {
        tokio::task::yield_now().await;
    }
    pause_here(&node, "later").await;
    let (state, _, paused) = after(&node, cid, 30).await;
    assert_eq!((state, paused), (State::Pending { started: true }, false));
    let (state, attempts, _) = after(&node, cid, 600).await;
    assert_eq!((state, attempts), (State::Pending { started: true }, 1));
    let found = node.invoker().find(cid, Duration::ZERO).await.unwrap();
    assert!(found.paused);
    node.invoker().cancel(cid, None).await.unwrap();
    node.stop().await;
}
