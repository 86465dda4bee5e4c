//! What operators do to invocations, and what the history of an invocation says about it: reasons of cancellations,
//! held invocations, attempts that a restart interrupted.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::stream_results_response::Event;
use cidery::engine::clock::Clock;
use cidery::engine::store::Store as _;
use cidery::model::call::{Call, Start};
use cidery::remote::client::ContractClient;
use cidery::sio::Sio;
use cidery::store::SqliteStore;
use cidery::{Cid, Context, Definition, Node, NodeHandle, OnExhausted, RetryPolicy, Worker, dict};

use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::{Folder, PATIENCE, TestNode, ended, failure, follow, paths};

const REASON: &str = "ops ticket 12";

/// Waits for the state of an invocation that has not ended.
async fn wait_for(client: &ContractClient, cid: Cid, holds: impl Fn(&v1::Invocation) -> bool) {
    let reached = async {
        while !holds(&client.invocation(cid, Duration::ZERO).await.unwrap()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap();
}

fn is_held(invocation: &v1::Invocation) -> bool {
    invocation.pending_reason() == v1::PendingReason::Held
}

fn is_running(invocation: &v1::Invocation) -> bool {
    invocation.state() == v1::State::Running
}

/// Accepts an invocation that is held after its only attempt.
async fn held(client: &ContractClient) -> Cid {
    let mut call = Call::new("demo.flaky", dict! { "failures": 5 });
    call.durable().on_exhausted = Some(OnExhausted::Hold);
    call.durable().retry_policy = Some(RetryPolicy::never());
    let cid = client.invoke_async(call).await.unwrap().cid;
    wait_for(client, cid, is_held).await;
    cid
}

#[tokio::test]
async fn the_reason_of_a_cancellation_is_part_of_the_outcome() {
    let node = TestNode::demo().await;
    let client = &node.client;
    let mut later = Call::new("demo.sleep", dict! { "seconds": 0 });
    later.durable().start = Some(Start::After(Duration::from_hours(1)));
    let later = client.invoke_async(later).await.unwrap().cid;
    let sleep = Call::new("demo.sleep", dict! { "seconds": 3_600 });
    let sleep = client.invoke_async(sleep).await.unwrap().cid;
    wait_for(client, sleep, is_running).await;
    for cid in [later, sleep, held(client).await] {
        client.cancel_for(cid, REASON, false).await.unwrap();
        let failure = failure(ended(client, cid).await);
        assert_eq!(failure.reason, "CANCELLED");
        assert_eq!(
            failure.message,
            "the invocation was cancelled: ops ticket 12"
        );
        let events = node.events(follow(cid)).await;
        let Some(Event::Cancelled(last)) = &events.last().unwrap().event else {
            panic!("{events:?}");
        };
        assert_eq!(last.failure.as_ref().unwrap().message, failure.message);
    }
    node.handle.stop().await;
}

async fn start(folder: &Folder) -> NodeHandle {
    let store = SqliteStore::open(folder.path()).unwrap();
    let builder = Node::builder().demo().no_listener().store(store);
    let builder = builder.drain(Duration::ZERO);
    builder.start().await.unwrap()
}

#[tokio::test]
async fn the_reason_of_a_cancellation_survives_a_crash() {
    let folder = Folder::new("reasons");
    let node = start(&folder).await;
    let mut later = Call::new("demo.sleep", dict! { "seconds": 0 });
    later.durable().start = Some(Start::After(Duration::from_hours(1)));
    let cid = node.invoker().invoke_async(later).await.unwrap().cid;
    node.stop().await;
    // As a node does that crashes before the handler has ended.
    let store = SqliteStore::open(folder.path()).unwrap();
    for reason in [REASON, "another"] {
        let requested = store.request_cancel(cid, Some(reason.to_owned()));
        assert!(requested.await.unwrap());
    }
    drop(store);
    let node = start(&folder).await;
    let found = node.invoker().find(cid, PATIENCE).await.unwrap();
    let error = found.invocation.outcome().unwrap().unwrap_err();
    assert_eq!(
        error.message(),
        "the invocation was cancelled: ops ticket 12"
    );
    node.stop().await;
}

#[tokio::test]
async fn an_attempt_that_a_restart_interrupted_has_an_end() {
    let folder = Folder::new("interrupted");
    let attempts = async |client: &ContractClient, cid| client.explain(cid).await.unwrap().attempts;
    let serve = async || {
        let store = SqliteStore::open(folder.path()).unwrap();
        let builder = Node::builder().demo().store(store);
        TestNode::start(builder.drain(Duration::ZERO)).await
    };
    let node = serve().await;
    let sleep = Call::new("demo.sleep", dict! { "seconds": 3_600 });
    let cid = node.client.invoke_async(sleep).await.unwrap().cid;
    wait_for(&node.client, cid, is_running).await;
    node.handle.stop().await;
    let node = serve().await;
    wait_for(&node.client, cid, is_running).await;
    let [first, second] = attempts(&node.client, cid).await.try_into().unwrap();
    assert_eq!((first.number, second.number), (1, 1));
    assert_eq!(first.failure.unwrap().reason, "NODE_STOPPING");
    assert!(first.end_time.is_some());
    assert!(second.end_time.is_none() && second.failure.is_none());
    node.handle.stop().await;
}

#[tokio::test]
async fn a_cancelled_dead_letter_keeps_the_failure_of_its_last_attempt() {
    let node = TestNode::demo().await;
    let cid = held(&node.client).await;
    let before = node.client.explain(cid).await.unwrap();
    node.client.cancel(cid, false).await.unwrap();
    let after = node.client.explain(cid).await.unwrap();
    assert_eq!(after.attempts, before.attempts);
    let [attempt] = after.attempts.as_slice() else {
        panic!("{after:?}");
    };
    assert_eq!(attempt.failure.as_ref().unwrap().reason, "DEMO_FLAKY");
    assert_eq!(failure(after).reason, "CANCELLED");
    node.handle.stop().await;
}

#[tokio::test]
async fn a_held_invocation_has_no_due_time() {
    let node = TestNode::demo().await;
    let cid = held(&node.client).await;
    let found = node.client.explain(cid).await.unwrap();
    assert_eq!(found.start_time, None);
    node.client.cancel(cid, false).await.unwrap();
    assert_eq!(ended(&node.client, cid).await.start_time, None);
    let events = node.events(follow(cid)).await;
    let retry = events.iter().find_map(|event| match &event.event {
        Some(Event::RetryScheduled(retry)) => Some(retry),
        _ => None,
    });
    assert_eq!(retry.unwrap().start_time, None);
    node.handle.stop().await;
}

#[tokio::test]
async fn explain_says_what_a_pending_invocation_waits_for() {
    let node = TestNode::start(Node::builder().demo().drain(Duration::ZERO)).await;
    let address = node.address().to_string();
    let explain = async |cid: Cid| {
        let mut command = cidery();
        command.args(["explain", &cid.to_string()]);
        command.env("CIDERY_NODE", &address);
        let explained = tokio::task::spawn_blocking(move || command.output().unwrap());
        stdout(&explained.await.unwrap())
    };
    let keyed = || {
        let mut sleep = Call::new("demo.sleep", dict! { "seconds": 3_600 });
        sleep.durable().concurrency_key = Some("k".to_owned());
        sleep
    };
    let first = node.client.invoke_async(keyed()).await.unwrap().cid;
    wait_for(&node.client, first, is_running).await;
    let second = node.client.invoke_async(keyed()).await.unwrap().cid;
    let text = explain(second).await;
    let why = format!("waits: its key `k` is busy with {first}");
    assert!(text.contains(&why), "{text}");
    let worker = Worker::builder().service("report.build", async || "built");
    let worker = worker.connect(&address).await.unwrap();
    worker.stop().await;
    let report = node.client.invoke_async(Call::new("report.build", ()));
    let report = report.await.unwrap().cid;
    wait_for(&node.client, report, |it| {
        it.pending_reason() == v1::PendingReason::NoWorker
    })
    .await;
    let text = explain(report).await;
    let since = "waits: no worker serves `report.build` since ";
    assert!(
        text.contains(since) && text.contains(": start one"),
        "{text}"
    );
    node.handle.stop().await;
}

#[tokio::test]
async fn a_deadline_before_the_start_is_refused() {
    let node = TestNode::demo().await;
    let mut call = Call::new("demo.sleep", dict! { "seconds": 0 });
    call.durable().start = Some(Start::After(Duration::from_hours(2)));
    let hour = jiff::SignedDuration::from_hours(1);
    call.durable().deadline = Some(Clock::System.now().checked_add(hour).unwrap());
    let error = node.client.invoke_async(call).await.unwrap_err();
    assert_eq!(paths(&error), ["/deadline"], "{error:?}");
    node.handle.stop().await;
}

#[tokio::test]
async fn an_invalid_output_of_a_nested_call_names_its_service() {
    async fn calls(ctx: Context) -> cidery::Result<()> {
        ctx.invoke("b.wrong", ()).await.map(drop)
    }
    let wrong = Definition::new("b.wrong", async || dict! {}).unwrap();
    let wrong = wrong.sio(Sio::new().output("n"));
    let builder = Node::builder().register(wrong).service("a.calls", calls);
    let node = TestNode::start(builder).await;
    let error = node.client.invoke(Call::new("a.calls", ())).await;
    let error = error.unwrap_err();
    assert_eq!(error.reason(), "OUTPUT_INVALID");
    assert!(
        error.message().starts_with("service `b.wrong`: "),
        "{error}"
    );
    node.handle.stop().await;
}

#[test]
fn following_ends_when_the_invocation_is_held() {
    let server = Server::start(&[]);
    let call = [
        "invoke",
        "demo.flaky",
        "failures=1",
        "--retry",
        "1",
        "--hold",
    ];
    let held = server.run(&[&call[..], &["--follow", "--timeout", "1m"]].concat());
    let notes = stderr(&held);
    assert!(
        notes.contains("(DEMO_FLAKY); held: retry or cancel it\n"),
        "{notes}"
    );
    assert!(notes.contains("it is held after attempt 1"), "{notes}");
    assert_eq!(held.status.code(), Some(8), "{notes}");
    let text = stdout(&server.run(&["explain", "last", "--output", "json"]));
    assert!(!text.contains("2262"), "{text}");
    // Once it is retried, an earlier hold does not end the stream.
    assert!(server.run(&["retry", "last", "--yes"]).status.success());
    let followed = server.run(&["result", "last", "--follow"]);
    assert!(followed.status.success(), "{}", stderr(&followed));
}
