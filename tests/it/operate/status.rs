//! `GetStatus`: the health of a node with its reasons, and what it shows.

use std::sync::Arc;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::engine::HEALTH_REASONS;
use cidery::engine::clock::{Clock, ManualClock};
use cidery::model::call::{Call, Start};
use cidery::store::{MemoryStore, SqliteOptions, SqliteStore};
use cidery::{Definition, Error, Node, NodeBuilder, RetryPolicy, Worker, dict};
use tokio::sync::Semaphore;

use crate::support::gated::{Fault, GatedStore};
use crate::support::{Folder, PATIENCE, TestNode, ended, until};

async fn status(node: &TestNode) -> v1::GetStatusResponse {
    node.client.status().await.unwrap()
}

/// The health, and the names of the reasons.
fn health(status: &v1::GetStatusResponse) -> (v1::NodeHealth, Vec<&str>) {
    let reasons = status.health_reasons.iter();
    let reasons = reasons.map(|reason| reason.reason.as_str());
    (status.health(), reasons.collect())
}

/// A status that someone waits for.
async fn status_with(
    node: &TestNode,
    what: &str,
    holds: impl Fn(&v1::GetStatusResponse) -> bool,
) -> v1::GetStatusResponse {
    let wait = async {
        loop {
            let found = status(node).await;
            if holds(&found) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, wait).await;
    found.unwrap_or_else(|_| panic!("timeout: {what}"))
}

fn later(service: &'static str) -> Call {
    let mut call = Call::new(service, ());
    call.durable().start = Some(Start::After(Duration::from_hours(1)));
    call
}

/// On both stores.
async fn on_each_store<F: Future<Output = ()>>(test: impl Fn(NodeBuilder, &'static str) -> F) {
    test(Node::builder().store(MemoryStore::new()), "memory").await;
    let folder = Folder::new("status");
    let store = SqliteStore::open(folder.path()).unwrap();
    test(Node::builder().store(store), "sqlite").await;
}

#[tokio::test]
async fn a_healthy_node_says_so_and_shows_its_numbers() {
    on_each_store(async |builder, store| {
        let node = TestNode::start(builder.demo()).await;
        node.client
            .invoke_async(later("cidery.ping"))
            .await
            .unwrap();
        // The scheduler holds a permit while it looks for what is due.
        let found = status_with(&node, "nothing runs", |it| it.running == 0).await;
        assert_eq!(health(&found), (v1::NodeHealth::Serving, vec![]));
        assert_eq!((found.store.as_str(), found.pending), (store, 1));
        assert_eq!((found.workers, found.held), (0, false));
        assert_eq!(
            found.services,
            node.client.services("").await.unwrap().len() as u64
        );
        assert!(
            found.generation > 0 && found.store_size_bytes > 0,
            "{found:?}"
        );
        assert!(found.store_size_bytes < found.store_bytes_limit);
        assert_eq!(found.disk_free_bytes > 0, store == "sqlite");
        assert!(found.oldest_due.is_empty(), "{found:?}");
        let names: Vec<_> = found.limits.iter().map(|limit| &*limit.name).collect();
        assert!(
            names.contains(&"pending") && names.contains(&"bytes"),
            "{names:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn work_that_nobody_serves_degrades_a_node() {
    on_each_store(async |builder, _| {
        let node = TestNode::start(builder).await;
        let address = node.address().to_string();
        let worker = || {
            Worker::builder()
                .service("a.task", async || {})
                .name("w")
                .build_id("7")
        };
        let connected = worker().connect(&address).await.unwrap();
        let found = status(&node).await;
        assert_eq!((found.workers, found.unserved_services.len()), (1, 0));
        let build = v1::WorkerBuild {
            worker_name: "w".to_owned(),
            build_id: "7".to_owned(),
            workers: 1,
        };
        assert_eq!(found.builds, [build]);
        connected.stop().await;
        let found = status_with(&node, "unserved", |it| !it.unserved_services.is_empty()).await;
        assert_eq!(health(&found), (v1::NodeHealth::Serving, vec![]));
        let cid = node
            .client
            .invoke_async(Call::new("a.task", ()))
            .await
            .unwrap()
            .cid;
        let found = status(&node).await;
        let expected = (v1::NodeHealth::Degraded, vec!["SERVICE_UNSERVED"]);
        assert_eq!(health(&found), expected);
        assert!(found.health_reasons[0].message.contains("`a.task`"));
        let unserved = &found.unserved_services[0];
        assert_eq!((&*unserved.service, unserved.pending), ("a.task", 1));
        assert!(unserved.last_served_time.is_some());
        let oldest = &found.oldest_due[0];
        assert_eq!(
            (&*oldest.service, &*oldest.cid),
            ("a.task", &*cid.to_string())
        );
        assert_eq!(oldest.pending_reason(), v1::PendingReason::NoWorker);
        let _connected = worker().connect(&address).await.unwrap();
        let found = status_with(&node, "served", |it| it.pending == 0).await;
        assert_eq!(health(&found), (v1::NodeHealth::Serving, vec![]));
        assert!(found.unserved_services.is_empty());
    })
    .await;
}

#[tokio::test]
async fn work_that_is_due_for_minutes_degrades_a_node() {
    on_each_store(async |builder, _| {
        let (clock, gate) = (ManualClock::new(), Arc::new(Semaphore::new(0)));
        let of_handler = Arc::clone(&gate);
        let slow = move || {
            let gate = Arc::clone(&of_handler);
            async move { gate.acquire().await.unwrap().forget() }
        };
        let slow = Definition::new("a.slow", slow).unwrap().concurrency(1);
        let builder = builder.register(slow).clock(Clock::Manual(clock.clone()));
        let node = TestNode::start(builder).await;
        let mut cids = Vec::new();
        for _ in 0..2 {
            let accepted = node.client.invoke_async(Call::new("a.slow", ())).await;
            cids.push(accepted.unwrap().cid.to_string());
            clock.advance(Duration::from_secs(1));
        }
        status_with(&node, "one runs", |it| it.running == 1 && it.pending == 1).await;
        clock.advance(Duration::from_mins(4));
        let found = status(&node).await;
        assert_eq!(health(&found), (v1::NodeHealth::Serving, vec![]));
        let oldest = &found.oldest_due[0];
        assert_eq!((&oldest.cid, oldest.pending), (&cids[1], 1));
        assert_eq!(oldest.pending_reason(), v1::PendingReason::Queued);
        clock.advance(Duration::from_mins(2));
        let found = status(&node).await;
        let expected = (v1::NodeHealth::Degraded, vec!["OLDEST_DUE_LATE"]);
        assert_eq!(health(&found), expected);
        assert!(
            found.health_reasons[0].message.contains(&cids[1]),
            "{found:?}"
        );
        gate.add_permits(2);
        let found = status_with(&node, "all end", |it| it.running + it.pending == 0).await;
        assert_eq!(health(&found), (v1::NodeHealth::Serving, vec![]));
    })
    .await;
}

#[tokio::test]
async fn a_limit_that_is_nearly_hit_degrades_a_node() {
    let builder = Node::builder().limits(|limits| limits.pending = 10);
    let node = TestNode::start(builder.service("a.few", async || {})).await;
    for _ in 0..8 {
        node.client.invoke_async(later("a.few")).await.unwrap();
    }
    assert_eq!(health(&status(&node).await).0, v1::NodeHealth::Serving);
    node.client.invoke_async(later("a.few")).await.unwrap();
    let found = status(&node).await;
    let expected = (v1::NodeHealth::Degraded, vec!["LIMIT_NEARLY_HIT"]);
    assert_eq!(health(&found), expected);
    let first = v1::LimitUse {
        name: "pending".to_owned(),
        service: "a.few".to_owned(),
        used: 9,
        limit: 10,
    };
    assert_eq!(found.limits[0], first);
}

#[tokio::test]
async fn a_store_that_is_nearly_full_degrades_a_node() {
    let folder = Folder::new("full-status");
    let options = SqliteOptions {
        bytes_limit: 1 << 20,
        ..SqliteOptions::default()
    };
    let sqlite = SqliteStore::open_with(folder.path(), options).unwrap();
    for builder in [
        Node::builder().store(MemoryStore::with_bytes_limit(64 << 10)),
        Node::builder().store(sqlite),
    ] {
        let node = TestNode::start(builder.demo()).await;
        let client = node.client.clone().max_attempts(1);
        let error = loop {
            let mut call = Call::new("demo.sleep", dict! { "seconds": 0 });
            call.metadata = Some(Arc::new(
                [("text", "x".repeat(4_000))].into_iter().collect(),
            ));
            call.durable().start = Some(Start::After(Duration::from_hours(1)));
            if let Err(error) = client.invoke_async(call).await {
                break error;
            }
        };
        assert_eq!(error.reason(), "STORE_FULL");
        let found = status(&node).await;
        let (health, reasons) = health(&found);
        assert_eq!(health, v1::NodeHealth::Degraded, "{found:?}");
        // It is refused before the limit, or once it has been passed.
        let names = ["STORE_NEARLY_FULL", "STORE_FULL"];
        assert!(names.contains(&reasons[0]), "{reasons:?}");
    }
}

#[tokio::test]
async fn a_node_whose_store_has_failed_does_not_serve() {
    let folder = Folder::new("failed-status");
    let store = SqliteStore::open(folder.path()).unwrap();
    let node = TestNode::start(Node::builder().demo().store(store)).await;
    std::fs::remove_file(folder.path().join("cidery.db")).unwrap();
    let client = node.client.clone().max_attempts(1);
    let call = || Call::new("customer.get", dict! { "cust_id": 1 });
    while client.invoke_async(call()).await.is_ok() {}
    let found = status(&node).await;
    let expected = (v1::NodeHealth::NotServing, vec!["STORE_FAILED"]);
    assert_eq!(health(&found), expected);
}

#[tokio::test]
async fn held_invocations_are_counted() {
    on_each_store(async |builder, _| {
        let down = async || Err::<(), _>(Error::unavailable("DOWN", "down"));
        let node = TestNode::start(builder.service("a.down", down)).await;
        let mut call = Call::new("a.down", ());
        call.durable().on_exhausted = Some(cidery::OnExhausted::Hold);
        call.durable().retry_policy = Some(RetryPolicy::never());
        let cid = node.client.invoke_async(call).await.unwrap().cid;
        let found = status_with(&node, "held", |it| it.held_invocations == 1).await;
        // It is not due, and no fault of the node.
        assert!(found.oldest_due.is_empty());
        assert_eq!(health(&found), (v1::NodeHealth::Serving, vec![]));
        node.client.cancel(cid, false).await.unwrap();
        assert_eq!(status(&node).await.held_invocations, 0);
    })
    .await;
}

#[tokio::test]
async fn the_failures_of_the_last_hour_are_counted_by_service_and_reason() {
    on_each_store(async |builder, _| {
        let clock = ManualClock::new();
        let builder = builder.demo().clock(Clock::Manual(clock.clone()));
        let node = TestNode::start(builder).await;
        let fail = async |message: &str| {
            let input = dict! { "code": "NOT_FOUND", "message": message };
            let call = node.client.invoke_async(Call::new("demo.fail", input));
            let cid = call.await.unwrap().cid;
            assert_eq!(ended(&node.client, cid).await.state(), v1::State::Failed);
            cid.to_string()
        };
        fail("long ago").await;
        clock.advance(Duration::from_mins(61));
        fail("first").await;
        clock.advance(Duration::from_mins(1));
        let last = fail("last").await;
        let found = status(&node).await;
        assert_eq!((found.failed_invocations, found.failures.len()), (2, 1));
        assert!(!found.failures_incomplete && found.failures_error.is_empty());
        let failed = &found.failures[0];
        assert_eq!((&*failed.service, failed.count), ("demo.fail", 2));
        assert_eq!(
            (&failed.example_cid, &*failed.example_message),
            (&last, "last")
        );
        assert_eq!(found.totals.unwrap().failures, 1);
    })
    .await;
}

#[tokio::test]
async fn failures_that_cannot_be_counted_are_said_to_be_unknown() {
    let (store, gates) = GatedStore::new();
    let node = TestNode::start(Node::builder().store(store)).await;
    assert_eq!(status(&node).await.failures_error, "");
    gates.set_fault(Fault::CountFailures, true);
    let found = status(&node).await;
    assert_eq!(found.failures_error, "the disk failed");
    let expected = (v1::NodeHealth::Degraded, vec!["STORE_FAILED"]);
    assert_eq!(health(&found), expected);
}

/// A handler that runs is shown as such, and is no work that is due.
#[tokio::test]
async fn what_runs_is_not_due() {
    let node = TestNode::start(Node::builder().demo()).await;
    let sleep = Call::new("demo.sleep", dict! { "seconds": 3_600 });
    let cid = node.client.invoke_async(sleep).await.unwrap().cid;
    until("it runs", || node.handle.invoker().running_handlers() == 1).await;
    let found = status(&node).await;
    assert_eq!((found.running, found.oldest_due.len()), (1, 0));
    node.client.cancel(cid, false).await.unwrap();
}

#[test]
fn every_reason_is_documented() {
    let docs = include_str!("../../../docs/operate.md");
    for reason in HEALTH_REASONS {
        assert!(docs.contains(&format!("| `{reason}` |")), "{reason}");
    }
}
