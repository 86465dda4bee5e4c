//! Options of asynchronous invocations over each store: delay, expiration, deadline, retries, keys, callbacks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::engine::clock::Clock;
use cidery::engine::{FollowRequest, InvocationView};
use cidery::model::call::{Call, Start};
use cidery::model::invocation::State;
use cidery::store::{MemoryStore, SqliteStore};
use cidery::{
    Cid, Context, Definition, Dict, Error, Kind, Node, NodeBuilder, NodeHandle, RetryPolicy, Value,
    dict,
};
use tokio::sync::mpsc;

use crate::support::{Folder, PATIENCE};

/// A node over a store; with paused time the clock advances only while the node is idle.
async fn start(builder: NodeBuilder, on_disk: Option<&Folder>) -> NodeHandle {
    let builder = builder.demo().no_listener().clock(Clock::steady());
    let builder = match on_disk {
        Some(folder) => builder.store(SqliteStore::open(folder.path()).unwrap()),
        None => builder.store(MemoryStore::new()),
    };
    builder.start().await.unwrap()
}

async fn ended(node: &NodeHandle, cid: Cid) -> InvocationView {
    let found = node
        .invoker()
        .find(cid, Duration::from_secs(1_000_000))
        .await
        .unwrap();
    assert!(
        found.invocation.state.is_terminal(),
        "{:?}",
        found.invocation.state
    );
    found
}

fn call(service: &'static str, input: Dict) -> Call {
    Call::new(service, input)
}

async fn accept(node: &NodeHandle, call: Call) -> Cid {
    node.invoker().invoke_async(call).await.unwrap().cid
}

/// Each test runs over the in-memory store with paused time, and over the embedded store in real time.
macro_rules! over_each_store {
    ($($name:ident)*) => {
        mod memory {
            $(
                #[tokio::test(start_paused = true)]
                async fn $name() {
                    super::$name(None).await;
                }
            )*
        }

        mod sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    let folder = crate::support::Folder::new("terms");
                    super::$name(Some(&folder)).await;
                }
            )*
        }
    };
}

over_each_store! {
    a_delayed_invocation_starts_after_its_delay
    an_invocation_that_does_not_start_in_time_expires
    a_deadline_ends_running_and_pending_invocations
    a_policy_of_the_call_beats_the_services
    a_held_invocation_waits_for_an_operator
    an_idempotency_key_accepts_one_invocation
    callbacks_receive_the_outcome_and_its_origin
    callbacks_to_unknown_services_are_rejected
    once_accepts_a_child_once_for_all_attempts
    invocations_with_one_concurrency_key_run_one_at_a_time_in_order
    a_follow_up_with_a_key_is_accepted_once
    follow_ups_are_accepted_atomically_with_the_response
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
    let node = start(Node::builder().define(busy), disk).await;
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
    flaky.durable().hold = true;
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

async fn an_idempotency_key_accepts_one_invocation(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let keyed = |service, input| {
        let mut keyed = call(service, input);
        keyed.durable().idempotency_key = Some("order-7".to_owned());
        keyed
    };
    let invoke = async |call| node.invoker().invoke_async(call).await;
    let first = invoke(keyed("customer.get", dict! { "cust_id": 1 }))
        .await
        .unwrap();
    assert!(!first.already_accepted);
    let again = invoke(keyed("customer.get", dict! { "cust_id": 1 }))
        .await
        .unwrap();
    assert_eq!((again.cid, again.already_accepted), (first.cid, true));
    let error = invoke(keyed("customer.get", dict! { "cust_id": 2 }))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::AlreadyExists, "IDEMPOTENCY_MISMATCH")
    );
    // The key applies to all services.
    let other = invoke(keyed("cidery.echo", dict! { "cust_id": 1 })).await;
    assert_eq!(other.unwrap_err().reason(), "IDEMPOTENCY_MISMATCH");
    let mut long = call("cidery.echo", dict! {});
    long.durable().idempotency_key = Some("x".repeat(256));
    assert_eq!(invoke(long).await.unwrap_err().reason(), "REQUEST_INVALID");
    ended(&node, first.cid).await;
    node.stop().await;
}

async fn callbacks_receive_the_outcome_and_its_origin(disk: Option<&Folder>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let listen = move |ctx: Context, input: Value| {
        let sender = sender.clone();
        async move {
            let reply = ctx.in_reply_to().cloned().unwrap();
            sender.send((ctx.cid(), reply, input)).unwrap();
        }
    };
    let node = start(Node::builder().service("listen", listen), disk).await;
    let with_callbacks = |mut call: Call| {
        call.durable().callbacks = vec!["listen".to_owned()];
        call.durable().failure_callbacks = vec!["listen".to_owned(), "listen".to_owned()];
        call
    };
    let good = accept(
        &node,
        with_callbacks(call("customer.get", dict! { "cust_id": 1 })),
    )
    .await;
    let (callback, reply, input) = receiver.recv().await.unwrap();
    assert_eq!(
        (reply.cid, reply.service.as_str(), reply.attempt),
        (good, "customer.get", 1)
    );
    assert_eq!(input["cust_name"], Value::from("Alexis Smith"));
    let found = ended(&node, callback).await.invocation;
    assert_eq!(
        (found.state, found.request.parent),
        (State::Succeeded, Some(good))
    );
    let failing = dict! { "code": "NOT_FOUND", "message": "gone" };
    let bad = accept(&node, with_callbacks(call("demo.fail", failing))).await;
    for _ in 0..2 {
        let (_, reply, input) = receiver.recv().await.unwrap();
        assert_eq!(reply.cid, bad);
        assert_eq!(input["code"], Value::from("NOT_FOUND"));
        assert_eq!(input["reason"], Value::from("DEMO_FAILED"));
        assert_eq!(input["message"], Value::from("gone"));
    }
    // Cancelled and expired invocations invoke failure callbacks as well.
    let waits = || {
        let mut call = with_callbacks(call("demo.sleep", dict! { "seconds": 60 }));
        call.durable().start = Some(Start::After(Duration::from_secs(3_600)));
        call
    };
    let cancelled = accept(&node, waits()).await;
    node.invoker().cancel(cancelled).await.unwrap();
    let mut short = waits();
    short.durable().expiration = Some(Duration::from_millis(10));
    let expired = accept(&node, short).await;
    for (cid, reason) in [(cancelled, "CANCELLED"), (expired, "EXPIRED")] {
        for _ in 0..2 {
            let (_, reply, input) = receiver.recv().await.unwrap();
            assert_eq!((reply.cid, &input["reason"]), (cid, &Value::from(reason)));
        }
    }
    node.stop().await;
}

async fn callbacks_to_unknown_services_are_rejected(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let mut call = call("customer.get", dict! { "cust_id": 1 });
    call.durable().failure_callbacks = vec!["no.such".to_owned()];
    let error = node.invoker().invoke_async(call).await.unwrap_err();
    assert_eq!(error.reason(), "SERVICE_UNKNOWN");
    node.stop().await;
}

async fn once_accepts_a_child_once_for_all_attempts(disk: Option<&Folder>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let parent = move |ctx: Context| {
        let sender = sender.clone();
        async move {
            let child = ctx
                .invoke_async("child", dict! {})
                .once("the child")
                .await?;
            sender.send(child).unwrap();
            if ctx.attempt() < 3 {
                return Err(Error::unavailable("AGAIN", "again"));
            }
            Ok(dict! {})
        }
    };
    let child = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        async {
            dict! {}
        }
    };
    let policy = RetryPolicy {
        initial_interval: Duration::from_millis(1),
        ..RetryPolicy::default()
    };
    let parent = Definition::new("parent", parent)
        .unwrap()
        .retry_policy(policy);
    let node = start(Node::builder().define(parent).service("child", child), disk).await;
    let cid = accept(&node, call("parent", dict! {})).await;
    assert_eq!(ended(&node, cid).await.invocation.attempts, 3);
    let first = receiver.recv().await.unwrap();
    assert_eq!(
        [
            receiver.recv().await.unwrap(),
            receiver.recv().await.unwrap()
        ],
        [first, first]
    );
    ended(&node, first).await;
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    node.stop().await;
}

async fn invocations_with_one_concurrency_key_run_one_at_a_time_in_order(disk: Option<&Folder>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let running = Arc::new(AtomicUsize::new(0));
    let handler = move |input: Dict| {
        let (sender, running) = (sender.clone(), Arc::clone(&running));
        async move {
            let others = running.fetch_add(1, Ordering::SeqCst);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            running.fetch_sub(1, Ordering::SeqCst);
            sender.send((input["n"].as_int().unwrap(), others)).unwrap();
        }
    };
    let node = start(Node::builder().service("alone", handler), disk).await;
    let mut cids = Vec::new();
    for n in 0..12 {
        let mut alone = call("alone", dict! { "n": n });
        alone.durable().concurrency_key = Some("account-7".to_owned());
        cids.push(accept(&node, alone).await);
    }
    for cid in cids {
        ended(&node, cid).await;
    }
    for n in 0..12 {
        assert_eq!(receiver.recv().await.unwrap(), (n, 0));
    }
    // Invocations with other keys do not wait.
    let mut busy = call("demo.sleep", dict! { "seconds": 3_600 });
    busy.durable().concurrency_key = Some("a".to_owned());
    let first = accept(&node, busy.clone()).await;
    let second = accept(&node, busy).await;
    let mut other = call("demo.sleep", dict! { "seconds": 0 });
    other.durable().concurrency_key = Some("b".to_owned());
    let other = accept(&node, other).await;
    ended(&node, other).await;
    let found = node
        .invoker()
        .find(second, Duration::ZERO)
        .await
        .unwrap()
        .invocation;
    assert_eq!(found.state, State::ACCEPTED);
    for cid in [second, first] {
        node.invoker().cancel(cid).await.unwrap();
        ended(&node, cid).await;
    }
    node.stop().await;
}

/// A repeated follow-up returns the CID of the first one.
async fn a_follow_up_with_a_key_is_accepted_once(disk: Option<&Folder>) {
    let handler = |ctx: Context| async move {
        let mut cids = Vec::new();
        for _ in 0..2 {
            let next = ctx.invoke_async("customer.get", dict! { "cust_id": 1 });
            let next = next.with_outcome().idempotency_key("welcome").await?;
            cids.push(next.to_string());
        }
        Ok::<_, Error>(dict! { "next": cids })
    };
    let node = start(Node::builder().service("first", handler), disk).await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..2 {
        let cid = accept(&node, call("first", dict! {})).await;
        let outcome = ended(&node, cid).await.invocation.outcome().unwrap();
        let value = cidery::codec::payload::decode(outcome.unwrap().payload).unwrap();
        let cids = value["next"].as_list().unwrap().iter();
        seen.extend(cids.map(|cid| cid.as_text().unwrap().to_owned()));
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    for cid in seen {
        ended(&node, Cid::parse(&cid).unwrap()).await;
    }
    node.stop().await;
}

async fn follow_ups_are_accepted_atomically_with_the_response(disk: Option<&Folder>) {
    let handler = |ctx: Context, input: Dict| async move {
        let next = ctx
            .invoke_async("customer.get", dict! { "cust_id": 1 })
            .with_outcome()
            .await?;
        let found = input["fails"] == Value::from(true);
        match found {
            true => Err(Error::not_found("FAILED", next.to_string())),
            false => Ok(dict! { "next": next.to_string() }),
        }
    };
    let node = start(Node::builder().service("first", handler), disk).await;
    let good = accept(&node, call("first", dict! {})).await;
    let reply = ended(&node, good)
        .await
        .invocation
        .outcome()
        .unwrap()
        .unwrap();
    let value = cidery::codec::payload::decode(reply.payload).unwrap();
    let next = Cid::parse(value["next"].as_text().unwrap()).unwrap();
    let found = ended(&node, next).await.invocation;
    assert_eq!(
        (found.state, found.request.parent),
        (State::Succeeded, Some(good))
    );
    let bad = accept(&node, call("first", dict! { "fails": true })).await;
    let error = ended(&node, bad)
        .await
        .invocation
        .outcome()
        .unwrap()
        .unwrap_err();
    let never = Cid::parse(error.message()).unwrap();
    let error = node
        .invoker()
        .find(never, Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "CID_UNKNOWN");
    node.stop().await;
}

/// A request for a failing service with most of the options.
fn flaky_with_terms() -> v1::InvokeAsyncRequest {
    v1::InvokeAsyncRequest {
        service: "demo.flaky".to_owned(),
        input: Some(v1::invoke_async_request::Input::Payload(
            cidery::codec::struct_pb::encode_dict(&dict! { "failures": 9 }).unwrap(),
        )),
        idempotency_key: "k".to_owned(),
        start: Some(v1::invoke_async_request::Start::Delay(
            prost_types::Duration {
                seconds: 0,
                nanos: 1,
            },
        )),
        expiration: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        retry_policy: Some(v1::RetryPolicy {
            max_attempts: 1,
            ..v1::RetryPolicy::default()
        }),
        on_exhausted: v1::OnExhausted::Hold.into(),
        ..v1::InvokeAsyncRequest::default()
    }
}

/// Options of a gRPC request are stored unchanged.
#[tokio::test]
async fn terms_are_transmitted_over_grpc() {
    let node = crate::support::TestNode::demo().await;
    let mut stub = node.stub.clone();
    let request = flaky_with_terms();
    let cid = stub
        .invoke_async(request.clone())
        .await
        .unwrap()
        .into_inner()
        .cid;
    let again = stub
        .invoke_async(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!((&again.cid, again.already_accepted), (&cid, true));
    let get = async || {
        let request = v1::GetInvocationRequest {
            cid: cid.clone(),
            ..Default::default()
        };
        node.stub
            .clone()
            .get_invocation(request)
            .await
            .unwrap()
            .into_inner()
            .invocation
            .unwrap()
    };
    let held = async {
        while get().await.pending_reason != i32::from(v1::PendingReason::Held) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, held).await.unwrap();
    let found = get().await;
    assert_eq!((found.idempotency_key.as_str(), found.attempt), ("k", 1));
    assert!(found.expire_time.is_some());
    let by_key = v1::GetInvocationRequest {
        service: "demo.flaky".to_owned(),
        idempotency_key: "k".to_owned(),
        ..Default::default()
    };
    let found = stub
        .get_invocation(by_key.clone())
        .await
        .unwrap()
        .into_inner()
        .invocation
        .unwrap();
    assert_eq!(found.cid, cid);
    let unknown = v1::GetInvocationRequest {
        idempotency_key: "x".to_owned(),
        ..by_key
    };
    let error = crate::support::error_of(&stub.get_invocation(unknown).await.unwrap_err());
    assert_eq!(error.reason(), "CID_UNKNOWN");
    let wrong = v1::InvokeAsyncRequest {
        retry_policy: Some(v1::RetryPolicy {
            multiplier: 0.5,
            ..v1::RetryPolicy::default()
        }),
        ..request
    };
    let error = crate::support::error_of(&stub.invoke_async(wrong).await.unwrap_err());
    assert_eq!(error.field_violations()[0].path, "/retry_policy/multiplier");
}
