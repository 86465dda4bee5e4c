//! `ListServiceStats`: what services have done since the node started, and what they do now.

use std::sync::Arc;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::admin_service_client::AdminServiceClient;
use cidery::model::call::{Call, Start};
use cidery::{Context, Error, Node, Result, RetryPolicy, Worker, dict};
use tokio::sync::Semaphore;

use super::{eventually, stats_of};
use crate::support::{TestNode, ended};
use v1::{InvocationKind as Kind, OutcomeKind as Outcome};

/// The counts of a service, by kind and outcome.
fn outcomes(stats: &v1::ServiceStats) -> Vec<(Kind, Outcome, u64)> {
    let counts = stats.outcomes.iter();
    let mut counts: Vec<_> = counts
        .map(|it| (it.kind(), it.outcome(), it.count))
        .collect();
    counts.sort_by_key(|(kind, outcome, _)| (*kind as i32, *outcome as i32));
    counts
}

async fn caller(ctx: Context) -> Result<()> {
    ctx.invoke("echo", dict! {}).await?;
    Ok(())
}

#[tokio::test]
async fn calls_count_once_by_kind_and_outcome() {
    let builder = Node::builder()
        .demo()
        .service("echo", async |input: cidery::Dict| input)
        .service("caller", caller)
        .service("fails", async || {
            Err::<(), _>(Error::internal("BROKEN", "broken"))
        });
    let node = TestNode::start(builder).await;
    for _ in 0..2 {
        node.client
            .invoke(Call::new("echo", dict! {}))
            .await
            .unwrap();
    }
    node.client.invoke(Call::new("caller", ())).await.unwrap();
    node.client
        .invoke(Call::new("fails", ()))
        .await
        .unwrap_err();
    // Refused before its handler begins.
    node.client
        .invoke(Call::new("customer.get", dict! {}))
        .await
        .unwrap_err();
    let mut call = Call::new("echo", dict! {});
    call.durable().callbacks = vec!["caller".to_owned()];
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    ended(&node.client, cid).await;
    let callbacks = node.client.explain(cid).await.unwrap().callback_cids;
    ended(&node.client, callbacks[0].parse().unwrap()).await;

    let echo = stats_of(node.address(), "echo").await;
    assert_eq!(
        outcomes(&echo),
        [
            (Kind::Sync, Outcome::Succeeded, 2),
            (Kind::Async, Outcome::Succeeded, 1),
            (Kind::Nested, Outcome::Succeeded, 2),
        ]
    );
    let (duration, waited) = (echo.duration.unwrap(), echo.queue_wait.unwrap());
    assert_eq!(duration.counts.iter().sum::<u64>(), 5);
    assert_eq!(duration.counts.len(), duration.bounds.len() + 1);
    assert!(duration.sum > 0.0);
    assert_eq!(waited.counts.iter().sum::<u64>(), 1);
    let caller = stats_of(node.address(), "caller").await;
    assert_eq!(
        outcomes(&caller),
        [
            (Kind::Sync, Outcome::Succeeded, 1),
            (Kind::Callback, Outcome::Succeeded, 1)
        ]
    );
    let fails = stats_of(node.address(), "fails").await;
    assert_eq!(outcomes(&fails), [(Kind::Sync, Outcome::Failed, 1)]);
    assert_eq!(fails.last_failure_reason, "BROKEN");
    assert_eq!(
        (fails.recent_attempts, fails.recent_failed_attempts),
        (1, 1)
    );
    let refused = stats_of(node.address(), "customer.get").await;
    assert_eq!(outcomes(&refused), [(Kind::Sync, Outcome::Refused, 1)]);
    assert_eq!(refused.duration.unwrap().counts.iter().sum::<u64>(), 0);
}

#[tokio::test]
async fn a_call_whose_caller_disconnects_counts_as_cancelled() {
    let started = Arc::new(Semaphore::new(0));
    let signal = Arc::clone(&started);
    let builder = Node::builder().service("waits", move || {
        signal.add_permits(1);
        std::future::pending::<()>()
    });
    let node = TestNode::start(builder).await;
    let call = crate::support::raw::spawn({
        let client = node.client.clone();
        async move { client.invoke(Call::new("waits", ())).await }
    });
    started.acquire().await.unwrap().forget();
    call.abort();
    let cancelled = async || {
        let stats = stats_of(node.address(), "waits").await;
        outcomes(&stats) == [(Kind::Sync, Outcome::Cancelled, 1)]
    };
    eventually("the call counts", cancelled).await;
}

#[tokio::test]
async fn retries_expirations_and_cancellations_of_stored_invocations_count() {
    let builder = Node::builder().demo().service("rests", async || {});
    let node = TestNode::start(builder).await;
    let mut flaky = Call::new("demo.flaky", dict! { "failures": 2 });
    flaky.durable().retry_policy = Some(RetryPolicy {
        initial_interval: Duration::from_millis(1),
        ..RetryPolicy::default()
    });
    let cid = node.client.invoke_async(flaky).await.unwrap().cid;
    ended(&node.client, cid).await;
    let flaky = stats_of(node.address(), "demo.flaky").await;
    assert_eq!(outcomes(&flaky), [(Kind::Async, Outcome::Succeeded, 1)]);
    assert_eq!((flaky.retries, flaky.crashes), (2, 0));
    // One invocation, whose last attempt alone succeeded.
    assert_eq!(
        (flaky.recent_attempts, flaky.recent_failed_attempts),
        (3, 2)
    );
    assert_eq!(flaky.duration.unwrap().counts.iter().sum::<u64>(), 3);

    let mut expires = Call::new("rests", ());
    expires.durable().start = Some(Start::After(Duration::from_hours(1)));
    expires.durable().expiration = Some(Duration::from_millis(1));
    let cid = node.client.invoke_async(expires).await.unwrap().cid;
    ended(&node.client, cid).await;
    let mut later = Call::new("rests", ());
    later.durable().start = Some(Start::After(Duration::from_hours(1)));
    let cid = node.client.invoke_async(later).await.unwrap().cid;
    let pending = stats_of(node.address(), "rests").await;
    assert_eq!((pending.pending, pending.oldest_due_time), (1, None));
    let invoker = node.handle.invoker();
    invoker.cancel(cid, None).await.unwrap();
    let rests = stats_of(node.address(), "rests").await;
    assert_eq!(
        outcomes(&rests),
        [
            (Kind::Async, Outcome::Cancelled, 1),
            (Kind::Async, Outcome::Expired, 1)
        ]
    );
    assert_eq!(rests.pending, 0);
}

#[tokio::test]
async fn workers_and_what_waits_for_them_are_shown() {
    let node = TestNode::start(Node::builder()).await;
    let builder = Worker::builder()
        .service("a.task", async || {})
        .max_in_flight(7);
    let worker = builder.connect(&node.address().to_string()).await.unwrap();
    let stats = stats_of(node.address(), "a.task").await;
    assert_eq!((stats.workers, stats.worker_credits), (1, 7));
    node.client.invoke(Call::new("a.task", ())).await.unwrap();
    worker.stop().await;
    node.client
        .invoke_async(Call::new("a.task", ()))
        .await
        .unwrap();
    let stats = stats_of(node.address(), "a.task").await;
    assert_eq!(
        (stats.workers, stats.worker_credits, stats.pending),
        (0, 0, 1)
    );
    assert!(stats.oldest_due_time.is_some());
    assert_eq!(outcomes(&stats), [(Kind::Sync, Outcome::Succeeded, 1)]);
}

#[tokio::test]
async fn services_are_listed_page_by_page() {
    let node = TestNode::demo().await;
    let mut admin = AdminServiceClient::connect(format!("http://{}", node.address()))
        .await
        .unwrap();
    let mut list = async |size: u32, token: &str, services: Vec<String>| {
        let request = v1::ListServiceStatsRequest {
            page_size: size,
            page_token: token.to_owned(),
            services,
        };
        admin
            .list_service_stats(request)
            .await
            .map(tonic::Response::into_inner)
    };
    let all = list(0, "", Vec::new()).await.unwrap();
    assert!(all.start_time.unwrap().seconds <= all.observe_time.unwrap().seconds);
    let names = |page: &v1::ListServiceStatsResponse| {
        let names = page.stats.iter().map(|stats| stats.service.clone());
        names.collect::<Vec<_>>()
    };
    let (mut paged, mut token) = (Vec::new(), String::new());
    loop {
        let page = list(3, &token, Vec::new()).await.unwrap();
        paged.extend(names(&page));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert!(paged.is_sorted() && paged.contains(&"demo.count".to_owned()));
    assert_eq!(paged, names(&all));
    let asked = vec!["demo.fail".to_owned(), "nobody".to_owned()];
    assert_eq!(names(&list(0, "", asked).await.unwrap()), ["demo.fail"]);
    let refused = list(1_001, "", Vec::new()).await.unwrap_err();
    let error = crate::support::error_of(&refused);
    assert_eq!(error.reason(), "REQUEST_INVALID", "{error}");
}
