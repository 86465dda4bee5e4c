//! Demo services give way to workers, and come back after them.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::model::call::Call;
use cidery::{Node, dict};

use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{PATIENCE, TestNode, ended};

fn lookup() -> Call {
    Call::new("customer.get", dict! { "cust_id": 1 })
}

/// Waits until the node itself serves the service.
async fn until_local(node: &TestNode) {
    let local = async {
        loop {
            let described = node.client.describe("customer.get").await.unwrap();
            if matches!(&*described.locations, [only] if only.worker_id.is_empty()) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, local).await.unwrap();
}

#[tokio::test]
async fn a_demo_service_comes_back_after_its_last_worker() {
    let node = TestNode::start(Node::builder().demo()).await;
    for _ in 0..2 {
        node.client.invoke(lookup()).await.unwrap();
        let mut first = RawWorker::connect(node.address(), hello("customer.get")).await;
        let second = RawWorker::connect(node.address(), hello("customer.get")).await;
        drop(second);
        while node.client.workers().await.unwrap().len() > 1 {
            tokio::task::yield_now().await;
        }
        // Background work that waits for a permit of the worker is done by the node later.
        let mut accepted = Vec::new();
        for _ in 0..11 {
            accepted.push(node.client.invoke_async(lookup()).await.unwrap().cid);
        }
        first.dispatch().await;
        drop(first);
        until_local(&node).await;
        node.client.invoke(lookup()).await.unwrap();
        for cid in accepted {
            assert_eq!(ended(&node.client, cid).await.state(), v1::State::Succeeded);
        }
    }
}

/// The worker may resume, with the dispatches that it has.
#[tokio::test]
async fn a_worker_that_is_away_keeps_a_demo_service() {
    let limits = |limits: &mut cidery::engine::Limits| limits.away_wait = Duration::ZERO;
    let node = TestNode::start(Node::builder().demo().limits(limits)).await;
    let mut resumable = hello("customer.get");
    resumable.capabilities = vec![v1::Capability::Resume.into()];
    let worker = RawWorker::connect(node.address(), resumable.clone()).await;
    resumable.session = worker.welcome.session.clone();
    drop(worker);
    while !node.client.workers().await.unwrap()[0].away {
        tokio::task::yield_now().await;
    }
    let error = node.client.invoke(lookup()).await.unwrap_err();
    assert_eq!(error.reason(), "NO_WORKER");
    let mut worker = RawWorker::connect(node.address(), resumable).await;
    let client = node.client.clone();
    let calling = crate::support::raw::spawn(async move { client.invoke(lookup()).await });
    let dispatch = worker.dispatch().await;
    worker.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
}
