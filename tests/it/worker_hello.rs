//! Hellos of workers: validation, limits, timeouts, and workers that are away.

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::serve_request::Message;
use cidery::model::call::Call;
use cidery::{Kind, Node};

use crate::support::proxy::Proxy;
use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{PATIENCE, TestNode, ended, failure, paths};

/// Awaits a condition for a bounded time.
async fn within_patience(condition: impl Future<Output = ()>) {
    tokio::time::timeout(PATIENCE, condition).await.unwrap();
}

#[tokio::test]
async fn the_hello_is_the_first_message_and_the_only_one() {
    let node = TestNode::start(Node::builder().demo()).await;
    let first = Message::Drain(v1::WorkerDrain {});
    for first in [Some(first), None] {
        let error = RawWorker::open(node.address(), first).await.unwrap_err();
        assert_eq!(error.reason(), "REQUEST_INVALID");
        assert_eq!(error.field_violations()[0].path, "/hello");
    }
    let mut wrong = hello("a.task");
    wrong.services.push(wrong.services[0].clone());
    wrong.services[0].name = "no name".to_owned();
    wrong.services.push(wrong.services[1].clone());
    let error = RawWorker::open(node.address(), Some(Message::Hello(wrong)))
        .await
        .unwrap_err();
    assert_eq!(paths(&error), ["/services/0/name", "/services/2/name"]);
    let mut worker = RawWorker::connect(node.address(), hello("a.task")).await;
    worker.send(Message::Hello(hello("a.task")));
    assert_eq!(worker.next().await.unwrap_err().reason(), "WORKER_REFUSED");
    node.assert_healthy().await;
}

/// Takes the ten seconds of the timeout.
#[tokio::test]
async fn a_stream_without_a_hello_times_out() {
    let node = TestNode::start(Node::builder().demo()).await;
    let error = RawWorker::silent(node.address()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    assert_eq!(error.reason(), "REQUEST_INCOMPLETE");
    node.assert_healthy().await;
}

#[tokio::test]
async fn names_and_dispatches_have_a_limit() {
    let node = TestNode::start(Node::builder().demo()).await;
    let long = v1::Hello {
        name: "n".repeat(257),
        build_id: "b".repeat(257),
        max_in_flight: 10_001,
        ..hello("a.task")
    };
    let refused = RawWorker::open(node.address(), Some(Message::Hello(long))).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.reason(), "DECLARATION_INVALID");
    assert_eq!(paths(&refused), ["/name", "/build_id", "/max_in_flight"]);
    let longest = v1::Hello {
        name: "n".repeat(256),
        ..hello("a.task")
    };
    RawWorker::connect(node.address(), longest).await;
}

/// A list that is too long ends the stream, wherever it stands.
#[tokio::test]
async fn lists_of_a_worker_have_limits_that_are_named() {
    let node = TestNode::start(Node::builder().demo()).await;
    let long = v1::Hello {
        capabilities: vec![v1::Capability::HandBack.into(); 65],
        tokens: vec![String::new(); 100_001],
        ..hello("a.task")
    };
    let refused = RawWorker::open(node.address(), Some(Message::Hello(long))).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.reason(), "DECLARATION_INVALID");
    assert_eq!(paths(&refused), ["/capabilities", "/tokens"]);
    let mut able = hello("a.task");
    able.capabilities = vec![v1::Capability::HandBack.into()];
    let mut worker = RawWorker::connect(node.address(), able.clone()).await;
    let tokens = vec![String::new(); 100_001];
    worker.send(Message::HandBack(v1::HandBack { tokens }));
    let refused = worker.next().await.unwrap_err();
    assert_eq!(paths(&refused), ["/hand_back/tokens"]);
    let mut worker = RawWorker::connect(node.address(), able).await;
    worker.send_batch(vec![v1::DispatchResult::default(); 100_001]);
    assert_eq!(paths(&worker.next().await.unwrap_err()), ["/results"]);
    let mut worker = RawWorker::connect(node.address(), hello("b.task")).await;
    let cid = node.client.invoke_async(Call::new("b.task", ())).await;
    let cid = cid.unwrap().cid;
    let dispatch = worker.dispatch().await;
    worker.send_result(v1::DispatchResult {
        token: dispatch.token,
        outcome: Some(v1::dispatch_result::Outcome::Payload(Vec::new().into())),
        follow_ups: vec![v1::InvokeAsyncRequest::default(); 1_001],
        ..v1::DispatchResult::default()
    });
    let failure = failure(ended(&node.client, cid).await);
    assert_eq!(failure.reason, "WORKER_PROTOCOL");
    assert!(failure.message.contains("/follow_ups"), "{failure:?}");
    node.assert_healthy().await;
}

/// A worker whose stream is gone is listed as away until it resumes.
#[tokio::test]
async fn a_worker_without_a_stream_is_away() {
    let node = TestNode::start(Node::builder().demo()).await;
    let proxy = Proxy::to(node.address()).await;
    let mut resumable = hello("a.task");
    resumable.capabilities = vec![v1::Capability::Resume.into()];
    let worker = RawWorker::connect(proxy.address, resumable.clone()).await;
    let shown = async || {
        let workers = node.client.workers().await.unwrap();
        let service = node.client.describe("a.task").await.unwrap();
        (workers[0].away, service.locations[0].away)
    };
    assert_eq!(shown().await, (false, false));
    proxy.cut();
    within_patience(async {
        while !shown().await.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(shown().await, (true, true));
    resumable.session = worker.welcome.session.clone();
    let _worker = RawWorker::connect(node.address(), resumable).await;
    assert_eq!(shown().await, (false, false));
}

/// A service that no worker serves counts until it is forgotten.
#[tokio::test]
async fn registered_services_have_a_limit() {
    let limits = |limits: &mut cidery::engine::Limits| limits.services = 1;
    let node = TestNode::start(Node::builder().demo().limits(limits)).await;
    drop(RawWorker::connect(node.address(), hello("a.task")).await);
    within_patience(async {
        while !node.client.workers().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(RawWorker::connect(node.address(), hello("a.task")).await);
    let other = || Some(Message::Hello(hello("b.task")));
    let refused = RawWorker::open(node.address(), other()).await.unwrap_err();
    assert_eq!(refused.reason(), "SERVICE_LIMIT");
    within_patience(async {
        while node.client.forget_service("a.task").await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    RawWorker::open(node.address(), other()).await.unwrap();
}
