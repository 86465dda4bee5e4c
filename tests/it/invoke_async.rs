//! `InvokeAsync`: acceptance, execution under the returned CID, retention of the outcome.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::engine::InvocationView;
use cidery::model::call::Call;
use cidery::store::MemoryStore;
use cidery::{Cid, Context, Format, Kind, Node, Payload, Result, dict};

use crate::support::{PATIENCE, TestNode, error_of};

async fn ended(node: &TestNode, cid: Cid) -> InvocationView {
    node.handle.invoker().find(cid, PATIENCE).await.unwrap()
}

#[tokio::test]
async fn the_target_runs_under_the_returned_cid() {
    async fn target(cid: Cid) -> String {
        cid.to_string()
    }
    async fn caller(ctx: Context) -> Result<String> {
        Ok(ctx.invoke_async("target", ()).await?.to_string())
    }
    let builder = Node::builder()
        .service("target", target)
        .service("caller", caller);
    let node = TestNode::start(builder).await;
    let response = node.handle.invoke("caller", ()).await.unwrap();
    let caller = response.cid();
    let cid: Cid = response.parse::<String>().unwrap().parse().unwrap();
    assert_ne!(cid, caller);
    let found = ended(&node, cid).await;
    let reply = found.invocation.outcome().unwrap().unwrap();
    let seen = cidery::codec::payload::decode(reply.payload).unwrap();
    assert_eq!(seen.as_text(), Some(cid.to_string().as_str()));
    assert_eq!(found.invocation.request.parent, Some(caller));
    assert_eq!(found.invocation.request.root, caller);
}

#[tokio::test]
async fn the_same_cid_is_accepted_once() {
    let node = TestNode::demo().await;
    let cid = Cid::new();
    let call = |to: u32| {
        let mut call = Call::new("demo.count", dict! { "to": to });
        call.cid = Some(cid);
        call
    };
    assert!(
        !node
            .client
            .invoke_async(call(1))
            .await
            .unwrap()
            .already_accepted
    );
    assert!(
        node.client
            .invoke_async(call(1))
            .await
            .unwrap()
            .already_accepted
    );
    let error = node.client.invoke_async(call(2)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::AlreadyExists, "IDEMPOTENCY_MISMATCH")
    );
    let mut other = Call::new("cidery.echo", dict! { "to": 1 });
    other.cid = Some(cid);
    let error = node.client.invoke_async(other).await.unwrap_err();
    assert_eq!(error.reason(), "IDEMPOTENCY_MISMATCH");
    assert_eq!(ended(&node, cid).await.invocation.attempts, 1);
}

#[tokio::test]
async fn a_failure_is_an_outcome() {
    let node = TestNode::demo().await;
    let input = dict! { "code": "NOT_FOUND", "message": "no such thing" };
    let cid = node
        .client
        .invoke_async(Call::new("demo.fail", input))
        .await
        .unwrap()
        .cid;
    let found = node.client.invocation(cid, PATIENCE).await.unwrap();
    assert_eq!(found.state(), v1::State::Failed);
    let Some(v1::outcome::Outcome::Failure(failure)) = found.outcome.unwrap().outcome else {
        panic!("no failure");
    };
    assert_eq!(failure.code(), v1::Code::NotFound);
    assert_eq!(
        (failure.reason.as_str(), failure.message.as_str()),
        ("DEMO_FAILED", "no such thing")
    );
}

#[tokio::test]
async fn an_invocation_that_is_not_stored_is_not_found() {
    let node = TestNode::demo().await;
    let error = node
        .client
        .invocation(Cid::new(), Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::NotFound, "CID_UNKNOWN")
    );
    let request = v1::GetInvocationRequest::default();
    let status = node.stub.clone().get_invocation(request).await.unwrap_err();
    assert_eq!(error_of(&status).field_violations()[0].path, "/cid");
}

#[tokio::test]
async fn a_wait_that_times_out_returns_the_current_state() {
    let node = TestNode::demo().await;
    let call = Call::new("demo.sleep", dict! { "seconds": 3600 });
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    let found = node
        .client
        .invocation(cid, Duration::from_millis(1))
        .await
        .unwrap();
    assert!(matches!(
        found.state(),
        v1::State::Running | v1::State::Pending
    ));
    assert!(found.outcome.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_outcome_becomes_a_tombstone_after_its_retention() {
    let builder = Node::builder()
        .clock(cidery::engine::clock::Clock::steady())
        .limits(|limits| limits.retention = Duration::from_secs(60))
        .no_listener();
    let node = builder.start().await.unwrap();
    let cid = node.invoke_async("cidery.ping", ()).await.unwrap();
    node.invoker().find(cid, PATIENCE).await.unwrap();
    tokio::time::sleep(Duration::from_secs(45)).await;
    assert!(node.invoker().find(cid, Duration::ZERO).await.is_ok());
    tokio::time::sleep(Duration::from_secs(45)).await;
    let error = node.invoker().find(cid, Duration::ZERO).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::NotFound, "RESULT_EXPIRED")
    );
    assert_eq!(error.fact("state"), Some("SUCCEEDED"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let error = node.invoker().find(cid, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.reason(), "CID_UNKNOWN");
}

#[tokio::test]
async fn a_full_store_rejects_new_invocations_and_loses_none() {
    let store = MemoryStore::with_bytes_limit(64 * 1024);
    let node = TestNode::start(Node::builder().demo().store(store)).await;
    let mut accepted = Vec::new();
    let error = loop {
        let call = Call::new("cidery.echo", dict! { "text": "x".repeat(1_000) });
        match node.client.invoke_async(call).await {
            Ok(new) => accepted.push(new.cid),
            Err(error) => break error,
        }
    };
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::ResourceExhausted, "STORE_FULL")
    );
    assert!(error.retry_after().is_some());
    assert!(accepted.len() > 10);
    for cid in accepted {
        assert!(
            ended(&node, cid)
                .await
                .invocation
                .outcome()
                .unwrap()
                .is_ok()
        );
    }
}

#[tokio::test]
async fn pending_invocations_are_limited() {
    let builder = Node::builder()
        .demo()
        .limits(|limits| (limits.pending, limits.concurrency) = (2, 1));
    let node = TestNode::start(builder).await;
    let call = || Call::new("demo.sleep", dict! { "seconds": 3600 });
    let engine = node.handle.invoker().clone();
    node.client.invoke_async(call()).await.unwrap();
    crate::support::until("one runs", || engine.running_handlers() == 1).await;
    node.client.invoke_async(call()).await.unwrap();
    node.client.invoke_async(call()).await.unwrap();
    let error = node.client.invoke_async(call()).await.unwrap_err();
    assert_eq!(
        (error.reason(), error.fact("pending")),
        ("PENDING_LIMIT", Some("2"))
    );
}

#[tokio::test]
async fn a_chosen_cid_is_in_every_response_and_a_rejected_request_does_not_use_it_up() {
    let node = TestNode::demo().await;
    let cid = Cid::new();
    let refused = async |service: &'static str, input: Payload, reason: &str| {
        let mut call = Call::new(service, input);
        call.cid = Some(cid);
        let error = node.client.invoke_async(call).await.unwrap_err();
        assert_eq!((error.cid(), error.reason()), (Some(cid), reason));
    };
    let document = |text: &'static str, format| Payload::Document(text.into(), format);
    refused("no.such", ().into(), "SERVICE_UNKNOWN").await;
    // Malformed JSON is rejected before the CID is returned, with and without a declaration, and so is an invalid
    // input.
    for service in ["customer.get", "cidery.echo"] {
        refused(service, document("{", Format::Json), "DOCUMENT_MALFORMED").await;
        refused(
            service,
            document("a\n\"", Format::Csv),
            "DOCUMENT_MALFORMED",
        )
        .await;
    }
    refused(
        "customer.get",
        dict! { "cust_id": "x" }.into(),
        "INPUT_INVALID",
    )
    .await;
    let mut call = Call::new("customer.get", document("{\"cust_id\":1}", Format::Json));
    call.cid = Some(cid);
    let accepted = node.client.invoke_async(call.clone()).await.unwrap();
    assert!(!accepted.already_accepted);
    let accepted = node.client.invoke_async(call).await.unwrap();
    assert!(accepted.already_accepted);
}

#[tokio::test(start_paused = true)]
async fn a_cid_with_a_tombstone_is_not_accepted_again() {
    let builder = Node::builder()
        .clock(cidery::engine::clock::Clock::steady())
        .limits(|limits| limits.retention = Duration::from_secs(60))
        .no_listener();
    let node = builder.start().await.unwrap();
    let mut call = Call::new("cidery.ping", ());
    call.cid = Some(Cid::new());
    let cid = node.invoker().invoke_async(call.clone()).await.unwrap().cid;
    node.invoker().find(cid, PATIENCE).await.unwrap();
    tokio::time::sleep(Duration::from_secs(90)).await;
    let error = node.invoker().invoke_async(call).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::AlreadyExists, "RESULT_EXPIRED")
    );
}

/// A key of another service is rejected.
#[tokio::test]
async fn a_follow_up_with_the_key_of_another_service_is_rejected() {
    let handler = |ctx: Context| async move {
        let next = ctx.invoke_async("demo.flaky", dict! { "failures": 0 });
        next.with_outcome().idempotency_key("taken").await.map(drop)
    };
    let node = TestNode::start(Node::builder().demo().service("first", handler)).await;
    let mut taken = Call::new("customer.get", dict! { "cust_id": 1 });
    taken.durable().idempotency_key = Some("taken".to_owned());
    node.client.invoke_async(taken).await.unwrap();
    let first = node.client.invoke_async(Call::new("first", ()));
    let cid = first.await.unwrap().cid;
    let outcome = ended(&node, cid).await.invocation.outcome().unwrap();
    assert_eq!(outcome.unwrap_err().reason(), "IDEMPOTENCY_MISMATCH");
}
