//! The rules of `WorkerService.Serve`, message by message, by a worker that has no library of ours.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::serve_response::Message as Said;
use cidery::codec::struct_pb;
use cidery::engine::clock::{Clock, ManualClock};
use cidery::model::call::Call;
use cidery::{Cid, Dict, Kind, Node, Result, dict};

use crate::support::bare::{Bare, hello};
use crate::support::proxy::Proxy;
use crate::support::raw::spawn;
use crate::support::{PATIENCE, TestNode, ended, failure, follow, names};

async fn node() -> TestNode {
    node_with_lease(PATIENCE).await
}

async fn node_with_lease(lease: Duration) -> TestNode {
    let limits = |limits: &mut cidery::engine::Limits| {
        limits.grace = Duration::from_millis(100);
        limits.worker_lease = lease;
    };
    TestNode::start(Node::builder().demo().limits(limits)).await
}

async fn worker(node: &TestNode) -> Bare {
    Bare::connect(node.address(), hello("a.task")).await
}

/// A call under way.
fn call(node: &TestNode, input: Dict) -> tokio::task::JoinHandle<Result<Cid>> {
    let client = node.client.clone();
    spawn(async move {
        let call = Call::new("a.task", input);
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

/// What waits for a worker that can do it goes to it in one message, and its results come in one.
#[tokio::test]
async fn several_go_in_one_message() {
    const CALLS: usize = 100;
    let node = node().await;
    for several in [true, false] {
        let mut hello = hello("a.task");
        hello.max_in_flight = 100;
        if several {
            hello.capabilities = vec![v1::Capability::Batching.into()];
        }
        let capabilities = hello.capabilities.clone();
        let mut worker = Bare::connect(node.address(), hello).await;
        assert_eq!(worker.welcome.capabilities, capabilities);
        let batch = (0..CALLS as u64).map(|n| ("a.task", dict! { "n": n }));
        let batch = cidery::model::batch::Batch::of(batch);
        let group = node.client.invoke_batch(batch).await.unwrap();
        let (dispatches, messages) = worker.dispatches(CALLS).await;
        assert_eq!(messages < CALLS, several, "{messages}");
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
        worker.send_several(results.collect());
        let outcomes = node.client.join(&group).await.unwrap();
        for ((_, outcome), n) in outcomes.into_iter().zip(0..) {
            let answer = cidery::codec::payload::decode(outcome.unwrap().payload);
            assert_eq!(answer.unwrap()["n"], cidery::Value::from(n));
        }
    }
}

/// The trace of a call goes on in the worker, and in what it invokes.
#[tokio::test]
async fn the_trace_of_a_call_is_handed_on() {
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
async fn it_gets_no_more_than_it_announced() {
    let node = node().await;
    let mut worker = worker(&node).await;
    let calling: Vec<_> = (0..25).map(|_| call(&node, dict! {})).collect();
    let mut tokens = Vec::new();
    for _ in 0..10 {
        tokens.push(worker.dispatch().await.token);
    }
    worker.hears_nothing().await;
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
async fn wrong_answers_fail_what_they_answer_and_nothing_else() {
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
    let mut worker = Bare::connect(node.address(), hello).await;
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
    }
    // Bytes that are no message.
    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    worker.send_result(v1::DispatchResult {
        token: dispatch.token,
        outcome: Some(v1::dispatch_result::Outcome::Value(vec![0xff; 9].into())),
        ..v1::DispatchResult::default()
    });
    let error = calling.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), "OUTPUT_INVALID");
    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    worker.answer(&dispatch.token, &dict! { "n": 1 });
    calling.await.unwrap().unwrap();
}

/// 4 MiB, unless the worker says otherwise: its library would end the whole stream.
#[tokio::test]
async fn what_a_worker_cannot_read_is_refused_to_its_caller() {
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

/// The token fences the dispatch: what comes too late changes nothing, and its seat is taken until it comes.
#[tokio::test]
async fn a_late_answer_is_refused_and_frees_the_seat() {
    let node = node().await;
    let mut hello = hello("a.task");
    hello.max_in_flight = 1;
    hello.capabilities = vec![v1::Capability::Cancel.into()];
    let mut worker = Bare::connect(node.address(), hello).await;
    let client = node.client.clone();
    let calling = spawn(async move {
        let mut call = Call::new("a.task", ());
        call.timeout = Some(Duration::from_millis(50));
        client.invoke(call).await
    });
    let dispatch = worker.dispatch().await;
    let error = calling.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), "DEADLINE_EXCEEDED");
    match worker.next().await {
        Ok(Some(Said::Cancel(cancel))) => assert_eq!(cancel.token, dispatch.token),
        other => panic!("no cancel but {other:?}"),
    }
    let next = call(&node, dict! {});
    worker.hears_nothing().await;
    // The grace period is over as well by then: nobody waits for it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    worker.answer(&dispatch.token, &dict! {});
    assert_eq!(worker.refused().await.token, dispatch.token);
    let dispatch = worker.dispatch().await;
    worker.answer(&dispatch.token, &dict! {});
    next.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_worker_that_never_stops_loses_its_stream() {
    let node = node().await;
    let mut worker = worker(&node).await;
    let client = node.client.clone();
    let calling = spawn(async move {
        let mut call = Call::new("a.task", ());
        call.timeout = Some(Duration::from_millis(50));
        client.invoke(call).await
    });
    worker.dispatch().await;
    calling.await.unwrap().unwrap_err();
    assert_eq!(worker.next().await.unwrap_err().reason(), "WORKER_LOST");
}

#[tokio::test]
async fn what_a_lost_worker_had_fails_or_runs_again() {
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

#[tokio::test]
async fn a_service_declared_idempotent_is_called_again() {
    let node = node().await;
    let mut declared = hello("a.task");
    declared.services[0].options = Some(v1::ServiceOptions {
        idempotent: true,
        ..v1::ServiceOptions::default()
    });
    let mut first = Bare::connect(node.address(), declared.clone()).await;
    let calling = call(&node, dict! {});
    first.dispatch().await;
    let mut second = Bare::connect(node.address(), declared).await;
    drop(first);
    let dispatch = second.dispatch().await;
    second.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_loses_its_worker_again_and_again_is_given_up() {
    let node = node().await;
    let cid = {
        let _first = worker(&node).await;
        accept(&node).await
    };
    // The first one left before it read anything, or in the middle: it counts where it had begun.
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

fn resumable() -> v1::Hello {
    v1::Hello {
        capabilities: vec![v1::Capability::Resume.into()],
        ..hello("a.task")
    }
}

/// A worker that can resume, behind a cable that can be cut.
async fn behind_a_cable(node: &TestNode) -> (Bare, Proxy) {
    let cable = Proxy::to(node.address()).await;
    (Bare::connect(cable.address, resumable()).await, cable)
}

/// Cuts the cable; answers with the hello to come back with.
fn cut(worker: &Bare, cable: &Proxy) -> v1::Hello {
    cable.cut();
    v1::Hello {
        session: worker.welcome.session.clone(),
        ..resumable()
    }
}

#[tokio::test]
async fn a_worker_that_comes_back_keeps_what_it_has() {
    let node = node().await;
    let (mut worker, cable) = behind_a_cable(&node).await;
    let id = worker.welcome.worker_id.clone();
    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    let mut again = cut(&worker, &cable);
    again.tokens = vec![dispatch.token.clone()];
    let mut worker = Bare::connect(node.address(), again).await;
    assert_eq!(worker.welcome.worker_id, id);
    assert_eq!(worker.welcome.tokens, std::slice::from_ref(&dispatch.token));
    worker.hears_nothing().await;
    worker.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_never_arrived_is_handed_over_again() {
    let node = node().await;
    let (mut worker, cable) = behind_a_cable(&node).await;
    let calling = call(&node, dict! {});
    let lost = worker.dispatch().await;
    // As if it had not been read: the worker does not name it.
    let again = cut(&worker, &cable);
    let mut worker = Bare::connect(node.address(), again).await;
    let dispatch = worker.dispatch().await;
    assert_eq!(dispatch.token, lost.token);
    worker.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
}

#[tokio::test]
async fn whoever_comes_back_too_late_has_nothing() {
    let node = node_with_lease(Duration::from_millis(200)).await;
    let (mut worker, cable) = behind_a_cable(&node).await;
    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    let id = worker.welcome.worker_id.clone();
    let mut again = cut(&worker, &cable);
    let error = calling.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), "WORKER_LOST");
    again.tokens = vec![dispatch.token.clone()];
    let mut worker = Bare::connect(node.address(), again).await;
    assert_ne!(worker.welcome.worker_id, id);
    assert!(worker.welcome.tokens.is_empty());
    worker.answer(&dispatch.token, &dict! {});
    assert_eq!(worker.refused().await.token, dispatch.token);
}

/// A caller that gave up while the stream was gone: the worker hears of it when it comes back, and has the grace then.
#[tokio::test]
async fn what_is_cancelled_over_a_cut_is_cancelled_after_it() {
    let node = node().await;
    let cable = Proxy::to(node.address()).await;
    let cancels = || v1::Hello {
        capabilities: vec![v1::Capability::Resume.into(), v1::Capability::Cancel.into()],
        ..hello("a.task")
    };
    let mut worker = Bare::connect(cable.address, cancels()).await;
    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    cable.cut();
    while !node.client.workers().await.unwrap()[0].away {
        tokio::task::yield_now().await;
    }
    calling.abort();
    // Longer than the grace.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let again = v1::Hello {
        session: worker.welcome.session.clone(),
        tokens: vec![dispatch.token.clone()],
        ..cancels()
    };
    let mut worker = Bare::connect(node.address(), again).await;
    match worker.next().await {
        Ok(Some(Said::Cancel(cancel))) => assert_eq!(cancel.token, dispatch.token),
        other => panic!("nothing cancelled but {other:?}"),
    }
    worker.answer(&dispatch.token, &dict! {});
    assert_eq!(worker.refused().await.token, dispatch.token);
    node.assert_healthy().await;
}

/// As when a connection is to be given up: the worker opens another one first.
#[tokio::test]
async fn a_new_stream_takes_over_before_the_old_one_ends() {
    let node = node().await;
    let mut old = Bare::connect(node.address(), resumable()).await;
    let first = call(&node, dict! {});
    let one = old.dispatch().await;
    let again = v1::Hello {
        session: old.welcome.session.clone(),
        tokens: vec![one.token.clone()],
        ..resumable()
    };
    let mut new = Bare::connect(node.address(), again).await;
    assert_eq!(new.welcome.worker_id, old.welcome.worker_id);
    let second = call(&node, dict! {});
    let two = new.dispatch().await;
    // What is under way is answered on either, as long as there are both.
    old.answer(&one.token, &dict! {});
    first.await.unwrap().unwrap();
    drop(old);
    new.answer(&two.token, &dict! {});
    second.await.unwrap().unwrap();
    let third = call(&node, dict! {});
    let three = new.dispatch().await;
    new.answer(&three.token, &dict! {});
    third.await.unwrap().unwrap();
}

/// Results are acknowledged, so that a worker knows what it need not send again.
#[tokio::test]
async fn results_are_acknowledged_to_those_who_can_resume() {
    let node = node().await;
    let mut worker = Bare::connect(node.address(), resumable()).await;
    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    worker.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
    match worker.next().await {
        Ok(Some(Said::Received(received))) => assert_eq!(received.tokens, [dispatch.token]),
        other => panic!("nothing acknowledged but {other:?}"),
    }
}

#[tokio::test]
async fn a_nested_call_names_its_dispatch() {
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
        answer.map_err(|status| crate::support::error_of(&status))
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

/// A new declaration is rolled out and back again: old work goes to workers that take it.
#[tokio::test]
async fn work_goes_to_workers_that_take_it() {
    // Nothing is looked at again because time passes.
    let clock = Clock::Manual(ManualClock::new());
    let node = TestNode::start(Node::builder().demo().clock(clock)).await;
    // Accepted under the old declaration, while nobody serves it.
    drop(Bare::connect(node.address(), with_input("old", "n")).await);
    let old_work = accept(&node).await;
    let mut new = Bare::connect(node.address(), with_input("new", "m")).await;
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
    new.hears_nothing().await;
    let waits = v1::PendingReason::NoCompatibleWorker;
    while node
        .client
        .invocation(old_work, Duration::ZERO)
        .await
        .unwrap()
        .pending_reason()
        != waits
    {
        tokio::task::yield_now().await;
    }
    // The newest declaration is the one that callers are held to, and both are shown.
    let mut old = Bare::connect(node.address(), with_input("old", "n")).await;
    let error = call(&node, dict! { "n": 1 }).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), "INPUT_INVALID");
    let described = node.client.describe("a.task").await.unwrap();
    let hashes: std::collections::HashSet<_> = described
        .locations
        .iter()
        .map(|place| &place.declaration_hash)
        .collect();
    assert_eq!(hashes.len(), 2);
    // Rolled back: the old one is in force again, and its work is done.
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
