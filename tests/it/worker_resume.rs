//! Sessions that resume after a lost stream: leases, dispatches that are sent again, acknowledged results.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::serve_response::Message as Inbound;
use cidery::dict;

use crate::support::proxy::Proxy;
use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{PATIENCE, TestNode};
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
    let is_away = async {
        while !node.client.workers().await.unwrap()[0].away {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, is_away).await.unwrap();
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
