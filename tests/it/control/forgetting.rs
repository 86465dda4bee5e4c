//! Forgetting a service: the store first, and also where only its control is known.

use cidery::engine::store::Store as _;
use cidery::model::call::Call;
use cidery::model::service_control::{ControlCause, Paused, ServiceControl};
use cidery::store::SqliteStore;
use cidery::{Node, Worker};

use super::{name, pause};
use crate::support::gated::{Fault, GatedStore};
use crate::support::{Folder, TestNode};

#[tokio::test]
async fn a_store_that_fails_leaves_the_service_as_it_was() {
    let (store, gates) = GatedStore::new();
    let node = TestNode::start(Node::builder().store(store)).await;
    let worker = || Worker::builder().service("a.task", async || {});
    let address = node.address().to_string();
    worker().connect(&address).await.unwrap().stop().await;
    let client = node.client.clone().max_attempts(1);
    pause(&client, "a.task").await;
    gates.set_fault(Fault::Forget, true);
    let error = client.forget_service("a.task").await.unwrap_err();
    assert_eq!(error.reason(), "STORE_FAILED");
    let described = client.describe("a.task").await.unwrap();
    assert!(described.control.unwrap().paused);
    let call = client.invoke_async(Call::new("a.task", ()));
    let cid = call.await.unwrap().cid;
    let error = client.forget_service("a.task").await.unwrap_err();
    assert_eq!(error.reason(), "SERVICE_IN_USE");
    client.cancel(cid, false).await.unwrap();
    gates.set_fault(Fault::Forget, false);
    client.forget_service("a.task").await.unwrap();
    let error = client.describe("a.task").await.unwrap_err();
    assert_eq!(error.reason(), "SERVICE_UNKNOWN");
}

/// It was paused when an earlier version of a program had it.
#[tokio::test]
async fn a_service_of_which_only_the_control_is_known_is_forgotten() {
    let folder = Folder::new("forget");
    let store = SqliteStore::open(folder.path()).unwrap();
    let paused = Paused {
        background_only: false,
        cause: ControlCause::default(),
        time: jiff::Timestamp::UNIX_EPOCH,
    };
    let control = ServiceControl {
        paused: Some(paused),
        ..ServiceControl::none(name("a.gone"))
    };
    store.set_control(control).await.unwrap();
    let node = TestNode::start(Node::builder().store(store)).await;
    let controls = async || node.client.status().await.unwrap().controls.len();
    assert_eq!(controls().await, 1);
    node.client.forget_service("a.gone").await.unwrap();
    assert_eq!(controls().await, 0);
    let stored = node.handle.invoker().store().controls().await.unwrap();
    assert_eq!(stored, []);
    let error = node.client.forget_service("a.gone").await.unwrap_err();
    assert_eq!(error.reason(), "SERVICE_UNKNOWN");
    node.handle.stop().await;
}
