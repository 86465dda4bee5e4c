//! `GetHistory`: the last hour, in samples that a task takes every ten seconds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::admin_service_client::AdminServiceClient;
use cidery::engine::clock::{Clock, ManualClock};
use cidery::model::call::{Call, Start};
use cidery::{Error, Node};
use tokio::sync::Semaphore;

use super::{eventually, stats_of};
use crate::support::{TestNode, until};

const INTERVAL: Duration = Duration::from_secs(10);

async fn history(
    address: SocketAddr,
    service: &str,
    from_time: Option<prost_types::Timestamp>,
) -> v1::GetHistoryResponse {
    let url = format!("http://{address}");
    let mut admin = AdminServiceClient::connect(url).await.unwrap();
    let request = v1::GetHistoryRequest {
        service: service.to_owned(),
        from_time,
    };
    admin.get_history(request).await.unwrap().into_inner()
}

/// Ends an interval, in which something happened, and returns its sample of a service, or of the node.
async fn next(node: &TestNode, time: &ManualClock, service: &str) -> v1::HistorySample {
    time.advance(INTERVAL);
    let end = cidery::codec::convert::timestamp_to_proto(time.now());
    let mut last = None;
    eventually("the sample of the interval", async || {
        let found = history(node.address(), service, None).await;
        last = found.samples.last().cloned();
        last.as_ref().is_some_and(|sample| sample.time == Some(end))
    })
    .await;
    last.unwrap()
}

async fn call(node: &TestNode, service: &'static str) {
    let _ = node.client.invoke(Call::new(service, ())).await;
}

#[tokio::test]
async fn each_interval_has_what_happened_in_it() {
    let time = ManualClock::new();
    let open = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&open);
    let waits = move || {
        let gate = Arc::clone(&gate);
        async move { drop(gate.acquire().await.unwrap()) }
    };
    let builder = Node::builder()
        .clock(Clock::Manual(time.clone()))
        .demo()
        .service("waits", waits)
        .service("fails", async || {
            Err::<(), _>(Error::internal("BROKEN", "broken"))
        });
    let node = TestNode::start(builder).await;
    assert!(history(node.address(), "", None).await.samples.is_empty());

    for service in ["cidery.ping", "cidery.ping", "cidery.ping", "fails"] {
        call(&node, service).await;
    }
    let running = node.client.invoke_async(Call::new("waits", ())).await;
    let running = running.unwrap().cid;
    let mut later = Call::new("fails", ());
    later.durable().start = Some(Start::After(INTERVAL * 100));
    node.client.invoke_async(later).await.unwrap();
    let invoker = node.handle.invoker();
    until("the handler runs", || invoker.running_handlers() == 1).await;
    let first = next(&node, &time, "").await;
    assert_eq!((first.succeeded, first.failed), (3, 1));
    assert_eq!((first.running, first.pending), (1, 1));
    let (p50, p99) = (first.duration_p50.unwrap(), first.duration_p99.unwrap());
    assert!(0.0 < p50 && p50 <= p99, "{p50} {p99}");

    let of = async |service| history(node.address(), service, None).await.samples;
    let samples = of("cidery.ping").await;
    let [ping] = samples.as_slice() else {
        panic!("one sample");
    };
    assert_eq!((ping.succeeded, ping.failed, ping.time), (3, 0, first.time));
    let samples = of("fails").await;
    let [fails] = samples.as_slice() else {
        panic!("one sample");
    };
    assert_eq!((fails.succeeded, fails.failed, fails.pending), (0, 1, 1));
    assert!(of("demo.flaky").await.is_empty());
    assert!(of("unknown").await.is_empty());

    // Only the newer ones are read again.
    open.add_permits(1);
    crate::support::ended(&node.client, running).await;
    call(&node, "fails").await;
    let second = next(&node, &time, "").await;
    assert_eq!((second.succeeded, second.failed, second.running), (1, 1, 0));
    let newer = history(node.address(), "", first.time).await;
    assert_eq!(newer.samples, [second]);
    assert_eq!(
        newer.interval,
        Some(prost_types::Duration {
            seconds: 10,
            nanos: 0
        })
    );
    assert!(newer.start_time.is_some() && newer.observe_time.is_some());

    // A service has the same figures for its list.
    let recent = stats_of(node.address(), "fails").await.recent.unwrap();
    assert_eq!((recent.calls, recent.failed), (2, 2));
    assert_eq!(recent.period.unwrap().seconds, 20);
    assert_eq!(stats_of(node.address(), "demo.flaky").await.recent, None);
}

#[tokio::test]
async fn the_age_of_what_waits_is_in_it() {
    let time = ManualClock::new();
    let builder = Node::builder().clock(Clock::Manual(time.clone())).demo();
    let node = TestNode::start(builder).await;
    let url = format!("http://{}", node.address());
    let mut admin = AdminServiceClient::connect(url).await.unwrap();
    let request = v1::PauseServiceRequest {
        service: "cidery.ping".to_owned(),
        ..v1::PauseServiceRequest::default()
    };
    admin.pause_service(request).await.unwrap();
    let waiting = node.client.invoke_async(Call::new("cidery.ping", ())).await;
    waiting.unwrap();
    let first = next(&node, &time, "cidery.ping").await;
    assert_eq!((first.pending, first.oldest_due_age), (1, Some(10.0)));
    let second = next(&node, &time, "cidery.ping").await;
    assert_eq!((second.succeeded, second.oldest_due_age), (0, Some(20.0)));
}
