//! Durable synchronous calls: `on_deadline = CONTINUE` and idempotency keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cidery::codec::payload;
use cidery::codec::proto::v1;
use cidery::codec::struct_pb::encode_dict;
use cidery::engine::store::Stored;
use cidery::model::call::{Call, OnDeadline};
use cidery::remote::client::ContractClient;
use cidery::{Cid, Context, Dict, Error, Kind, Node, Reply, Value, dict};
use prost::Message as _;
use serde_json::json;

use crate::support::binary::Server;
use crate::support::dynamic::Dynamic;
use crate::support::raw::{INVOKE, Raw, framed};
use crate::support::{Folder, PATIENCE, TestNode, ended, error_of, failure, until};

fn keyed(service: &'static str, input: Dict, key: &str) -> Call {
    let mut call = Call::new(service, input);
    call.durable().idempotency_key = Some(key.to_owned());
    call
}

fn continuing(service: &'static str, input: Dict, timeout: Duration) -> Call {
    let mut call = Call::new(service, input);
    call.durable().on_deadline = OnDeadline::Continue;
    call.timeout = Some(timeout);
    call
}

fn value(reply: Reply) -> Value {
    payload::decode(reply.payload).unwrap()
}

#[tokio::test]
async fn a_call_that_ends_in_time_returns_its_response() {
    let node = TestNode::demo().await;
    let call = continuing("customer.get", dict! { "cust_id": 7 }, PATIENCE);
    let (cid, reply) = node.client.invoke(call).await.unwrap();
    let expected = dict! { "cust_id": 7, "cust_name": "Alexis Smith" };
    assert_eq!(value(reply), Value::Dict(expected));
    // It is stored like every asynchronous invocation.
    let found = ended(&node.client, cid).await;
    assert_eq!(found.state, i32::from(v1::State::Succeeded));
    let call = continuing("demo.flaky", dict! { "failures": 1 }, PATIENCE);
    let (_, reply) = node.client.invoke(call).await.unwrap();
    assert_eq!(value(reply), Value::Dict(dict! { "attempt": 2 }));
    let call = continuing("demo.fail", dict! { "code": "NOT_FOUND" }, PATIENCE);
    let error = node.client.invoke(call).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::NotFound, "DEMO_FAILED")
    );
}

#[tokio::test]
async fn a_call_that_outlives_its_caller_continues_and_can_be_fetched() {
    let node = TestNode::demo().await;
    let sleep = dict! { "seconds": 0.3 };
    let call = continuing("demo.sleep", sleep, Duration::from_millis(20));
    let error = node.client.invoke(call).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::DeadlineExceeded, "STILL_RUNNING")
    );
    let found = ended(&node.client, error.cid().unwrap()).await;
    assert_eq!(found.state, i32::from(v1::State::Succeeded));
    // A caller that disconnects.
    let cid = Cid::new();
    let mut call = continuing("demo.sleep", dict! { "seconds": 0.3 }, PATIENCE);
    call.cid = Some(cid);
    let running = || node.handle.invoker().service("demo.sleep").unwrap().status;
    tokio::select! {
        outcome = node.client.invoke(call) => panic!("{outcome:?}"),
        () = until("it runs", || running().running == 1) => {}
    }
    let found = ended(&node.client, cid).await;
    assert_eq!(found.state, i32::from(v1::State::Succeeded));
}

#[tokio::test]
async fn a_repeated_key_returns_the_first_outcome() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let handler = move |_: Context| {
        let run = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            dict! { "run": run }
        }
    };
    let node = TestNode::start(Node::builder().service("count", handler)).await;
    let (first, reply) = node
        .client
        .invoke(keyed("count", dict! {}, "k"))
        .await
        .unwrap();
    let (again, repeated) = node
        .client
        .invoke(keyed("count", dict! {}, "k"))
        .await
        .unwrap();
    assert_eq!((first, value(reply)), (again, value(repeated)));
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    // Synchronous and asynchronous calls share their keys.
    let accepted = node.client.invoke_async(keyed("count", dict! {}, "k"));
    let accepted = accepted.await.unwrap();
    assert!(accepted.already_accepted && accepted.cid == first);
    let other = keyed("count", dict! { "other": 1 }, "k");
    let error = node.client.invoke(other).await.unwrap_err();
    assert_eq!(error.reason(), "IDEMPOTENCY_MISMATCH");
}

#[tokio::test]
async fn a_call_with_only_a_key_is_attempted_once_within_its_deadline() {
    let node = TestNode::demo().await;
    let flaky = || keyed("demo.flaky", dict! { "failures": 1 }, "f");
    let error = node.client.invoke(flaky()).await.unwrap_err();
    assert_eq!(error.reason(), "DEMO_FLAKY");
    let again = node.client.invoke(flaky()).await.unwrap_err();
    assert_eq!((again.reason(), again.cid()), (error.reason(), error.cid()));
    let mut late = keyed("demo.sleep", dict! { "seconds": 600 }, "s");
    late.timeout = Some(Duration::from_millis(20));
    let error = node.client.invoke(late).await.unwrap_err();
    assert_eq!(error.reason(), "DEADLINE_EXCEEDED");
    let found = ended(&node.client, error.cid().unwrap()).await;
    assert_eq!(failure(found).reason, "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn typed_methods_accept_both_options_as_metadata() {
    let node = TestNode::demo().await;
    let client = Dynamic::discover(node.address(), "demo.Service").await;
    let sleep = async |seconds: f64, metadata: &[(&'static str, &str)]| {
        let input = json!({ "seconds": seconds });
        client
            .call_with("demo.Service/Sleep", input, metadata)
            .await
    };
    let key = [("cidery-idempotency-key", "k")];
    let (_, first) = sleep(0.0, &key).await.unwrap();
    let (_, again) = sleep(0.0, &key).await.unwrap();
    assert_eq!(first.get("cidery-cid"), again.get("cidery-cid"));
    let waits = [
        ("cidery-on-deadline", "continue"),
        ("cidery-timeout", "20ms"),
    ];
    let error = error_of(&sleep(0.3, &waits).await.unwrap_err());
    assert_eq!(error.reason(), "STILL_RUNNING");
    let found = ended(&node.client, error.cid().unwrap()).await;
    assert_eq!(found.state, i32::from(v1::State::Succeeded));
    // The explicit default stores nothing.
    let (_, plain) = sleep(0.0, &[("cidery-on-deadline", "cancel")])
        .await
        .unwrap();
    let cid = Cid::parse(plain.get("cidery-cid").unwrap().to_str().unwrap()).unwrap();
    let error = node
        .client
        .invocation(cid, Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "CID_UNKNOWN");
}

/// An outcome that was recorded before is marked, of a success and of a failure, and of a typed method too.
#[tokio::test]
async fn the_outcome_of_a_repeated_call_is_marked() {
    const MARK: &str = "cidery-already-accepted";
    let node = TestNode::demo().await;
    let mut raw = Raw::connect(node.address()).await;
    let mut invoke = async |service: &str, input: Dict| {
        let message = v1::InvokeRequest {
            service: service.to_owned(),
            input: Some(v1::invoke_request::Input::Payload(
                encode_dict(&input).unwrap(),
            )),
            idempotency_key: service.to_owned(),
            ..v1::InvokeRequest::default()
        };
        raw.call(INVOKE, &[], framed(&message.encode_to_vec()))
            .await
    };
    let get = dict! { "cust_id": 7 };
    assert_eq!(invoke("customer.get", get.clone()).await.get(MARK), None);
    assert_eq!(invoke("customer.get", get).await.get(MARK), Some("true"));
    let fail = dict! { "code": "NOT_FOUND" };
    let first = invoke("demo.fail", fail.clone()).await;
    assert_eq!(
        (first.error().fact("already_accepted"), first.get(MARK)),
        (None, None)
    );
    let again = invoke("demo.fail", fail).await;
    let error = again.error();
    assert_eq!(error.fact("already_accepted"), Some("true"), "{error:?}");
    assert_eq!(
        (again.error().reason(), again.get(MARK)),
        ("DEMO_FAILED", Some("true"))
    );
    assert_eq!(again.error().cid(), first.error().cid());

    let client = Dynamic::discover(node.address(), "customer.Service").await;
    for (options, marked) in [
        (&[("cidery-idempotency-key", "t")][..], [None, Some("true")]),
        (
            &[
                ("cidery-idempotency-key", "u"),
                ("cidery-on-deadline", "continue"),
            ],
            [None, Some("true")],
        ),
    ] {
        for expected in marked {
            let input = json!({ "cust_id": 1 });
            let (_, metadata) = client
                .call_with("customer.Service/Get", input, options)
                .await
                .unwrap();
            let mark = metadata.get(MARK).map(|mark| mark.to_str().unwrap());
            assert_eq!(mark, expected, "{options:?}");
        }
    }
}

/// A client whose deadline strikes has the CID already: it is in the headers, which come before the outcome.
#[tokio::test]
async fn a_call_that_continues_answers_its_cid_before_its_outcome() {
    let node = TestNode::demo().await;
    let mut raw = Raw::connect(node.address()).await;
    let sleep = |seconds: u32| {
        let input = encode_dict(&dict! { "seconds": seconds }).unwrap();
        let message = v1::InvokeRequest {
            service: "demo.sleep".to_owned(),
            input: Some(v1::invoke_request::Input::Payload(input)),
            on_deadline: v1::OnDeadline::Continue.into(),
            ..v1::InvokeRequest::default()
        };
        framed(&message.encode_to_vec())
    };
    let client = Dynamic::discover(node.address(), "demo.Service").await;
    let typed = client.encoded("demo.Service/Sleep", json!({ "seconds": 600 }));
    let option = [("cidery-on-deadline", "continue")];
    for (path, headers, body) in [
        (INVOKE, &[][..], sleep(600)),
        ("/demo.Service/Sleep", &option, framed(&typed)),
    ] {
        let (response, mut send) = raw.begin(path, headers);
        send.send_data(body, true).unwrap();
        let response = tokio::time::timeout(PATIENCE, response).await;
        let response = response.expect("no headers before the outcome").unwrap();
        let cid = response.headers()["cidery-cid"].to_str().unwrap();
        let cid = Cid::parse(cid).unwrap();
        // The caller goes away.
        drop((response, send));
        node.handle.invoker().cancel(cid, None).await.unwrap();
        assert_eq!(
            ended(&node.client, cid).await.state,
            i32::from(v1::State::Cancelled)
        );
    }
    // The outcome follows: a response, or a failure in the trailers.
    let answer = raw.call(INVOKE, &[], sleep(0)).await;
    assert_eq!(
        (answer.get("grpc-status"), answer.trailers.is_empty()),
        (Some("0"), false)
    );
    let message = v1::InvokeRequest {
        service: "demo.fail".to_owned(),
        input: Some(v1::invoke_request::Input::Payload(
            encode_dict(&dict! { "code": "NOT_FOUND" }).unwrap(),
        )),
        on_deadline: v1::OnDeadline::Continue.into(),
        ..v1::InvokeRequest::default()
    };
    let answer = raw
        .call(INVOKE, &[], framed(&message.encode_to_vec()))
        .await;
    assert_eq!(
        (answer.error().kind(), answer.error().reason()),
        (Kind::NotFound, "DEMO_FAILED")
    );
    assert_eq!(
        answer.error().cid().map(|cid| cid.to_string()).as_deref(),
        answer.get("cidery-cid")
    );
}

/// Starts two calls on a node: one with only a key, one that outlives its caller.
async fn leave_two_running(server: &Server) -> (Cid, Cid) {
    let client = ContractClient::connect(&server.address).await.unwrap();
    let (once, on) = (Cid::new(), Cid::new());
    let mut keyed = keyed("demo.sleep", dict! { "seconds": 1 }, "k");
    keyed.cid = Some(once);
    let mut continuing = continuing("demo.sleep", dict! { "seconds": 1 }, PATIENCE);
    continuing.cid = Some(on);
    let both_run = async {
        for cid in [once, on] {
            loop {
                let found = client.invocation(cid, Duration::ZERO).await;
                let state = found.map(|found| found.state).unwrap_or_default();
                if state == i32::from(v1::State::Running) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::select! {
        outcome = client.invoke(keyed) => panic!("{outcome:?}"),
        outcome = client.invoke(continuing) => panic!("{outcome:?}"),
        () = both_run => {}
    }
    (once, on)
}

#[tokio::test]
async fn after_a_crash_a_call_with_only_a_key_is_lost_and_a_continued_call_is_retried() {
    let folder = Folder::new("lasting");
    let options = ["--data-dir", folder.path().to_str().unwrap()];
    let server = Server::start(&options);
    let (once, on) = leave_two_running(&server).await;
    server.signal("KILL");
    drop(server);
    // A node that does not serve it and stops cleanly does not change that.
    let between = cidery::store::SqliteStore::open(folder.path()).unwrap();
    drop(between);
    let server = Server::start(&options);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let lost = failure(ended(&client, once).await);
    assert_eq!(
        (lost.reason.as_str(), lost.retryable),
        ("NODE_LOST", Some(false))
    );
    let found = ended(&client, on).await;
    assert_eq!(found.state, i32::from(v1::State::Succeeded));
    // A retry returns the recorded outcome.
    let again = keyed("demo.sleep", dict! { "seconds": 1 }, "k");
    let error: Error = client.invoke(again).await.unwrap_err();
    assert_eq!((error.reason(), error.cid()), ("NODE_LOST", Some(once)));
}

/// A node that stops cleanly does not return invocations to the queue that must not run twice.
#[tokio::test]
async fn a_stopping_node_records_a_call_with_only_a_key_as_lost() {
    let handler = |_: Context| std::future::pending::<()>();
    let builder = Node::builder()
        .service("never", handler)
        .no_listener()
        .drain(Duration::ZERO)
        .limits(|limits| limits.grace = Duration::from_millis(50));
    let node = builder.start().await.unwrap();
    let invoker = node.invoker().clone();
    let stop = async {
        let running = || invoker.service("never").unwrap().status.running;
        until("it runs", || running() == 1).await;
        node.stop().await;
    };
    let call = keyed("never", dict! {}, "k");
    let call = invoker.invoke(Cid::new(), call);
    let (outcome, ()) = tokio::join!(call, stop);
    let error = outcome.unwrap_err();
    assert_eq!(error.reason(), "NODE_LOST");
    let found = invoker.store().get(error.cid().unwrap()).await.unwrap();
    let Stored::Found(found) = found else {
        panic!("{found:?}");
    };
    assert_eq!(found.failure().unwrap().reason(), "NODE_LOST");
}
