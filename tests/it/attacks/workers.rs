//! Attacks by workers: what breaks the protocol fails what it belongs to, with a reason, and nothing else.

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use cidery::codec::proto::v1;
use cidery::codec::proto::v1::dispatch_result::Outcome;
use cidery::codec::proto::v1::serve_request::Message;
use cidery::codec::proto::v1::serve_response::Message as Inbound;
use cidery::engine::Limits;
use cidery::model::call::Call;
use cidery::model::token::Token;
use cidery::{Cid, Context, Kind, Node, Progress, Value, dict};
use prost::Message as _;

use crate::support::binary::Server;
use crate::support::raw::{Raw, answer, framed};
use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{PATIENCE, TestNode, ended, failure, paths};
use crate::worker_stream::{call, impatient_call, node, until_void};

const SERVE: &str = "/cidery.v1.WorkerService/Serve";

async fn node_with(limits: impl FnOnce(&mut Limits)) -> TestNode {
    TestNode::start(Node::builder().limits(limits)).await
}

async fn accept(node: &TestNode) -> Cid {
    let accepted = node.client.invoke_async(Call::new("a.task", ())).await;
    accepted.unwrap().cid
}

fn result(token: &str, outcome: Option<Outcome>) -> v1::DispatchResult {
    v1::DispatchResult {
        token: token.to_owned(),
        outcome,
        ..v1::DispatchResult::default()
    }
}

/// Calls `a.task`, and answers with a result.
async fn failed_call(
    node: &TestNode,
    worker: &mut RawWorker,
    result: impl FnOnce(String) -> v1::DispatchResult,
) -> cidery::Error {
    let calling = call(node, dict! {});
    let token = worker.dispatch().await.token;
    worker.send_result(result(token));
    calling.await.unwrap().unwrap_err()
}

async fn assert_works(node: &TestNode, worker: &mut RawWorker) {
    let calling = call(node, dict! {});
    let dispatch = worker.dispatch().await;
    worker.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
}

/// One caller's deadline must not end the stream that all dispatches share. A worker that did not promise to stop keeps
/// its stream even where it holds every permit too long.
#[tokio::test]
async fn overdue_dispatches_do_not_end_the_stream_of_a_minimal_worker() {
    let node = node().await;
    for max_in_flight in [10, 1] {
        let mut minimal = hello("a.task");
        minimal.max_in_flight = max_in_flight;
        let mut worker = RawWorker::connect(node.address(), minimal).await;
        let calling = impatient_call(&node);
        let overdue = worker.dispatch().await.token;
        calling.await.unwrap().unwrap_err();
        until_void(&node, &overdue).await;
        // A worker that promised to stop, and connects only now, has lost its stream before the next check is due.
        let mut stuck = hello("b.task");
        stuck.max_in_flight = 1;
        stuck.capabilities = vec![v1::Capability::Cancel.into()];
        let mut stuck = RawWorker::connect(node.address(), stuck).await;
        let mut impatient = Call::new("b.task", ());
        impatient.timeout = Some(Duration::from_millis(50));
        node.client.invoke(impatient).await.unwrap_err();
        stuck.dispatch().await;
        let is_cancel = |message| matches!(message, Ok(Some(Inbound::Cancel(_))));
        assert!(is_cancel(stuck.next().await));
        assert_eq!(stuck.next().await.unwrap_err().reason(), "WORKER_LOST");
        worker.answer(&overdue, &dict! {});
        let refused = worker.refused().await;
        assert_eq!(refused.failure.unwrap().reason, "DISPATCH_VOID");
        assert_works(&node, &mut worker).await;
    }
}

/// The bytes of a hello, and what follows it.
async fn status_after(address: SocketAddr, message: Bytes) -> cidery::Error {
    let mut raw = Raw::connect(address).await;
    let (response, mut send) = raw.begin(SERVE, &[]);
    let first = v1::ServeRequest {
        message: Some(Message::Hello(hello("a.task"))),
        ..v1::ServeRequest::default()
    };
    send.send_data(framed(&first.encode_to_vec()), false)
        .unwrap();
    send.send_data(message, false).unwrap();
    let error = tokio::time::timeout(PATIENCE, answer(response)).await;
    error.unwrap().error()
}

#[tokio::test]
async fn an_unreadable_message_ends_the_stream_with_a_reason() {
    let node = node_with(|limits| limits.message_bytes = 64 * 1024).await;
    let no_utf8 = framed(&[0x12, 3, 0x0a, 1, 0xff]);
    let bad_flag = Bytes::from_static(&[9, 0, 0, 0, 1, 0]);
    for message in [framed(&[0xff; 9]), no_utf8, bad_flag] {
        let error = status_after(node.address(), message).await;
        let found = (error.kind(), error.reason());
        assert_eq!(found, (Kind::InvalidArgument, "MALFORMED_MESSAGE"));
    }
    // No result, so that it belongs to no dispatch that could fail instead.
    let item = v1::ServeRequest {
        message: Some(Message::Item(v1::DispatchItem {
            token: "x".repeat(300 * 1024),
            ..v1::DispatchItem::default()
        })),
        ..v1::ServeRequest::default()
    };
    let error = status_after(node.address(), framed(&item.encode_to_vec())).await;
    let found = (error.kind(), error.reason());
    assert_eq!(found, (Kind::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    assert_eq!(error.fact("message_bytes"), Some("262144"));
    node.assert_healthy().await;
}

/// The operator learns which worker it was.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_the_worker_of_an_unreadable_message() {
    let mut server = Server::start(&[]);
    let address = server.address.parse().unwrap();
    status_after(address, framed(&[0xff; 9])).await;
    let log = server.child.stderr.take().unwrap();
    let line = tokio::task::spawn_blocking(move || {
        let lines = std::io::BufReader::new(log).lines().map_while(Result::ok);
        lines.into_iter().find(|line| line.contains("worker ended"))
    });
    let line = tokio::time::timeout(PATIENCE, line).await;
    let line = line.expect("nothing is logged").unwrap().unwrap();
    for part in [" WARN ", "worker.name=\"raw\"", "cannot be decoded"] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

/// Above the limit of the transport too. An invocation does not run again and again.
#[tokio::test]
async fn a_result_of_any_size_fails_its_dispatch_alone() {
    let node = node_with(|limits| limits.message_bytes = 64 * 1024).await;
    let mut worker = RawWorker::connect(node.address(), hello("a.task")).await;
    for bytes in [100, 300, 3_000] {
        let large = vec![b'x'; bytes * 1024];
        let outcome = || Some(Outcome::Document(large.clone().into()));
        let error = failed_call(&node, &mut worker, |token| result(&token, outcome())).await;
        let found = (error.kind(), error.reason());
        assert_eq!(found, (Kind::ResourceExhausted, "MESSAGE_TOO_LARGE"));
        assert!(error.fact("message_bytes").is_some());
        let cid = accept(&node).await;
        let dispatch = worker.dispatch().await;
        worker.send_result(result(&dispatch.token, outcome()));
        let ended = ended(&node.client, cid).await;
        assert_eq!(
            (ended.attempt, failure(ended).reason),
            (1, "MESSAGE_TOO_LARGE".to_owned())
        );
    }
    assert_works(&node, &mut worker).await;
}

/// A refusal for another reason than `DISPATCH_VOID` leaves the dispatch as it is.
#[tokio::test]
async fn a_refusal_says_why_and_the_dispatch_lives() {
    let node = node_with(|limits| {
        limits.items = 1;
        limits.progress_bytes = 100;
    })
    .await;
    let mut worker = RawWorker::connect(node.address(), hello("a.task")).await;
    let cid = accept(&node).await;
    let token = worker.dispatch().await.token;
    let number = |n: f64| [&[0x11][..], &n.to_le_bytes()].concat();
    let item = |item: Option<v1::dispatch_item::Item>| {
        Message::Item(v1::DispatchItem {
            token: token.clone(),
            item,
            number: 0,
        })
    };
    let value = |n: f64| item(Some(v1::dispatch_item::Item::Value(number(n).into())));
    let progress = |message: &str, value: Vec<u8>| {
        Message::Progress(v1::DispatchProgress {
            token: token.clone(),
            progress: Some(v1::Progress {
                message: message.to_owned(),
                value: Some(value.into()),
                ..v1::Progress::default()
            }),
        })
    };
    worker.send(value(1.0));
    worker.send(progress("good", number(1.0)));
    let tokens = vec![token.clone()];
    let refused = [
        (value(2.0), "ITEMS_LIMIT"),
        (value(f64::NAN), "VALUE_INVALID"),
        (item(None), "WORKER_PROTOCOL"),
        (progress("large", vec![0x1a; 101]), "PROGRESS_TOO_LARGE"),
        (progress("malformed", vec![0xff; 3]), "VALUE_INVALID"),
        (
            Message::HandBack(v1::HandBack { tokens }),
            "WORKER_PROTOCOL",
        ),
    ];
    for (message, reason) in refused {
        worker.send(message);
        let refused = worker.refused().await;
        assert_eq!(refused.token, token);
        assert_eq!(refused.failure.unwrap().reason, reason);
    }
    let running = node.client.invocation(cid, Duration::ZERO).await.unwrap();
    assert_eq!(running.progress.unwrap().message, "good");
    worker.answer(&token, &dict! {});
    let ended = ended(&node.client, cid).await;
    assert_eq!(ended.state(), v1::State::Succeeded);
}

/// As for a worker: the last good report stays.
#[tokio::test]
async fn a_progress_value_of_a_handler_has_a_limit() {
    let builder = Node::builder().service("a.task", async |ctx: Context| {
        ctx.progress(Progress::at(0.5).message("good"));
        let large = Value::from("x".repeat(64 * 1024));
        ctx.progress(Progress::at(0.6).message("large").value(large));
    });
    let node = TestNode::start(builder).await;
    let ended = ended(&node.client, accept(&node).await).await;
    assert_eq!(ended.progress.unwrap().message, "good");
}

#[tokio::test]
async fn a_mistake_of_a_worker_is_not_the_callers() {
    let node = node().await;
    let mut worker = RawWorker::connect(node.address(), hello("a.task")).await;
    let unknown = v1::InvokeAsyncRequest {
        service: "no.such".to_owned(),
        ..v1::InvokeAsyncRequest::default()
    };
    let empty = || Some(Outcome::Payload(Bytes::new()));
    let mistakes = [
        result("", None),
        result("", Some(Outcome::Later(v1::Later {}))),
        v1::DispatchResult {
            follow_ups: vec![unknown],
            ..result("", empty())
        },
    ];
    for mistake in mistakes {
        let of = |token| v1::DispatchResult { token, ..mistake };
        let error = failed_call(&node, &mut worker, of).await;
        assert_eq!(
            (error.kind(), error.reason()),
            (Kind::Internal, "WORKER_PROTOCOL")
        );
        assert!(error.message().contains("the worker `raw`"), "{error}");
    }
    assert_works(&node, &mut worker).await;
}

/// Text of the worker is cut where it is repeated.
#[tokio::test]
async fn junk_ends_the_stream_at_a_limit() {
    const JUNK: usize = 1_000;
    let node = node().await;
    let mut worker = RawWorker::connect(node.address(), hello("a.task")).await;
    worker.answer(&"x".repeat(1 << 20), &dict! {});
    assert!(worker.refused().await.token.len() < 300);
    let junk = (0..JUNK).map(|_| result(&Token::new().to_string(), None));
    worker.send_batch(junk.collect());
    let mut refused = 0;
    let end = loop {
        match worker.next().await {
            Ok(Some(Inbound::Refused(_))) => refused += 1,
            end => break end.unwrap_err(),
        }
    };
    // Those that still wait to be sent when the stream ends are dropped: fewer than there are errors, and the queue of
    // a worker holds more than its dispatches.
    assert!((10..=100).contains(&refused), "{refused}");
    assert_eq!(
        (end.kind(), end.reason()),
        (Kind::ResourceExhausted, "PROTOCOL_ERRORS")
    );
    assert_eq!(end.fact("worker_errors"), Some("100"));
}

/// A slow worker answers late; that is no error.
#[tokio::test]
async fn late_results_do_not_end_the_stream() {
    let node = TestNode::start(Node::builder().limits(|limits| {
        limits.grace = Duration::from_millis(100);
        limits.worker_errors = 3;
    }))
    .await;
    let mut worker = RawWorker::connect(node.address(), hello("a.task")).await;
    let calls: Vec<_> = (0..10).map(|_| impatient_call(&node)).collect();
    let mut tokens = Vec::new();
    for _ in 0..calls.len() {
        tokens.push(worker.dispatch().await.token);
    }
    for call in calls {
        call.await.unwrap().unwrap_err();
    }
    for token in &tokens {
        until_void(&node, token).await;
    }
    // Each twice: the second time, the dispatch has ended.
    for token in tokens.iter().chain(&tokens) {
        worker.answer(token, &dict! {});
        let refused = worker.refused().await;
        assert_eq!(&refused.token, token);
        assert_eq!(refused.failure.unwrap().reason, "DISPATCH_VOID");
    }
    assert_works(&node, &mut worker).await;
}

fn element(kind: v1::ElementType) -> v1::Element {
    v1::Element {
        name: "n".to_owned(),
        r#type: kind.into(),
        ..v1::Element::default()
    }
}

#[tokio::test]
async fn all_violations_of_a_hello_are_reported_at_once() {
    let node = node().await;
    let negative = || {
        Some(prost_types::Duration {
            seconds: -1,
            nanos: 0,
        })
    };
    let mut wrong = hello("no name");
    wrong.capabilities = vec![0; 65];
    wrong.services[0].options = Some(v1::ServiceOptions {
        timeout: negative(),
        retention: negative(),
        retry_policy: Some(v1::RetryPolicy {
            multiplier: 0.5,
            max_interval: negative(),
            ..v1::RetryPolicy::default()
        }),
        ..v1::ServiceOptions::default()
    });
    let with_elements = v1::Element {
        elements: vec![element(v1::ElementType::Text)],
        item: Some(Box::new(element(v1::ElementType::Text))),
        ..element(v1::ElementType::Int)
    };
    let twice = vec![
        element(v1::ElementType::Text),
        element(v1::ElementType::Text),
    ];
    let elements = |elements| {
        Some(v1::Elements {
            elements,
            ..v1::Elements::default()
        })
    };
    wrong.services[0].sio = Some(v1::SimpleIo {
        input: elements(vec![with_elements]),
        output: elements(twice),
        ..v1::SimpleIo::default()
    });
    let refused = RawWorker::open(node.address(), Some(Message::Hello(wrong))).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.reason(), "DECLARATION_INVALID");
    let expected = [
        "/capabilities",
        "/services/0/name",
        "/services/0/options/timeout",
        "/services/0/options/retention",
        "/services/0/options/retry_policy/multiplier",
        "/services/0/options/retry_policy/max_interval",
        "/services/0/sio/input/n/elements",
        "/services/0/sio/input/n/item",
        "/services/0/sio/output/n",
    ];
    assert_eq!(paths(&refused), expected);
}

#[tokio::test]
async fn only_known_capabilities_are_welcomed() {
    let node = node().await;
    let mut able = hello("a.task");
    able.capabilities = vec![0, 2, 99, 2, 3];
    let worker = RawWorker::connect(node.address(), able).await;
    assert_eq!(worker.welcome.capabilities, [2, 3]);
}
