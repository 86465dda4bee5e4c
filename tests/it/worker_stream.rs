//! The rules of `WorkerService.Serve`, message by message, with a worker that uses the generated code alone.

use std::time::Duration;

use cidery::codec::convert::failure_from_proto;
use cidery::codec::proto::v1;
use cidery::codec::proto::v1::serve_response::Message as Inbound;
use cidery::codec::struct_pb;
use cidery::engine::clock::{Clock, ManualClock};
use cidery::model::call::Call;
use cidery::{Cid, Dict, Kind, Node, Result, dict};

use crate::support::raw::spawn;
use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{PATIENCE, TestNode, ended, error_of, failure, follow, names};

pub(crate) async fn node() -> TestNode {
    node_with_lease(PATIENCE).await
}

pub(crate) async fn node_with_lease(lease: Duration) -> TestNode {
    let limits = |limits: &mut cidery::engine::Limits| {
        limits.grace = Duration::from_millis(100);
        limits.worker_lease = lease;
    };
    TestNode::start(Node::builder().demo().limits(limits)).await
}

async fn worker(node: &TestNode) -> RawWorker {
    RawWorker::connect(node.address(), hello("a.task")).await
}

/// Waits until the token of a dispatch is void.
pub(crate) async fn until_void(node: &TestNode, token: &str) {
    let void = async {
        loop {
            let mut request = tonic::Request::new(v1::GetInvocationRequest {
                cid: Cid::new().to_string(),
                ..v1::GetInvocationRequest::default()
            });
            let metadata = request.metadata_mut();
            metadata.insert("cidery-dispatch", token.parse().unwrap());
            let answer = node.stub.clone().get_invocation(request).await;
            match error_of(&answer.unwrap_err()).reason() {
                "DISPATCH_VOID" => return,
                reason => assert_eq!(reason, "CID_UNKNOWN"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, void).await.unwrap();
}

/// A call in a task.
pub(crate) fn call(node: &TestNode, input: Dict) -> tokio::task::JoinHandle<Result<Cid>> {
    let client = node.client.clone();
    spawn(async move {
        let call = Call::new("a.task", input);
        client.invoke(call).await.map(|(cid, _)| cid)
    })
}

/// A call with a deadline of 50 ms, in a task.
pub(crate) fn impatient_call(node: &TestNode) -> tokio::task::JoinHandle<Result<Cid>> {
    let client = node.client.clone();
    spawn(async move {
        let mut call = Call::new("a.task", ());
        call.timeout = Some(Duration::from_millis(50));
        client.invoke(call).await.map(|(cid, _)| cid)
    })
}

async fn accept(node: &TestNode) -> Cid {
    let accepted = node
        .client
        .invoke_async(Call::new("a.task", dict! { "n": 1 }));
    accepted.await.unwrap().cid
}

#[tokio::test]
async fn three_messages_are_enough() {
    let node = node().await;
    let mut worker = worker(&node).await;
    assert_eq!(worker.welcome.session, "");
    let calling = call(&node, dict! { "n": 1 });
    let dispatch = worker.dispatch().await;
    assert_eq!((dispatch.service.as_str(), dispatch.attempt), ("a.task", 1));
    assert_eq!(dispatch.token.len(), 32);
    assert!(dispatch.timeout.is_some() && dispatch.deadline.is_some());
    let Some(v1::dispatch::Input::Payload(input)) = &dispatch.input else {
        panic!("no dict");
    };
    assert_eq!(struct_pb::decode_dict(input).unwrap(), dict! { "n": 1 });
    worker.answer(&dispatch.token, &dict! { "ok": true });
    assert_eq!(calling.await.unwrap().unwrap().to_string(), dispatch.cid);
}

/// With `CAPABILITY_BATCHING`, dispatches and results that wait go together in one message.
#[tokio::test]
async fn dispatches_and_results_are_batched() {
    const CALLS: usize = 100;
    let node = node().await;
    for is_batching in [true, false] {
        let mut hello = hello("a.task");
        hello.max_in_flight = 100;
        if is_batching {
            hello.capabilities = vec![v1::Capability::Batching.into()];
        }
        let capabilities = hello.capabilities.clone();
        let mut worker = RawWorker::connect(node.address(), hello).await;
        assert_eq!(worker.welcome.capabilities, capabilities);
        let batch = (0..CALLS as u64).map(|n| ("a.task", dict! { "n": n }));
        let batch = cidery::model::batch::Batch::of(batch).unwrap();
        let group = node.client.invoke_batch(batch).await.unwrap();
        let (dispatches, messages) = worker.dispatches(CALLS).await;
        assert_eq!(messages < CALLS, is_batching, "{messages}");
        let results = dispatches.into_iter().map(|dispatch| v1::DispatchResult {
            token: dispatch.token,
            outcome: match dispatch.input.unwrap() {
                v1::dispatch::Input::Payload(input) => {
                    Some(v1::dispatch_result::Outcome::Payload(input))
                }
                other => panic!("{other:?}"),
            },
            ..v1::DispatchResult::default()
        });
        worker.send_batch(results.collect());
        let outcomes = node.client.join(&group).await.unwrap();
        for ((_, outcome), n) in outcomes.into_iter().zip(0..) {
            let answer = cidery::codec::payload::decode(outcome.unwrap().payload);
            assert_eq!(answer.unwrap()["n"], cidery::Value::from(n));
        }
    }
}

/// The trace context of a call is that of its dispatch, and of its nested calls.
#[tokio::test]
async fn the_trace_context_of_a_call_is_propagated() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let node = node().await;
    let mut worker = worker(&node).await;
    let mut traced = Call::new("a.task", dict! {});
    traced.metadata = Some(std::sync::Arc::new(
        [("traceparent", TRACE)].into_iter().collect(),
    ));
    let client = node.client.clone();
    let calling = spawn(async move { client.invoke(traced).await.map(drop) });
    let dispatch = worker.dispatch().await;
    assert_eq!(dispatch.traceparent, TRACE);
    let mut nested = tonic::Request::new(v1::InvokeAsyncRequest {
        service: "a.task".to_owned(),
        ..v1::InvokeAsyncRequest::default()
    });
    let token = dispatch.token.parse().unwrap();
    nested.metadata_mut().insert("cidery-dispatch", token);
    node.stub.clone().invoke_async(nested).await.unwrap();
    assert_eq!(worker.dispatch().await.traceparent, TRACE);
    worker.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_worker_gets_at_most_max_in_flight_dispatches() {
    let node = node().await;
    let mut worker = worker(&node).await;
    let calling: Vec<_> = (0..25).map(|_| call(&node, dict! {})).collect();
    let mut tokens = Vec::new();
    for _ in 0..10 {
        tokens.push(worker.dispatch().await.token);
    }
    worker.assert_no_message().await;
    for answered in 0..25 {
        worker.answer(&tokens[answered], &dict! {});
        if tokens.len() < 25 {
            tokens.push(worker.dispatch().await.token);
        }
    }
    for calling in calling {
        calling.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_invalid_result_fails_its_dispatch_alone() {
    let node = node().await;
    let mut hello = hello("a.task");
    let int = v1::Element {
        name: "n".to_owned(),
        r#type: v1::ElementType::Int.into(),
        ..v1::Element::default()
    };
    hello.services[0].sio = Some(v1::SimpleIo {
        output: Some(v1::Elements {
            elements: vec![int],
            ..v1::Elements::default()
        }),
        ..v1::SimpleIo::default()
    });
    let mut worker = RawWorker::connect(node.address(), hello).await;
    for token in ["", "x", "0123456789abcdef0123456789abcdef"] {
        worker.answer(token, &dict! {});
        assert_eq!(worker.refused().await.token, token);
    }
    let large = dict! { "n": "x".repeat(17 << 20) };
    let cases = [
        (dict! { "n": "none" }, Kind::Internal, "OUTPUT_INVALID"),
        (large, Kind::ResourceExhausted, "MESSAGE_TOO_LARGE"),
    ];
    for (answer, kind, reason) in cases {
        let calling = call(&node, dict! {});
        let dispatch = worker.dispatch().await;
        worker.answer(&dispatch.token, &answer);
        let error = calling.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.reason()), (kind, reason));
        if reason == "OUTPUT_INVALID" {
            // The worker logs it: this is where the author of the service looks.
            let invalid = worker.output_invalid().await;
            let named = (invalid.token, invalid.cid, invalid.service.as_str());
            assert_eq!(named, (dispatch.token, dispatch.cid, "a.task"));
            let failure = failure_from_proto(invalid.failure.unwrap());
            assert_eq!(failure.reason(), reason);
            assert_eq!(failure.field_violations()[0].path, "/n");
        }
    }
    // Bytes that are not a protobuf message.
    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    worker.send_result(v1::DispatchResult {
        token: dispatch.token.clone(),
        outcome: Some(v1::dispatch_result::Outcome::Value(vec![0xff; 9].into())),
        ..v1::DispatchResult::default()
    });
    let error = calling.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), "OUTPUT_INVALID");
    assert_eq!(worker.output_invalid().await.token, dispatch.token);
    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    worker.answer(&dispatch.token, &dict! { "n": 1 });
    calling.await.unwrap().unwrap();
}

/// The default limit is 4 MiB. A larger message would end the whole stream.
#[tokio::test]
async fn an_input_above_the_message_limit_of_the_worker_is_refused() {
    let node = node().await;
    let mut worker = worker(&node).await;
    let calling = call(&node, dict! { "text": "x".repeat(5 << 20) });
    let error = calling.await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::ResourceExhausted, "MESSAGE_TOO_LARGE")
    );
    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    worker.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
}

/// The token fences the dispatch: a late result changes nothing. The credit stays in use until the result.
#[tokio::test]
async fn a_late_result_is_refused_and_frees_the_credit() {
    let node = node().await;
    let mut hello = hello("a.task");
    hello.max_in_flight = 1;
    hello.capabilities = vec![v1::Capability::Cancel.into()];
    let mut worker = RawWorker::connect(node.address(), hello).await;
    let calling = impatient_call(&node);
    let dispatch = worker.dispatch().await;
    let error = calling.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), "DEADLINE_EXCEEDED");
    match worker.next().await {
        Ok(Some(Inbound::Cancel(cancel))) => assert_eq!(cancel.token, dispatch.token),
        other => panic!("no cancel but {other:?}"),
    }
    let next = call(&node, dict! {});
    worker.assert_no_message().await;
    // After the grace period.
    until_void(&node, &dispatch.token).await;
    worker.answer(&dispatch.token, &dict! {});
    assert_eq!(worker.refused().await.token, dispatch.token);
    let dispatch = worker.dispatch().await;
    worker.answer(&dispatch.token, &dict! {});
    next.await.unwrap().unwrap();
}

/// A worker that promised to stop cancelled dispatches, and holds every permit with one.
#[tokio::test]
async fn a_stuck_worker_loses_its_stream() {
    let node = node().await;
    let mut hello = hello("a.task");
    hello.max_in_flight = 2;
    hello.capabilities = vec![v1::Capability::Cancel.into()];
    let mut worker = RawWorker::connect(node.address(), hello).await;
    for _ in 0..2 {
        let calling = impatient_call(&node);
        worker.dispatch().await;
        calling.await.unwrap().unwrap_err();
        match worker.next().await {
            Ok(Some(Inbound::Cancel(_))) => {}
            other => panic!("no cancel but {other:?}"),
        }
    }
    assert_eq!(worker.next().await.unwrap_err().reason(), "WORKER_LOST");
}

#[tokio::test]
async fn the_dispatches_of_a_lost_worker_fail_or_are_retried() {
    let node = node().await;
    let mut first = worker(&node).await;
    let calling = call(&node, dict! {});
    first.dispatch().await;
    let cid = accept(&node).await;
    first.dispatch().await;
    let mut second = worker(&node).await;
    drop(first);
    let error = calling.await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Unknown, "WORKER_LOST")
    );
    let dispatch = second.dispatch().await;
    assert_eq!((dispatch.cid, dispatch.attempt), (cid.to_string(), 1));
    second.answer(&dispatch.token, &dict! {});
    let events = node.events(follow(cid)).await;
    let expected = [
        "accepted",
        "started",
        "retry_scheduled",
        "started",
        "succeeded",
    ];
    assert_eq!(names(&events), expected);
}

/// The attempt keeps its number; the run tells its items apart, also for a reader that begins in the middle.
#[tokio::test]
async fn items_of_a_lost_run_are_told_apart() {
    use cidery::codec::proto::v1::stream_results_response::Event;

    let node = node().await;
    let item = |token: &str| {
        v1::serve_request::Message::Item(v1::DispatchItem {
            token: token.to_owned(),
            item: Some(v1::dispatch_item::Item::Payload(Vec::new().into())),
            number: 0,
        })
    };
    let mut first = worker(&node).await;
    let cid = accept(&node).await;
    let dispatch = first.dispatch().await;
    first.send(item(&dispatch.token));
    let mut stream = node.stub.clone().stream_results(follow(cid)).await.unwrap();
    let mut until_item = async || loop {
        let event = stream.get_mut().message().await.unwrap().unwrap();
        if let Some(Event::Item(_)) = event.event {
            return event;
        }
    };
    let lost = until_item().await;
    drop(first);
    let mut second = worker(&node).await;
    let dispatch = second.dispatch().await;
    second.send(item(&dispatch.token));
    let repeated = until_item().await;
    assert_eq!((lost.attempt, repeated.attempt), (1, 1));
    assert!(lost.run < repeated.run, "{lost:?} {repeated:?}");
    second.answer(&dispatch.token, &dict! {});
    ended(&node.client, cid).await;
    let all = node.events(follow(cid)).await;
    let starts: Vec<_> = all
        .iter()
        .filter(|it| matches!(it.event, Some(Event::Started(_))))
        .collect();
    assert_eq!([starts[0].run, starts[1].run], [lost.run, repeated.run]);
    assert!(starts.iter().all(|start| start.run == start.sequence));
    assert_eq!((all[0].run, all.last().unwrap().run), (0, repeated.run));
    for event in &all {
        let mut resumed = follow(cid);
        resumed
            .after_sequences
            .insert(cid.to_string(), event.sequence - 1);
        assert_eq!(node.events(resumed).await[0], *event);
    }
}

#[tokio::test]
async fn a_call_of_an_idempotent_service_is_retried_after_a_loss() {
    let node = node().await;
    let mut declared = hello("a.task");
    declared.services[0].options = Some(v1::ServiceOptions {
        idempotent: true,
        ..v1::ServiceOptions::default()
    });
    let mut first = RawWorker::connect(node.address(), declared.clone()).await;
    let calling = call(&node, dict! {});
    first.dispatch().await;
    let mut second = RawWorker::connect(node.address(), declared).await;
    drop(first);
    let dispatch = second.dispatch().await;
    second.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_invocation_that_loses_five_workers_is_poisoned() {
    let node = node().await;
    let cid = {
        let _first = worker(&node).await;
        accept(&node).await
    };
    // The loss of the first worker counts only where the attempt had started.
    for _ in 0..5 {
        let mut next = worker(&node).await;
        let ended = node.client.invocation(cid, Duration::ZERO).await.unwrap();
        if ended.end_time.is_some() {
            break;
        }
        next.dispatch().await;
    }
    assert_eq!(failure(ended(&node.client, cid).await).reason, "POISONED");
}

#[tokio::test]
async fn a_nested_call_has_the_token_of_its_dispatch() {
    let node = node().await;
    let mut worker = worker(&node).await;
    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    let nested = async |token: &str| {
        let mut request = tonic::Request::new(v1::InvokeRequest {
            service: "customer.get".to_owned(),
            input: Some(v1::invoke_request::Input::Payload(
                struct_pb::encode_dict(&dict! { "cust_id": 1 }).unwrap(),
            )),
            ..v1::InvokeRequest::default()
        });
        request
            .metadata_mut()
            .insert("cidery-dispatch", token.parse().unwrap());
        let answer = node.stub.clone().invoke(request).await;
        answer.map_err(|status| error_of(&status))
    };
    let answer = nested(&dispatch.token).await.unwrap();
    assert_eq!(answer.get_ref().cid, dispatch.cid);
    worker.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
    for void in [dispatch.token.as_str(), "x"] {
        let error = nested(void).await.unwrap_err();
        assert_eq!(error.reason(), "DISPATCH_VOID");
    }
}

fn with_input(name: &str, element: &str) -> v1::Hello {
    let mut hello = hello("a.task");
    hello.name = name.to_owned();
    hello.services[0].sio = Some(v1::SimpleIo {
        input: Some(v1::Elements {
            elements: vec![v1::Element {
                name: element.to_owned(),
                r#type: v1::ElementType::Int.into(),
                ..v1::Element::default()
            }],
            ..v1::Elements::default()
        }),
        ..v1::SimpleIo::default()
    });
    hello
}

/// A new declaration is rolled out and rolled back: old work goes to compatible workers.
#[tokio::test]
async fn work_goes_to_compatible_workers() {
    // No deferred work is polled again by the clock.
    let clock = Clock::Manual(ManualClock::new());
    let node = TestNode::start(Node::builder().demo().clock(clock)).await;
    // Accepted under the old declaration, while no worker serves it.
    drop(RawWorker::connect(node.address(), with_input("old", "n")).await);
    let old_work = accept(&node).await;
    let mut new = RawWorker::connect(node.address(), with_input("new", "m")).await;
    let described = node.client.describe("a.task").await.unwrap();
    assert_eq!(
        described
            .declaration
            .unwrap()
            .sio
            .unwrap()
            .input
            .unwrap()
            .elements[0]
            .name,
        "m"
    );
    new.assert_no_message().await;
    let waits = v1::PendingReason::NoCompatibleWorker;
    let is_waiting = async {
        let status = || node.client.invocation(old_work, Duration::ZERO);
        while status().await.unwrap().pending_reason() != waits {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, is_waiting).await.unwrap();
    // Inputs are checked against the newest declaration, and both are listed.
    let mut old = RawWorker::connect(node.address(), with_input("old", "n")).await;
    let error = call(&node, dict! { "n": 1 }).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), "INPUT_INVALID");
    let described = node.client.describe("a.task").await.unwrap();
    let hashes: std::collections::HashSet<_> = described
        .locations
        .iter()
        .map(|place| &place.declaration_hash)
        .collect();
    assert_eq!(hashes.len(), 2);
    // Rolled back: the old declaration is in force again, and its work runs.
    drop(new);
    let dispatch = old.dispatch().await;
    assert_eq!(dispatch.cid, old_work.to_string());
    old.answer(&dispatch.token, &dict! {});
    ended(&node.client, old_work).await;
    let calling = call(&node, dict! { "n": 1 });
    let dispatch = old.dispatch().await;
    old.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
}
