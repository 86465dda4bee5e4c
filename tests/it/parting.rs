//! A node that stops, and another one in its place: workers serve the next one before the last one has ended.

use std::sync::Arc;

use cidery::service::Call;
use cidery::{Client, Node, Worker, WorkerHandle, dict};
use tokio::sync::Semaphore;

use crate::support::bare::{Bare, hello};
use crate::support::proxy::Proxy;
use crate::support::raw::spawn;
use crate::support::{TestNode, ended, until};

/// Serves `a.waits`, which answers when `gate` has room, and invokes another service before it does.
async fn serve(address: &str, gate: &Arc<Semaphore>) -> WorkerHandle {
    let gate = Arc::clone(gate);
    let waits = move |ctx: cidery::Context| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            ctx.invoke("customer.get", dict! { "cust_id": 1 }).await?;
            Ok::<_, cidery::Error>(dict! { "ok": true })
        }
    };
    let builder = Worker::builder().service("a.waits", waits);
    builder.connect(address).await.unwrap()
}

async fn served(client: &Client) {
    let there = async || client.workers().await.unwrap().len() == 1;
    while !there().await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_serves_the_next_node_while_the_last_one_stops() {
    let (last, next) = (
        TestNode::start(Node::builder().demo()).await,
        TestNode::start(Node::builder().demo()).await,
    );
    let cable = Proxy::to(last.address()).await;
    let gate = Arc::new(Semaphore::new(0));
    let worker = serve(&cable.address.to_string(), &gate).await;
    let id = worker.id();
    let cid = last.client.invoke_async(Call::new("a.waits", ()));
    let cid = cid.await.unwrap().cid;
    let caller = last.client.clone();
    let calling = spawn(async move { caller.invoke(Call::new("a.waits", ())).await });
    let followed = last.client.clone();
    let following = spawn(async move { ended(&followed, cid).await.state() });
    until("both run", || worker.in_flight() == 2).await;

    cable.lead_to(next.address());
    let stopping = spawn(last.handle.stop());
    served(&next.client).await;
    until("it has heard so", || worker.id() != id).await;
    // Nothing was cut off: what the last node handed over is answered to it, with what it invokes in turn.
    assert_eq!(worker.in_flight(), 2);
    gate.add_permits(3);
    calling.await.unwrap().unwrap();
    let succeeded = cidery::codec::proto::v1::State::Succeeded;
    assert_eq!(following.await.unwrap(), succeeded);
    stopping.await.unwrap();
    next.client.invoke(Call::new("a.waits", ())).await.unwrap();
    worker.stop().await;
    assert!(next.client.workers().await.unwrap().is_empty());
}

/// A node that stops takes no worker it does not know.
#[tokio::test]
async fn a_node_that_stops_takes_no_new_worker() {
    let node = TestNode::start(Node::builder().demo()).await;
    let gate = Arc::new(Semaphore::new(0));
    let address = node.address();
    let worker = serve(&address.to_string(), &gate).await;
    let caller = node.client.clone();
    let calling = spawn(async move { caller.invoke(Call::new("a.waits", ())).await });
    until("it runs", || worker.in_flight() == 1).await;
    let invoker = node.handle.invoker().clone();
    let stopping = spawn(node.handle.stop());
    while invoker.refuse_when_draining().is_ok() {
        tokio::task::yield_now().await;
    }
    let first = cidery::codec::proto::v1::serve_request::Message::Hello(hello("a.task"));
    let refused = Bare::open(address, Some(first)).await.unwrap_err();
    assert_eq!(refused.reason(), "NODE_STOPPING");
    gate.add_permits(1);
    calling.await.unwrap().unwrap();
    stopping.await.unwrap();
    worker.stop().await;
}
