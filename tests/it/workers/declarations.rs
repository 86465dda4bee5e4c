//! Declarations of workers: refused, and remembered.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::model::call::Call;
use cidery::{Kind, Node, Value, Worker, dict};

use super::{connect, invoke, node};
use crate::support::{TestNode, ended};

#[tokio::test]
async fn work_without_a_worker_is_pending_and_its_service_is_remembered() {
    let node = node().await;
    let unknown = node.client.invoke_async(Call::new("later.come", ())).await;
    assert_eq!(unknown.unwrap_err().reason(), "SERVICE_UNKNOWN");
    let come = async || "here";
    let worker = connect(&node, Worker::builder().service("later.come", come)).await;
    worker.stop().await;
    let error = invoke(&node, "later.come", dict! {}).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Unavailable, "NO_WORKER")
    );
    let cid = node
        .client
        .invoke_async(Call::new("later.come", ()))
        .await
        .unwrap()
        .cid;
    let found = node.client.invocation(cid, Duration::ZERO).await.unwrap();
    assert_eq!(found.pending_reason, i32::from(v1::PendingReason::NoWorker));
    let described = node.client.describe("later.come").await.unwrap();
    assert_eq!(described.health, i32::from(v1::ServiceHealth::NoWorker));
    let _worker = connect(&node, Worker::builder().service("later.come", come)).await;
    assert_eq!(
        ended(&node.client, cid).await.state,
        i32::from(v1::State::Succeeded)
    );
}

#[tokio::test]
async fn an_invalid_hello_is_refused_with_its_violations() {
    let node = node().await;
    let address = node.address().to_string();
    let taken = Worker::builder().service("cidery.ping", async || "mine");
    let error = taken.connect(&address).await.unwrap_err();
    assert_eq!(error.reason(), "SERVICE_EXISTS");
    let error = Worker::builder().connect(&address).await.unwrap_err();
    assert_eq!(error.reason(), "DECLARATION_INVALID");
    assert_eq!(error.field_violations()[0].path, "/services");
    // Demo services are replaced.
    let mine = Worker::builder().service("customer.get", async || "mine");
    let _worker = connect(&node, mine).await;
    assert_eq!(
        invoke(&node, "customer.get", dict! {}).await.unwrap(),
        Value::from("mine")
    );
    node.assert_healthy().await;
}

#[tokio::test]
async fn a_refused_hello_stores_no_declaration() {
    let builder = Node::builder().service("a.own", async || {});
    let node = TestNode::start(builder).await;
    let worker = Worker::builder().service("a.new", async || {});
    let worker = worker.service("a.own", async || {});
    let worker = worker.service("cidery.ping", async || {});
    let error = worker.connect(&node.address().to_string()).await;
    let error = error.unwrap_err();
    assert_eq!(error.reason(), "SERVICE_EXISTS");
    // All refused names at once.
    for name in ["`a.own`", "`cidery.ping`"] {
        assert!(error.message().contains(name), "{error}");
    }
    let declarations = node.handle.invoker().store().declarations().await.unwrap();
    assert!(declarations.is_empty(), "{declarations:?}");
}
