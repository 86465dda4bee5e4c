//! Deadlines: the smaller of timeout and `grpc-timeout` applies, and nested calls never outlive their callers.

use std::time::Duration;

use cidery::model::call::Call;
use cidery::{Cid, Context, Definition, Kind, Node, Result, Value, Worker, dict};
use prost::Message as _;

use crate::support::raw::{INVOKE, Raw, framed};
use crate::support::{TestNode, until};

fn sleep_request(cid: Cid) -> Vec<u8> {
    cidery::codec::proto::v1::InvokeRequest {
        service: "demo.sleep".to_owned(),
        cid: cid.to_string(),
        input: Some(cidery::codec::proto::v1::invoke_request::Input::Payload(
            cidery::codec::struct_pb::encode_dict(&dict! { "seconds": 3600 }).unwrap(),
        )),
        ..Default::default()
    }
    .encode_to_vec()
}

#[tokio::test]
async fn the_server_enforces_the_deadline_of_the_client() {
    let node = TestNode::demo().await;
    let mut raw = Raw::connect(node.address()).await;
    let cid = Cid::new();
    let body = framed(&sleep_request(cid));
    let answer = raw.call(INVOKE, &[("grpc-timeout", "50m")], body).await;
    let error = answer.error();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    assert_eq!(error.cid(), Some(cid));
    assert_eq!(answer.get("cidery-cid"), Some(cid.to_string().as_str()));
    assert_eq!(error.fact("timeout_ms"), Some("50"));
    let engine = node.handle.invoker().clone();
    until("the handler has ended", || engine.running_handlers() == 0).await;
}

/// Timers have a resolution of a millisecond: that of the handler and that of the deadline fire at once.
#[tokio::test(start_paused = true)]
async fn a_response_after_the_deadline_is_refused() {
    let ends_after = async |micros: u64| -> Result<()> {
        let node = Node::builder().service("a.waits", move || async move {
            tokio::time::sleep(Duration::from_micros(micros)).await;
        });
        let node = node.no_listener().start().await?;
        let mut call = Call::new("a.waits", ());
        call.timeout = Some(Duration::from_micros(10_200));
        node.invoker().invoke(Cid::new(), call).await.map(drop)
    };
    let late = ends_after(10_900).await.unwrap_err();
    assert_eq!(late.reason(), "DEADLINE_EXCEEDED");
    ends_after(9_900).await.unwrap();
}

#[tokio::test]
async fn a_malformed_deadline_is_rejected() {
    let node = TestNode::demo().await;
    let mut raw = Raw::connect(node.address()).await;
    let body = framed(&sleep_request(Cid::new()));
    let error = raw
        .call(INVOKE, &[("grpc-timeout", "soon")], body)
        .await
        .error();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::InvalidArgument, "REQUEST_INVALID")
    );
}

/// The time left for a handler, in milliseconds.
fn left(ctx: &Context) -> u64 {
    u64::try_from(ctx.time_left().unwrap().as_millis()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn nested_calls_inherit_the_remaining_deadline() {
    async fn down(ctx: Context, level: u8) -> Result<Value> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut seen = vec![Value::from(left(&ctx))];
        if level < 4 {
            let next = ctx.invoke(format!("level{}", level + 1), ()).await?;
            seen.extend(next.value().as_list().unwrap().to_vec());
        }
        Ok(Value::List(seen))
    }
    let mut builder = Node::builder().no_listener();
    for level in 1..=4 {
        let handler = move |ctx: Context| down(ctx, level);
        builder = builder.service(&format!("level{level}"), handler);
    }
    let node = builder.start().await.unwrap();
    let mut call = Call::new("level1", ());
    call.timeout = Some(Duration::from_secs(10));
    let (_, reply) = node.invoker().invoke(Cid::new(), call).await.unwrap();
    let seen = cidery::codec::payload::decode(reply.payload).unwrap();
    assert_eq!(seen, Value::from(vec![9_000, 8_000, 7_000, 6_000]));
}

#[tokio::test(start_paused = true)]
async fn a_nested_call_ends_with_its_callers_deadline_or_its_own() {
    async fn inner(ctx: Context) -> Result<()> {
        ctx.cancelled().await;
        // It ignores its cancellation.
        std::future::pending().await
    }
    async fn outer(ctx: Context) -> Result<String> {
        let own = ctx
            .invoke("inner", ())
            .timeout(Duration::from_secs(1))
            .await
            .unwrap_err();
        Ok(own.reason().to_owned())
    }
    async fn patient(ctx: Context) -> Result<Value> {
        Ok(ctx
            .invoke("inner", ())
            .timeout(Duration::from_secs(3600))
            .await?
            .into_value())
    }
    let node = Node::builder()
        .service("inner", inner)
        .service("outer", outer)
        .service("patient", patient)
        .no_listener()
        .start()
        .await
        .unwrap();
    let reason: String = node.invoke("outer", ()).await.unwrap().parse().unwrap();
    assert_eq!(reason, "DEADLINE_EXCEEDED");
    let start = tokio::time::Instant::now();
    let error = node.invoke("patient", ()).await.unwrap_err();
    assert_eq!(error.reason(), "DEADLINE_EXCEEDED");
    assert_eq!(start.elapsed(), Duration::from_secs(30));
}

/// A worker tells the node with each nested call how long its own deadline still is: no reason to wait longer than the
/// service itself allows.
#[tokio::test]
async fn the_timeout_of_a_service_holds_for_nested_calls_of_workers() {
    let slow = Definition::new("b.slow", std::future::pending::<()>).unwrap();
    let slow = slow.timeout(Duration::from_millis(50));
    let node = TestNode::start(Node::builder().register(slow)).await;
    async fn calls(ctx: Context) -> Result<()> {
        ctx.invoke("b.slow", ()).await.map(drop)
    }
    let worker = Worker::builder().service("a.calls", calls);
    let worker = worker.connect(&node.address().to_string()).await.unwrap();
    let error = node.client.invoke(Call::new("a.calls", ())).await;
    let error = error.unwrap_err();
    assert_eq!(error.fact("timeout_ms"), Some("50"), "{error:?}");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_timeout_of_a_call_beats_that_of_the_service_and_of_the_node() {
    async fn seconds(ctx: Context) -> u64 {
        left(&ctx) / 1_000
    }
    let with = Definition::new("with", seconds)
        .unwrap()
        .timeout(Duration::from_secs(7));
    let node = Node::builder()
        .register(with)
        .service("without", seconds)
        .limits(|limits| limits.timeout = Duration::from_secs(20))
        .no_listener()
        .start()
        .await
        .unwrap();
    for (service, own, expected) in [
        ("with", Some(3), 3),
        ("with", None, 7),
        ("without", None, 20),
    ] {
        let mut call = Call::new(service, ());
        call.timeout = own.map(Duration::from_secs);
        let (_, reply) = node.invoker().invoke(Cid::new(), call).await.unwrap();
        let seen = cidery::codec::payload::decode(reply.payload).unwrap();
        assert_eq!(seen.as_int(), Some(expected), "{service} {own:?}");
    }
}
