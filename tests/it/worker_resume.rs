//! Sessions that resume after a lost stream: leases, dispatches that are sent again, acknowledged results.

use std::time::Duration;

use cidery::codec::proto::health::HealthCheckRequest;
use cidery::codec::proto::health::health_check_response::ServingStatus;
use cidery::codec::proto::health::health_client::HealthClient;
use cidery::codec::proto::v1;
use cidery::codec::proto::v1::serve_request::Message;
use cidery::codec::proto::v1::serve_response::Message as Inbound;
use cidery::model::call::Call;
use cidery::model::token::Token;
use cidery::{Kind, Node, dict};

use crate::support::proxy::Proxy;
use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{PATIENCE, TestNode, paths};
use crate::worker_stream::{call, node, node_with_lease, until_void};

fn resumable() -> v1::Hello {
    v1::Hello {
        capabilities: vec![v1::Capability::Resume.into()],
        ..hello("a.task")
    }
}

/// A worker that can resume, behind a proxy that can cut its connection.
async fn behind_a_proxy(node: &TestNode) -> (RawWorker, Proxy) {
    let proxy = Proxy::to(node.address()).await;
    (RawWorker::connect(proxy.address, resumable()).await, proxy)
}

/// Cuts the connection; returns the hello that resumes the session.
fn cut(worker: &RawWorker, proxy: &Proxy) -> v1::Hello {
    proxy.cut();
    v1::Hello {
        session: worker.welcome.session.clone(),
        ..resumable()
    }
}

#[tokio::test]
async fn a_worker_that_resumes_keeps_its_dispatches() {
    let node = node().await;
    let (mut worker, proxy) = behind_a_proxy(&node).await;
    let id = worker.welcome.worker_id.clone();
    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    let mut again = cut(&worker, &proxy);
    again.tokens = vec![dispatch.token.clone()];
    let mut worker = RawWorker::connect(node.address(), again).await;
    assert_eq!(worker.welcome.worker_id, id);
    assert_eq!(worker.welcome.tokens, std::slice::from_ref(&dispatch.token));
    worker.assert_no_message().await;
    worker.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dispatch_that_did_not_arrive_is_sent_again() {
    let node = node().await;
    let (mut worker, proxy) = behind_a_proxy(&node).await;
    let calling = call(&node, dict! {});
    let lost = worker.dispatch().await;
    // The worker does not name the token, as if the dispatch had not arrived.
    let again = cut(&worker, &proxy);
    let mut worker = RawWorker::connect(node.address(), again).await;
    let dispatch = worker.dispatch().await;
    assert_eq!(dispatch.token, lost.token);
    worker.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_worker_whose_lease_expired_has_no_dispatches() {
    let node = node_with_lease(Duration::from_millis(200)).await;
    let (mut worker, proxy) = behind_a_proxy(&node).await;
    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    let id = worker.welcome.worker_id.clone();
    let mut again = cut(&worker, &proxy);
    let error = calling.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), "WORKER_LOST");
    again.tokens = vec![dispatch.token.clone()];
    let mut worker = RawWorker::connect(node.address(), again).await;
    assert_ne!(worker.welcome.worker_id, id);
    assert!(worker.welcome.tokens.is_empty());
    worker.answer(&dispatch.token, &dict! {});
    assert_eq!(worker.refused().await.token, dispatch.token);
}

/// A dispatch that is cancelled while the worker is away: the grace period starts when the worker resumes.
#[tokio::test]
async fn a_dispatch_that_is_cancelled_while_away_is_cancelled_after_resume() {
    let node = node().await;
    let proxy = Proxy::to(node.address()).await;
    let cancels = || v1::Hello {
        capabilities: vec![v1::Capability::Resume.into(), v1::Capability::Cancel.into()],
        ..hello("a.task")
    };
    let mut worker = RawWorker::connect(proxy.address, cancels()).await;
    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    proxy.cut();
    until_away(&node).await;
    calling.abort();
    // After the grace period.
    until_void(&node, &dispatch.token).await;
    let again = v1::Hello {
        session: worker.welcome.session.clone(),
        tokens: vec![dispatch.token.clone()],
        ..cancels()
    };
    let mut worker = RawWorker::connect(node.address(), again).await;
    match worker.next().await {
        Ok(Some(Inbound::Cancel(cancel))) => assert_eq!(cancel.token, dispatch.token),
        other => panic!("no cancellation but {other:?}"),
    }
    worker.answer(&dispatch.token, &dict! {});
    assert_eq!(worker.refused().await.token, dispatch.token);
    node.assert_healthy().await;
}

/// As when a worker replaces its connection, and opens the new one first.
#[tokio::test]
async fn a_new_stream_replaces_the_old_one_before_its_end() {
    let node = node().await;
    let mut old = RawWorker::connect(node.address(), resumable()).await;
    let first = call(&node, dict! {});
    let one = old.dispatch().await;
    let again = v1::Hello {
        session: old.welcome.session.clone(),
        tokens: vec![one.token.clone()],
        ..resumable()
    };
    let mut new = RawWorker::connect(node.address(), again).await;
    assert_eq!(new.welcome.worker_id, old.welcome.worker_id);
    let second = call(&node, dict! {});
    let two = new.dispatch().await;
    // A result is taken on either stream.
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

#[tokio::test]
async fn results_are_acknowledged_to_workers_that_can_resume() {
    let node = node().await;
    let mut worker = RawWorker::connect(node.address(), resumable()).await;
    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    worker.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
    match worker.next().await {
        Ok(Some(Inbound::Received(received))) => assert_eq!(received.tokens, [dispatch.token]),
        other => panic!("no acknowledgement but {other:?}"),
    }
}

async fn until_away(node: &TestNode) {
    let is_away = async {
        while !node.client.workers().await.unwrap()[0].away {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, is_away).await.unwrap();
}

async fn node_with_away_wait(away_wait: Duration) -> TestNode {
    let limits = |limits: &mut cidery::engine::Limits| limits.away_wait = away_wait;
    TestNode::start(Node::builder().limits(limits)).await
}

/// A killed worker may never resume: its callers need not wait for the end of its lease.
#[tokio::test]
async fn new_calls_do_not_wait_out_the_lease_of_a_worker_that_is_away() {
    let node = node_with_away_wait(Duration::from_millis(1)).await;
    let address = format!("http://{}", node.address());
    let mut health = HealthClient::connect(address).await.unwrap();
    let mut is_serving = async || {
        let service = "a.task".to_owned();
        let status = health.check(HealthCheckRequest { service }).await.unwrap();
        status.into_inner().status() == ServingStatus::Serving
    };
    let (worker, proxy) = behind_a_proxy(&node).await;
    assert!(is_serving().await);
    let again = cut(&worker, &proxy);
    until_away(&node).await;
    assert!(!is_serving().await);
    let status = node.client.status().await.unwrap();
    assert_eq!((status.workers, status.workers_away), (1, 1));
    let described = node.client.describe("a.task").await.unwrap();
    assert_eq!(described.health(), v1::ServiceHealth::NoWorker);
    let error = call(&node, dict! {}).await.unwrap().unwrap_err();
    let found = (error.kind(), error.reason());
    assert_eq!(found, (Kind::Unavailable, "NO_WORKER"));
    assert!(error.retry_after().is_some());
    let error = node.client.forget_service("a.task").await.unwrap_err();
    assert_eq!(error.reason(), "SERVICE_IN_USE");
    let accepted = node.client.invoke_async(Call::new("a.task", ())).await;
    let cid = accepted.unwrap().cid;
    let pending = node.client.invocation(cid, Duration::ZERO).await.unwrap();
    assert_eq!(pending.pending_reason(), v1::PendingReason::NoWorker);
    // Another worker takes new calls at once, and those that wait.
    let mut other = RawWorker::connect(node.address(), hello("a.task")).await;
    assert_eq!(other.dispatch().await.cid, cid.to_string());
    let calling = call(&node, dict! {});
    let dispatch = other.dispatch().await;
    other.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
    drop(other);
    let mut worker = RawWorker::connect(node.address(), again).await;
    assert_eq!(worker.dispatch().await.cid, cid.to_string());
    assert!(is_serving().await);
}

/// A short break is not visible to callers.
#[tokio::test]
async fn a_call_waits_for_a_worker_that_resumes_soon() {
    let node = node_with_away_wait(PATIENCE).await;
    let (worker, proxy) = behind_a_proxy(&node).await;
    let again = cut(&worker, &proxy);
    until_away(&node).await;
    let calling = call(&node, dict! {});
    let is_queued = async {
        while node.client.describe("a.task").await.unwrap().queued == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, is_queued).await.unwrap();
    let mut worker = RawWorker::connect(node.address(), again).await;
    let dispatch = worker.dispatch().await;
    worker.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
}

/// The node would go on with what the first hello said.
#[tokio::test]
async fn a_hello_that_resumes_announces_the_same_as_before() {
    let node = node().await;
    let worker = RawWorker::connect(node.address(), resumable()).await;
    let again = v1::Hello {
        session: worker.welcome.session.clone(),
        ..resumable()
    };
    let mut other = again.clone();
    other.services = hello("b.task").services;
    other.capabilities.push(v1::Capability::Cancel.into());
    other.max_in_flight = 11;
    other.max_message_bytes = 1 << 20;
    let mut redeclared = again.clone();
    redeclared.services[0].description = "is new".to_owned();
    let mut invalid = again.clone();
    invalid.services[0].name = "no name".to_owned();
    let refused = [
        (
            other,
            "RESUME_MISMATCH",
            vec![
                "/services/0/name",
                "/services",
                "/capabilities",
                "/max_in_flight",
                "/max_message_bytes",
            ],
        ),
        (redeclared, "RESUME_MISMATCH", vec!["/services/0"]),
        (invalid, "DECLARATION_INVALID", vec!["/services/0/name"]),
    ];
    for (hello, reason, expected) in refused {
        let error = RawWorker::open(node.address(), Some(Message::Hello(hello))).await;
        let error = error.unwrap_err();
        assert_eq!(error.reason(), reason);
        assert_eq!(paths(&error), expected);
    }
    let resumed = RawWorker::connect(node.address(), again).await;
    assert_eq!(resumed.welcome.worker_id, worker.welcome.worker_id);
}

/// What a worker named when it connected is no junk, even where the node no longer knows it.
#[tokio::test]
async fn results_that_are_repeated_after_a_lost_session_do_not_end_the_stream() {
    const RESULTS: usize = 200;
    let node = node().await;
    let tokens: Vec<_> = (0..RESULTS).map(|_| Token::new().to_string()).collect();
    let again = v1::Hello {
        session: Token::new().to_string(),
        tokens: tokens.clone(),
        ..resumable()
    };
    let mut worker = RawWorker::connect(node.address(), again).await;
    for token in &tokens {
        worker.answer(token, &dict! {});
    }
    let calling = call(&node, dict! {});
    let dispatch = loop {
        match worker.next().await {
            Ok(Some(Inbound::Dispatch(dispatch))) => break dispatch,
            Ok(Some(Inbound::Refused(_) | Inbound::Received(_))) => {}
            other => panic!("{other:?}"),
        }
    };
    worker.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
}
