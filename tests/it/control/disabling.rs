//! A disabled service refuses every new call, whatever its way in; what was promised before waits.

use std::sync::Arc;
use std::time::Duration;

use cidery::codec::proto::health::HealthCheckRequest;
use cidery::codec::proto::health::health_check_response::ServingStatus;
use cidery::codec::proto::health::health_client::HealthClient;
use cidery::codec::proto::v1;
use cidery::model::batch::Batch;
use cidery::model::call::{Call, OnDeadline, Start};
use cidery::{Cid, Context, Error, Kind, Node, Value, dict};
use serde_json::json;
use tokio::sync::Semaphore;

use super::{PAUSED, REASON, accept, disable, pause, state, wait_until_running};
use crate::support::dynamic::Dynamic;
use crate::support::{TestNode, ended, error_of, paths};

const SERVICE: &str = "customer.get";

fn get() -> Call {
    Call::new(SERVICE, dict! { "cust_id": 1 })
}

#[track_caller]
fn assert_inactive(error: &Error) {
    let refused = (error.kind(), error.reason());
    assert_eq!(
        refused,
        (Kind::FailedPrecondition, "SERVICE_INACTIVE"),
        "{error}"
    );
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn every_call_is_refused_whatever_its_way_in() {
    let node = TestNode::demo().await;
    let client = &node.client;
    let typed = Dynamic::discover(node.address(), "customer.Service").await;
    let control = disable(client, SERVICE).await;
    assert!(control.disabled && !control.paused);
    let mut keyed = get();
    keyed.durable().idempotency_key = Some("k".to_owned());
    let mut continuing = get();
    continuing.durable().on_deadline = OnDeadline::Continue;
    for call in [get(), keyed, continuing] {
        let error = client.invoke(call).await.unwrap_err();
        assert_inactive(&error);
        assert!(error.message().contains(REASON), "{error}");
    }
    let mut later = get();
    later.durable().start = Some(Start::After(Duration::from_hours(1)));
    for call in [get(), later] {
        assert_inactive(&client.invoke_async(call).await.unwrap_err());
    }
    for method in ["customer.Service/Get", "customer.Service/GetAsync"] {
        let status = typed
            .call(method, json!({ "cust_id": 1 }))
            .await
            .unwrap_err();
        assert_inactive(&error_of(&status));
    }
    // Another service, whose outcome goes to the disabled one.
    let count = || Call::new("demo.count", dict! { "to": 1 });
    let (mut callback, mut on_failure) = (count(), count());
    callback.durable().callbacks = vec![SERVICE.to_owned()];
    on_failure.durable().failure_callbacks = vec![SERVICE.to_owned()];
    for call in [callback, on_failure] {
        assert_inactive(&client.invoke_async(call).await.unwrap_err());
    }
    assert!(client.enable_service(SERVICE).await.unwrap());
    assert!(!client.enable_service(SERVICE).await.unwrap());
    client.invoke(get()).await.unwrap();
    node.handle.stop().await;
}

#[tokio::test]
async fn a_batch_names_each_member_that_is_refused() {
    let node = TestNode::demo().await;
    let client = &node.client;
    let count = || Call::new("demo.count", dict! { "to": 1 });
    let named = || {
        let mut batch = Batch::of([count(), get()]).unwrap();
        batch.idempotency_key = Some("b".to_owned());
        batch
    };
    let first = client.invoke_batch(named()).await.unwrap();
    disable(client, SERVICE).await;
    let batch = Batch::of([get(), count(), get()]).unwrap();
    let error = client.invoke_batch(batch).await.unwrap_err();
    assert_inactive(&error);
    assert_eq!(paths(&error), ["/requests/0", "/requests/2"]);
    let on_each = Batch {
        on_each: vec![SERVICE.to_owned()],
        ..Batch::of([count()]).unwrap()
    };
    let on_final = Batch {
        on_final: vec![SERVICE.to_owned()],
        ..Batch::of([count()]).unwrap()
    };
    for batch in [on_each, on_final] {
        assert_inactive(&client.invoke_batch(batch).await.unwrap_err());
    }
    // What was accepted before is nothing new.
    let again = client.invoke_batch(named()).await.unwrap();
    assert_eq!((again.cid, again.already_accepted), (first.cid, true));
    node.handle.stop().await;
}

#[tokio::test]
async fn calls_of_handlers_and_retries_are_refused() {
    async fn calls(ctx: Context) -> cidery::Result<Value> {
        let nested = ctx.invoke("b", ()).await.unwrap_err();
        let child = ctx.invoke_async("b", ()).await.unwrap_err();
        let with_outcome = ctx.invoke_async("b", ()).with_outcome().await.unwrap_err();
        let reasons = [nested, child, with_outcome].map(|error| error.reason().to_owned());
        Ok(Value::List(reasons.map(Value::from).into()))
    }
    let fails = async || Err::<(), _>(Error::not_found("GONE", "gone"));
    let builder = Node::builder().service("a", calls).service("b", fails);
    let node = TestNode::start(builder).await;
    let client = &node.client;
    let failed = accept(client, Call::new("b", ())).await;
    assert_eq!(ended(client, failed).await.state(), v1::State::Failed);
    disable(client, "b").await;
    let cid = accept(client, Call::new("a", ())).await;
    let found = node.handle.invoker().find(cid, crate::support::PATIENCE);
    let reply = found.await.unwrap().invocation.outcome().unwrap().unwrap();
    let reasons = cidery::codec::payload::decode(reply.payload).unwrap();
    let inactive = Value::from("SERVICE_INACTIVE");
    assert_eq!(reasons, Value::List(vec![inactive; 3]));
    let changes = client.retry(failed, false).await.unwrap();
    assert_eq!(
        changes[0].failure.as_ref().unwrap().reason,
        "SERVICE_INACTIVE"
    );
    node.handle.stop().await;
}

/// A callback was promised when its invocation was accepted.
#[tokio::test]
async fn what_was_promised_is_accepted_and_waits_until_the_service_is_enabled() {
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let waits = move || {
        let gate = Arc::clone(&waiting);
        async move { gate.acquire().await.unwrap().forget() }
    };
    let builder = Node::builder()
        .service("a", waits)
        .service("b", async || {});
    let node = TestNode::start(builder).await;
    let client = &node.client;
    let mut call = Call::new("a", ());
    call.durable().callbacks = vec!["b".to_owned()];
    let cid = accept(client, call).await;
    wait_until_running(client, cid).await;
    disable(client, "b").await;
    gate.add_permits(1);
    assert_eq!(ended(client, cid).await.state(), v1::State::Succeeded);
    let callback = client.explain(cid).await.unwrap().callback_cids;
    let callback = Cid::parse(&callback[0]).unwrap();
    assert_eq!(state(client, callback).await, PAUSED);
    // Paused as well: both have to be undone.
    assert!(pause(client, "b").await.disabled);
    client.enable_service("b").await.unwrap();
    assert_eq!(state(client, callback).await, PAUSED);
    client.resume_service("b").await.unwrap();
    assert_eq!(ended(client, callback).await.state(), v1::State::Succeeded);
    node.handle.stop().await;
}

#[tokio::test]
async fn health_says_so_at_once() {
    let node = TestNode::demo().await;
    let client = &node.client;
    let health = HealthClient::connect(format!("http://{}", node.address())).await;
    let mut health = health.unwrap();
    let of = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    let watch = health.watch(of(SERVICE)).await.unwrap();
    let mut watch = watch.into_inner();
    let mut next = async || watch.message().await.unwrap().unwrap().status();
    assert_eq!(next().await, ServingStatus::Serving);
    disable(client, SERVICE).await;
    assert_eq!(next().await, ServingStatus::NotServing);
    let described = client.describe(SERVICE).await.unwrap();
    assert_eq!(described.health(), v1::ServiceHealth::Disabled);
    client.enable_service(SERVICE).await.unwrap();
    assert_eq!(next().await, ServingStatus::Serving);
    pause(client, SERVICE).await;
    assert_eq!(next().await, ServingStatus::NotServing);
    let request = v1::PauseServiceRequest {
        service: SERVICE.to_owned(),
        reason: String::new(),
        background_only: true,
    };
    client.pause_service(request).await.unwrap();
    assert_eq!(next().await, ServingStatus::Serving);
    // The node, and its other services, serve all the while.
    let status = health.check(of("")).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::Serving);
    node.handle.stop().await;
}
