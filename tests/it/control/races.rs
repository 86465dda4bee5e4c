//! Once a pause is answered, no attempt starts: with a thousand invocations, and in each interleaving that matters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cidery::model::call::Call;
use cidery::model::invocation::State;
use cidery::model::service_control::ControlCause;
use cidery::store::SqliteStore;
use cidery::{Cid, Context, Node, NodeHandle};
use futures_util::future::join_all;

use super::pause_here;
use crate::support::gated::{GatedStore, Gates, Point};
use crate::support::raw::spawn;
use crate::support::{Folder, PATIENCE, until};

/// How many invocations the clients send, how many clients there are, and how often the service is paused meanwhile.
const INVOCATIONS: usize = 1_000;
const CLIENTS: usize = 8;
const PAUSES: usize = 25;

/// How often the handler was called for each CID.
type Calls = Arc<Mutex<HashMap<Cid, u32>>>;

fn total(calls: &Calls) -> u32 {
    calls.lock().unwrap().values().sum()
}

async fn accept(node: &NodeHandle) -> Cid {
    let accepted = node.invoker().invoke_async(Call::new("counted", ()));
    accepted.await.unwrap().cid
}

async fn node(builder: cidery::NodeBuilder) -> (Arc<NodeHandle>, Calls) {
    let calls = Calls::default();
    let counted = Arc::clone(&calls);
    let handler = move |ctx: Context| {
        *counted.lock().unwrap().entry(ctx.cid()).or_default() += 1;
        tokio::task::yield_now()
    };
    let builder = builder.service("counted", handler).no_listener();
    (Arc::new(builder.start().await.unwrap()), calls)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_starts_between_a_pause_and_the_resume() {
    let (node, calls) = node(Node::builder()).await;
    let clients = (0..CLIENTS).map(|_| {
        let node = Arc::clone(&node);
        spawn(async move {
            let mut cids = Vec::new();
            for _ in 0..INVOCATIONS / CLIENTS {
                cids.push(accept(&node).await);
                tokio::task::yield_now().await;
            }
            cids
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut cids = Vec::new();
    for round in 0..PAUSES {
        // In another moment of the load each time.
        let before = total(&calls);
        until("some have run", || {
            total(&calls) > before || round > PAUSES / 2
        })
        .await;
        pause_here(&node, "counted").await;
        let called = total(&calls);
        // What is accepted now waits, however often its scheduler is woken.
        for _ in 0..10 {
            let cid = accept(&node).await;
            let found = node.invoker().find(cid, Duration::ZERO).await.unwrap();
            assert_eq!(found.invocation.state, State::ACCEPTED);
            assert!(found.paused);
            cids.push(cid);
        }
        assert_eq!(
            total(&calls),
            called,
            "a handler was called after the pause"
        );
        assert!(
            node.invoker()
                .resume_service("counted", String::new())
                .await
                .unwrap()
        );
    }
    for client in join_all(clients).await {
        cids.extend(client.unwrap());
    }
    assert!(cids.len() >= INVOCATIONS);
    for cid in &cids {
        let found = node.invoker().find(*cid, PATIENCE).await.unwrap();
        assert_eq!(found.invocation.state, State::Succeeded);
        assert_eq!(found.invocation.attempts, 1);
    }
    let calls = calls.lock().unwrap();
    assert_eq!(calls.len(), cids.len());
    assert!(calls.values().all(|calls| *calls == 1));
}

async fn gated() -> (Arc<NodeHandle>, Calls, Gates) {
    let (store, gates) = GatedStore::new();
    let (node, calls) = node(Node::builder().store(store)).await;
    (node, calls, gates)
}

#[tokio::test]
async fn what_was_claimed_before_the_pause_is_put_back_and_waits_as_before() {
    let (node, calls, gates) = gated().await;
    let claiming = gates.close(Point::AfterClaim);
    let recording = gates.close(Point::AfterRecord);
    let cid = accept(&node).await;
    let before = node.invoker().find(cid, Duration::ZERO).await.unwrap();
    claiming.arrived().await;
    pause_here(&node, "counted").await;
    claiming.open();
    recording.arrived().await;
    recording.open();
    let found = node.invoker().find(cid, Duration::ZERO).await.unwrap();
    let (before, after) = (before.invocation, found.invocation);
    assert_eq!((after.state, after.attempts), (State::ACCEPTED, 0));
    assert_eq!(
        (after.due, after.sequence()),
        (before.due, before.sequence())
    );
    assert!(found.paused);
    assert_eq!(total(&calls), 0);
    node.invoker()
        .resume_service("counted", String::new())
        .await
        .unwrap();
    let found = node.invoker().find(cid, PATIENCE).await.unwrap();
    assert_eq!(found.invocation.state, State::Succeeded);
    assert_eq!((found.invocation.attempts, total(&calls)), (1, 1));
}

/// The caller may give up while the change is written.
#[tokio::test]
async fn a_change_whose_caller_leaves_is_made_all_the_same() {
    let folder = Folder::new("controls");
    let store = SqliteStore::open(folder.path()).unwrap();
    let (node, _) = node(Node::builder().store(store)).await;
    let invoker = node.invoker();
    let cause = ControlCause::default();
    // Begun, and left: nearly always before it is written.
    let mut pause = Box::pin(invoker.pause_service("counted", false, cause));
    let _ = futures_util::poll!(&mut pause);
    drop(pause);
    until("it is paused", || !invoker.service_controls().is_empty()).await;
    let mut resume = Box::pin(invoker.resume_service("counted", String::new()));
    let _ = futures_util::poll!(&mut resume);
    drop(resume);
    until("it is resumed", || invoker.service_controls().is_empty()).await;
}

/// What was let in before the service was disabled is stored before that is answered.
#[tokio::test]
async fn nothing_is_accepted_once_a_disable_is_answered() {
    let (node, _, gates) = gated().await;
    let accepting = gates.close(Point::BeforeAccept);
    let in_flight = Arc::clone(&node);
    let in_flight = spawn(async move { accept(&in_flight).await });
    accepting.arrived().await;
    let invoker = node.invoker();
    let mut disable = Box::pin(invoker.disable_service("counted", ControlCause::default()));
    let call = || invoker.invoke_async(Call::new("counted", ()));
    // It is in force, and waits for the one that is in flight.
    assert!(futures_util::poll!(&mut disable).is_pending());
    until("it is disabled", || !invoker.service_controls().is_empty()).await;
    assert_eq!(call().await.unwrap_err().reason(), "SERVICE_INACTIVE");
    assert!(futures_util::poll!(&mut disable).is_pending());
    accepting.open();
    disable.await.unwrap();
    let cid = in_flight.await.unwrap();
    let found = invoker.find(cid, Duration::ZERO).await.unwrap();
    assert!(found.paused);
}
