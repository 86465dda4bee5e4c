//! What a pause does to each kind of call.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::model::call::{Call, OnDeadline};
use cidery::model::service_control::ControlCause;
use cidery::remote::client::ContractClient;
use cidery::{Cid, Context, Error, Kind, Node, Value, Worker, dict};

use super::{PAUSED, REASON, accept, pause, state, wait_until_running, waits};
use crate::support::raw::spawn;
use crate::support::{PATIENCE, TestNode, ended, paths, until};

fn get() -> Call {
    Call::new("customer.get", dict! { "cust_id": 1 })
}

async fn refusal(client: &ContractClient, call: Call) -> Error {
    client.invoke(call).await.unwrap_err()
}

#[tokio::test]
async fn background_work_waits_and_calls_are_refused_until_the_service_is_resumed() {
    let node = TestNode::demo().await;
    let client = &node.client;
    let control = pause(client, "customer.get").await;
    assert!(control.paused && !control.background_only && !control.disabled);
    assert_eq!(
        (&*control.reason, &*control.principal),
        (REASON, "127.0.0.1")
    );
    assert!(control.time.is_some());

    let error = refusal(client, get()).await;
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Unavailable, "SERVICE_PAUSED")
    );
    assert!(error.message().contains(REASON), "{error}");
    assert_eq!(error.fact("service"), Some("customer.get"));
    assert_eq!(error.fact("operator_reason"), Some(REASON));
    assert!(error.is_retryable());

    let cid = accept(client, get()).await;
    assert_eq!(state(client, cid).await, PAUSED);
    let paused = v1::InvocationFilter {
        pending_reasons: vec![v1::PendingReason::Paused.into()],
        ..v1::InvocationFilter::default()
    };
    let listed = client.invocations(paused, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].cid, cid.to_string());
    // Other services go on.
    node.assert_healthy().await;

    assert!(client.resume_service("customer.get").await.unwrap());
    let found = ended(client, cid).await;
    assert_eq!((found.state(), found.attempt), (v1::State::Succeeded, 1));
    client.invoke(get()).await.unwrap();
    assert!(!client.resume_service("customer.get").await.unwrap());
    node.handle.stop().await;
}

#[tokio::test]
async fn what_runs_goes_on_and_calls_in_the_queue_are_refused() {
    let builder = Node::builder().register(waits()).drain(Duration::ZERO);
    let node = TestNode::start(builder).await;
    let client = &node.client;
    let running = accept(client, Call::new("waits", ())).await;
    wait_until_running(client, running).await;
    let caller = client.clone();
    let calling = spawn(async move { caller.invoke(Call::new("waits", ())).await });
    let status = || node.handle.invoker().service("waits").unwrap().status;
    until("the call is in the queue", || status().queued == 1).await;
    pause(client, "waits").await;
    let error = calling.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), "SERVICE_PAUSED");
    assert_eq!(state(client, running).await.0, v1::State::Running);
    client.cancel(running, false).await.unwrap();
    node.handle.stop().await;
}

#[tokio::test]
async fn a_pause_in_the_background_lets_calls_go_on_unless_they_are_stored() {
    let node = TestNode::demo().await;
    let client = &node.client;
    let request = v1::PauseServiceRequest {
        service: "customer.get".to_owned(),
        reason: String::new(),
        background_only: true,
    };
    let control = client.pause_service(request).await.unwrap();
    assert!(control.paused && control.background_only);
    client.invoke(get()).await.unwrap();
    let cid = accept(client, get()).await;
    assert_eq!(state(client, cid).await, PAUSED);
    let mut keyed = get();
    keyed.durable().idempotency_key = Some("k".to_owned());
    let mut continuing = get();
    continuing.durable().on_deadline = OnDeadline::Continue;
    for stored in [keyed, continuing] {
        let error = refusal(client, stored).await;
        assert_eq!(error.reason(), "SERVICE_PAUSED", "{error}");
    }
    // Paused again, without an exception.
    assert!(!pause(client, "customer.get").await.background_only);
    assert_eq!(refusal(client, get()).await.reason(), "SERVICE_PAUSED");
    node.handle.stop().await;
}

/// The outcome that was promised to a key is answered all the same.
#[tokio::test]
async fn a_stored_call_that_is_repeated_is_nothing_new() {
    let node = TestNode::demo().await;
    let client = &node.client;
    let keyed = || {
        let mut keyed = get();
        keyed.durable().idempotency_key = Some("k".to_owned());
        keyed
    };
    let (first, _) = client.invoke(keyed()).await.unwrap();
    pause(client, "customer.get").await;
    let (again, _) = client.invoke(keyed()).await.unwrap();
    assert_eq!(first, again);
    node.handle.stop().await;
}

#[tokio::test]
async fn nested_calls_are_refused_as_calls_and_children_wait() {
    async fn calls(ctx: Context) -> cidery::Result<Value> {
        let error = ctx.invoke("b", ()).await.unwrap_err();
        let child = ctx.invoke_async("b", ()).await?;
        Ok(dict! { "reason": error.reason(), "child": child.to_string() }.into())
    }
    let builder = Node::builder()
        .service("a", calls)
        .service("b", async || {});
    let node = TestNode::start(builder).await;
    let client = &node.client;
    pause(client, "b").await;
    let (_, reply) = client.invoke(Call::new("a", ())).await.unwrap();
    let reply = cidery::codec::payload::decode(reply.payload).unwrap();
    assert_eq!(reply["reason"], Value::from("SERVICE_PAUSED"));
    let child = Cid::parse(reply["child"].as_text().unwrap()).unwrap();
    assert_eq!(state(client, child).await, PAUSED);
    client.resume_service("b").await.unwrap();
    assert_eq!(ended(client, child).await.state(), v1::State::Succeeded);
    node.handle.stop().await;
}

#[tokio::test]
async fn discovery_and_health_show_it() {
    let node = TestNode::demo().await;
    let client = &node.client;
    pause(client, "customer.get").await;
    let listed = client.services("customer.get").await.unwrap();
    assert_eq!(listed[0].health(), v1::ServiceHealth::Paused);
    let described = client.describe("customer.get").await.unwrap();
    assert_eq!(described.health(), v1::ServiceHealth::Paused);
    assert_eq!(described.control.unwrap().reason, REASON);
    client.resume_service("customer.get").await.unwrap();
    let described = client.describe("customer.get").await.unwrap();
    assert_eq!(described.health(), v1::ServiceHealth::Serving);
    assert_eq!(described.control, None);
    node.handle.stop().await;
}

/// Also one of the node itself, and one that only a demo or nobody serves.
#[tokio::test]
async fn every_known_service_can_be_paused_until_it_is_forgotten() {
    let node = TestNode::demo().await;
    let (client, address) = (&node.client, node.address().to_string());
    for service in ["cidery.ping", "demo.count"] {
        assert!(pause(client, service).await.paused);
        assert!(client.resume_service(service).await.unwrap());
    }
    let serve = async || {
        let worker = Worker::builder().service("report.build", async || "built");
        worker.connect(&address).await.unwrap()
    };
    serve().await.stop().await;
    pause(client, "report.build").await;
    let cid = accept(client, Call::new("report.build", ())).await;
    assert_eq!(state(client, cid).await, PAUSED);
    // A worker that comes back finds it paused.
    let worker = serve().await;
    assert_eq!(state(client, cid).await, PAUSED);
    worker.stop().await;
    client.cancel(cid, false).await.unwrap();
    client.forget_service("report.build").await.unwrap();
    assert!(node.handle.invoker().service_controls().is_empty());
    let worker = serve().await;
    let described = client.describe("report.build").await.unwrap();
    assert_eq!(described.control, None);
    client.invoke(Call::new("report.build", ())).await.unwrap();
    worker.stop().await;
    node.handle.stop().await;
}

/// Calls that a worker's handler makes are refused as all others.
#[tokio::test]
async fn calls_of_workers_are_refused() {
    async fn calls(ctx: Context) -> cidery::Result<String> {
        let error = ctx.invoke("customer.get", dict! { "cust_id": 1 }).await;
        Ok(error.unwrap_err().reason().to_owned())
    }
    let node = TestNode::demo().await;
    let worker = Worker::builder().service("a.calls", calls);
    let worker = worker.connect(&node.address().to_string()).await.unwrap();
    pause(&node.client, "customer.get").await;
    let (_, reply) = node.client.invoke(Call::new("a.calls", ())).await.unwrap();
    let reply = cidery::codec::payload::decode(reply.payload).unwrap();
    assert_eq!(reply, Value::from("SERVICE_PAUSED"));
    worker.stop().await;
    node.handle.stop().await;
}

#[tokio::test]
async fn an_unknown_service_and_a_long_reason_are_refused() {
    let node = TestNode::demo().await;
    let client = &node.client;
    let request = |service: &str, reason: String| v1::PauseServiceRequest {
        service: service.to_owned(),
        reason,
        background_only: false,
    };
    let unknown = client.pause_service(request("customer.gte", String::new()));
    let error = unknown.await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::NotFound, "SERVICE_UNKNOWN")
    );
    assert_eq!(error.fact("nearest"), Some("customer.get"));
    let error = client.resume_service("customer.gte").await.unwrap_err();
    assert_eq!(error.reason(), "SERVICE_UNKNOWN");
    let long = client.pause_service(request("customer.get", "x".repeat(1_025)));
    assert_eq!(paths(&long.await.unwrap_err()), ["/reason"]);
    let longest = client.pause_service(request("customer.get", "x".repeat(1_024)));
    longest.await.unwrap();
    let error = refusal(client, get()).await;
    assert_eq!(error.reason(), "SERVICE_PAUSED");
    node.handle.stop().await;
}

/// A pause is answered once the handlers that are being called have been.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_waits_for_a_handler_that_is_being_called() {
    let (called, is_called) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let blocks = move || {
        called.send(()).unwrap();
        released.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        std::future::ready(())
    };
    let builder = Node::builder().service("blocks", blocks).no_listener();
    let node = builder.start().await.unwrap();
    let invoker = node.invoker().clone();
    let accepted = invoker.invoke_async(Call::new("blocks", ())).await.unwrap();
    let is_called = tokio::task::spawn_blocking(move || is_called.recv_timeout(PATIENCE));
    is_called.await.unwrap().unwrap();
    let pausing = {
        let invoker = invoker.clone();
        let pause = async move {
            let cause = ControlCause::default();
            invoker.pause_service("blocks", false, cause).await
        };
        spawn(pause)
    };
    until("it is paused", || !invoker.service_controls().is_empty()).await;
    assert!(!pausing.is_finished());
    release.send(()).unwrap();
    pausing.await.unwrap().unwrap();
    let found = invoker.find(accepted.cid, PATIENCE).await.unwrap();
    assert!(found.invocation.state.is_terminal());
    node.stop().await;
}
