//! The start of a worker: before its node, and without one.

use std::time::Duration;

use cidery::remote::client::ContractClient;
use cidery::{Node, Service, Worker};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::chaos::until_served;
use crate::support::any_port;
use crate::support::raw::spawn;

const SEVEN: Service<(), u32> = Service::new("a.seven");

/// A proxy whose node has not started accepts a connection and closes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_waits_for_its_node() {
    let proxy = TcpListener::bind(any_port()).await.unwrap();
    let address = proxy.local_addr().unwrap().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = {
        let address = address.clone();
        spawn(async move {
            let worker = Worker::builder().service("a.seven", async || 7_u32);
            let stopped = async { drop(stopped.await) };
            worker.run_until(&address, stopped).await
        })
    };
    drop(proxy.accept().await.unwrap());
    drop(proxy);
    let node = Node::builder().listen(&address).start().await.unwrap();
    let client = ContractClient::connect(&address).await.unwrap();
    until_served(&client, "a.seven").await;
    assert_eq!(node.call(SEVEN, ()).await.unwrap(), 7);
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    node.stop().await;
}

#[tokio::test]
async fn a_worker_that_waits_can_be_stopped() {
    let worker = Worker::builder().service("a.seven", async || 7_u32);
    let stopped = async { tokio::task::yield_now().await };
    worker.run_until("127.0.0.1:1", stopped).await.unwrap();
}

#[tokio::test]
async fn a_worker_with_a_timeout_and_one_that_connects_do_not_wait() {
    let worker = || Worker::builder().service("a.seven", async || 7_u32);
    let limited = worker().connect_timeout(Duration::from_millis(1));
    let never = std::future::pending();
    let error = limited.run_until("127.0.0.1:1", never).await.unwrap_err();
    assert_eq!(error.reason(), "CONNECT_FAILED");
    let error = worker().connect("127.0.0.1:1").await.unwrap_err();
    assert_eq!(error.reason(), "CONNECT_FAILED");
}
