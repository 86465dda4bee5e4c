//! A node that is started on hold accepts and lists, and starts nothing until it is resumed.

use std::time::Duration;

use cidery::codec::proto::health::HealthCheckRequest;
use cidery::codec::proto::health::health_check_response::ServingStatus;
use cidery::codec::proto::health::health_client::HealthClient;
use cidery::codec::proto::v1;
use cidery::engine::clock::Clock;
use cidery::model::batch::Batch;
use cidery::model::call::{Call, OnDeadline, Start};
use cidery::model::invocation::State;
use cidery::remote::client::ContractClient;
use cidery::{Cid, Kind, Node, Worker, dict};

use super::{PAUSED, accept, pause, state};
use crate::support::binary::{Server, stderr, stdout};
use crate::support::{Folder, TestNode, ended};

fn get() -> Call {
    Call::new("customer.get", dict! { "cust_id": 1 })
}

#[tokio::test]
async fn a_held_node_accepts_and_starts_nothing_until_it_is_resumed() {
    let node = TestNode::start(Node::builder().demo().hold()).await;
    let client = &node.client;
    let cid = accept(client, get()).await;
    let cancelled = accept(client, get()).await;
    assert_eq!(state(client, cid).await, PAUSED);
    client.cancel(cancelled, false).await.unwrap();
    assert_eq!(state(client, cancelled).await.0, v1::State::Cancelled);
    let group = client.invoke_batch(Batch::default()).await.unwrap();
    let mut continuing = get();
    continuing.durable().on_deadline = OnDeadline::Continue;
    for call in [get(), continuing, Call::new("cidery.ping", ())] {
        let error = client.invoke(call).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.reason()),
            (Kind::Unavailable, "NODE_HELD")
        );
    }
    // Also services that are announced meanwhile.
    let worker = Worker::builder().service("report.build", async || "built");
    let worker = worker.connect(&node.address().to_string()).await.unwrap();
    let report = accept(client, Call::new("report.build", ())).await;
    assert_eq!(state(client, report).await, PAUSED);
    // A pause outlasts the hold.
    pause(client, "demo.count").await;
    let paused = accept(client, Call::new("demo.count", dict! { "to": 1 })).await;
    let mut health = HealthClient::connect(format!("http://{}", node.address()))
        .await
        .unwrap();
    let mut status = async |service: &str| {
        let service = service.to_owned();
        let status = health.check(HealthCheckRequest { service }).await;
        status.unwrap().into_inner().status()
    };
    assert_eq!(status("").await, ServingStatus::Serving);
    assert_eq!(status("customer.get").await, ServingStatus::NotServing);
    assert_eq!(state(client, group.cid).await.0, v1::State::Running);

    assert!(client.resume_node().await.unwrap());
    for cid in [cid, report, group.cid] {
        assert_eq!(ended(client, cid).await.state(), v1::State::Succeeded);
    }
    assert_eq!(status("customer.get").await, ServingStatus::Serving);
    assert_eq!(state(client, paused).await, PAUSED);
    client.invoke(get()).await.unwrap();
    assert!(!client.resume_node().await.unwrap());
    worker.stop().await;
    node.handle.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_held_node_expires_and_removes_nothing() {
    let builder = Node::builder().demo().hold().no_listener();
    let node = builder.clock(Clock::steady()).start().await.unwrap();
    let invoker = node.invoker();
    let mut expires = get();
    expires.durable().expiration = Some(Duration::from_secs(60));
    let expires = invoker.invoke_async(expires).await.unwrap().cid;
    let mut ended = get();
    ended.durable().retention = Some(Duration::from_secs(3_000));
    let ended = invoker.invoke_async(ended).await.unwrap().cid;
    invoker.cancel(ended, None).await.unwrap();
    let state = async |cid: Cid, wait: u64| {
        let found = invoker.find(cid, Duration::from_secs(wait)).await;
        found.map(|found| found.invocation.state)
    };
    assert_eq!(state(expires, 3_600).await.unwrap(), State::ACCEPTED);
    assert_eq!(state(ended, 0).await.unwrap(), State::Cancelled);
    assert!(node.resume());
    assert_eq!(state(expires, 10).await.unwrap(), State::Expired);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(
        state(ended, 0).await.unwrap_err().reason(),
        "RESULT_EXPIRED"
    );
    node.stop().await;
}

async fn client(server: &Server) -> ContractClient {
    ContractClient::connect(&server.address).await.unwrap()
}

/// Pauses outlast a crash; a hold is that of one start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pauses_survive_a_killed_node_and_a_hold_does_not() {
    let folder = Folder::new("control");
    let data = folder.path().join("data");
    let data = ["--data-dir", data.to_str().unwrap()];
    let server = Server::start(&data);
    let first = client(&server).await;
    let control = pause(&first, "customer.get").await;
    let disabled = super::disable(&first, "demo.count").await;
    let paused = accept(&first, get()).await;
    // Dropped, it is killed.
    drop(server);

    let server = Server::start(&[&data[..], &["--hold"]].concat());
    let held = client(&server).await;
    let described = held.describe("customer.get").await.unwrap();
    assert_eq!(described.control, Some(control));
    let described = held.describe("demo.count").await.unwrap();
    assert_eq!(described.control, Some(disabled));
    let other = accept(&held, Call::new("demo.flaky", dict! { "failures": 0 })).await;
    assert!(held.resume_service("customer.get").await.unwrap());
    assert!(held.enable_service("demo.count").await.unwrap());
    for cid in [paused, other] {
        assert_eq!(state(&held, cid).await, PAUSED);
    }
    let explained = server.run(&["explain", &other.to_string()]);
    let text = stdout(&explained);
    assert!(text.contains("waits: the node is held"), "{text}");
    let mut later = get();
    later.durable().start = Some(Start::After(Duration::from_secs(3_600)));
    let later = accept(&held, later).await;
    let text = stdout(&server.run(&["explain", &later.to_string()]));
    for part in [
        "waits: it is due in ",
        ". Besides, the node is held (`cidery resume` lets it go on)",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let refused = server.run(&["invoke", "cidery.ping"]);
    assert_eq!(refused.status.code(), Some(6), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("(NODE_HELD)"),
        "{}",
        stderr(&refused)
    );
    drop(server);

    let server = Server::start(&data);
    let last = client(&server).await;
    for cid in [paused, other] {
        let found = ended(&last, cid).await;
        assert_eq!((found.state(), found.attempt), (v1::State::Succeeded, 1));
    }
    let described = last.describe("customer.get").await.unwrap();
    assert_eq!(described.control, None);
}
