//! Races between subscribing and finishing: gates of the store force each interleaving.

use std::time::Duration;

use cidery::engine::clock::Clock;
use cidery::engine::{FollowRequest, Follower, FollowerEvent};
use cidery::model::call::{Call, Start};
use cidery::model::invocation::Event;
use cidery::{Cid, Context, Error, Node, NodeHandle, dict};

use crate::support::gated::{GatedStore, Gates, Point};
use crate::support::raw::spawn;
use crate::support::{PATIENCE, until};

const ALL: [&str; 3] = ["Accepted", "Started", "Succeeded"];

async fn node() -> (NodeHandle, Gates) {
    let (store, gates) = GatedStore::new();
    let builder = Node::builder().store(store).no_listener();
    (builder.start().await.unwrap(), gates)
}

fn kind(event: &Event) -> String {
    let debug = format!("{:?}", event.kind);
    debug.split(['(', ' ']).next().unwrap().to_owned()
}

/// Reads to the end and returns the kinds of events; checks that no sequence occurs twice.
async fn read(mut follower: Follower) -> Vec<String> {
    let mut kinds = Vec::new();
    let mut last = 0;
    let all = async {
        while let Some(followed) = follower.next().await.unwrap() {
            match followed {
                FollowerEvent::Event(_, event, _) => {
                    assert!(event.sequence > last, "{event:?} after {last}");
                    last = event.sequence;
                    kinds.push(kind(&event));
                }
                FollowerEvent::NotFound { .. } => kinds.push("NotFound".to_owned()),
                FollowerEvent::Progress(..) => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, all)
        .await
        .expect("the stream does not end");
    kinds
}

fn call(cid: Cid) -> Call {
    let mut call = Call::new("cidery.echo", dict! { "a": 1 });
    call.cid = Some(cid);
    call
}

async fn accept(node: &NodeHandle) -> Cid {
    let cid = Cid::new();
    node.invoker().invoke_async(call(cid)).await.unwrap();
    cid
}

fn follow(node: &NodeHandle, cid: Cid) -> Follower {
    node.invoker()
        .follow(FollowRequest {
            cids: vec![(cid, 0)],
            wait_for_accept: true,
            ..FollowRequest::default()
        })
        .unwrap()
}

#[tokio::test]
async fn subscribed_before_the_outcome_is_recorded() {
    let (node, gates) = node().await;
    let recording = gates.close(Point::BeforeRecord);
    let cid = accept(&node).await;
    recording.arrived().await;
    let reader = spawn(read(follow(&node, cid)));
    recording.open();
    assert_eq!(reader.await.unwrap(), ALL);
}

#[tokio::test]
async fn subscribed_while_the_outcome_is_recorded_and_not_yet_notified() {
    let (node, gates) = node().await;
    let recorded = gates.close(Point::AfterRecord);
    let cid = accept(&node).await;
    recorded.arrived().await;
    let mut follower = follow(&node, cid);
    for expected in ["Accepted", "Started"] {
        let Some(FollowerEvent::Event(_, event, _)) = follower.next().await.unwrap() else {
            panic!("no {expected}");
        };
        assert_eq!(kind(&event), expected);
    }
    recorded.open();
    assert_eq!(read(follower).await, ["Succeeded"]);
}

#[tokio::test]
async fn subscribed_after_everything() {
    let (node, _gates) = node().await;
    let cid = accept(&node).await;
    assert_eq!(read(follow(&node, cid)).await, ALL);
    assert_eq!(read(follow(&node, cid)).await, ALL);
}

/// The reader is stopped before or after its read of the store while the invocation starts and ends.
#[tokio::test]
async fn the_invocation_runs_while_the_store_is_read() {
    for point in [Point::BeforeGet, Point::AfterGet] {
        let (node, gates) = node().await;
        let cid = Cid::new();
        let reading = gates.close(point);
        let reader = spawn(read(follow(&node, cid)));
        reading.arrived().await;
        node.invoker().invoke_async(call(cid)).await.unwrap();
        let engine = node.invoker().clone();
        until("the invocation has ended", move || {
            engine.running_handlers() == 0
                && engine
                    .store()
                    .pending_count(&"cidery.echo".parse().unwrap())
                    == 0
        })
        .await;
        reading.open();
        assert_eq!(reader.await.unwrap(), ALL, "{point:?}");
    }
}

/// The reader has read that there is no invocation, or a pending one, and the acceptance is notified only afterwards.
#[tokio::test]
async fn accepted_while_the_store_is_read() {
    for accepting in [Point::BeforeAccept, Point::AfterAccept] {
        for reading in [Point::BeforeGet, Point::AfterGet] {
            let (node, gates) = node().await;
            let cid = Cid::new();
            let at_get = gates.close(reading);
            let reader = spawn(read(follow(&node, cid)));
            at_get.arrived().await;
            let at_accept = gates.close(accepting);
            let invoker = node.invoker().clone();
            let accepted = spawn(async move { invoker.invoke_async(call(cid)).await.unwrap() });
            at_accept.arrived().await;
            at_get.open();
            at_accept.open();
            accepted.await.unwrap();
            assert_eq!(reader.await.unwrap(), ALL, "{accepting:?} {reading:?}");
        }
    }
}

#[tokio::test]
async fn no_event_is_delivered_before_it_is_recorded() {
    let (node, gates) = node().await;
    let recording = gates.close(Point::BeforeRecord);
    let cid = accept(&node).await;
    recording.arrived().await;
    let found = node.invoker().find(cid, Duration::ZERO).await.unwrap();
    assert!(!found.invocation.state.is_terminal());
    let mut follower = follow(&node, cid);
    follower.next().await.unwrap();
    follower.next().await.unwrap();
    {
        let mut next = std::pin::pin!(follower.next());
        for _ in 0..100 {
            assert!(futures_util::poll!(next.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
    }
    recording.open();
    assert_eq!(read(follower).await, ["Succeeded"]);
}

#[tokio::test]
async fn a_dropped_read_loses_no_event() {
    let (node, gates) = node().await;
    let cid = accept(&node).await;
    assert_eq!(read(follow(&node, cid)).await, ALL);
    let mut follower = follow(&node, cid);
    let reading = gates.close(Point::AfterGet);
    {
        let mut next = std::pin::pin!(follower.next());
        assert!(futures_util::poll!(next.as_mut()).is_pending());
        reading.arrived().await;
    }
    reading.open();
    assert_eq!(read(follower).await, ALL);
}

#[tokio::test]
async fn waiting_for_the_end_returns_at_the_end_and_not_later() {
    let (node, gates) = node().await;
    let recorded = gates.close(Point::AfterRecord);
    let cid = accept(&node).await;
    recorded.arrived().await;
    let invoker = node.invoker().clone();
    let waiting = spawn(async move { invoker.find(cid, PATIENCE).await.unwrap() });
    recorded.open();
    let found = waiting.await.unwrap();
    assert!(found.invocation.state.is_terminal());
}

#[tokio::test]
async fn a_caller_that_disconnects_during_acceptance() {
    let (node, gates) = node().await;
    let accepted = gates.close(Point::AfterAccept);
    let cid = Cid::new();
    let invoker = node.invoker().clone();
    let caller = spawn(async move { invoker.invoke_async(call(cid)).await });
    accepted.arrived().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    accepted.open();
    assert_eq!(read(follow(&node, cid)).await, ALL);
}

/// The scheduler has polled, and nothing is due for three hours; an invocation due in two hours that arrives before it
/// sleeps is not missed.
#[tokio::test(start_paused = true)]
async fn accepted_between_the_poll_and_the_sleep_of_its_scheduler() {
    let (store, gates) = GatedStore::new();
    let builder = Node::builder().store(store).no_listener();
    let node = builder.clock(Clock::steady()).start().await.unwrap();
    let hour = Duration::from_hours(1);
    let due_in = async |hours: u32| {
        let mut later = call(Cid::new());
        later.durable().start = Some(Start::After(hour * hours));
        node.invoker().invoke_async(later).await.unwrap().cid
    };
    // It sleeps until the first is due, which is cancelled before: then it polls and finds nothing.
    let first = due_in(1).await;
    tokio::time::sleep(hour / 2).await;
    due_in(3).await;
    node.invoker().cancel(first, None).await.unwrap();
    let claim = gates.close(Point::AfterClaim);
    tokio::time::sleep(hour * 2 / 3).await;
    claim.arrived().await;
    let overlooked = due_in(2).await;
    claim.open();
    let wait = hour * 9 / 4;
    let found = node.invoker().find(overlooked, wait).await.unwrap();
    assert!(found.invocation.state.is_terminal());
}

/// Between its claim and its first attempt only its scheduler may end an invocation.
#[tokio::test]
async fn cancelled_between_its_claim_and_its_first_attempt() {
    let (store, gates) = GatedStore::new();
    let builder = Node::builder()
        .store(store)
        .service("waits", async |context: Context| {
            context.cancelled().await;
            Err::<(), _>(Error::cancelled("STOPPED", "asked to stop"))
        })
        .no_listener();
    let node = builder.start().await.unwrap();
    let (claimed, refused) = (
        gates.close(Point::AfterClaim),
        gates.close(Point::AfterRecord),
    );
    let call = Call::new("waits", dict! {});
    let cid = node.invoker().invoke_async(call).await.unwrap().cid;
    claimed.arrived().await;
    let invoker = node.invoker().clone();
    let cancel = spawn(async move { invoker.cancel(cid, None).await });
    refused.arrived().await;
    refused.open();
    claimed.open();
    cancel.await.unwrap().unwrap();
    let kinds = read(follow(&node, cid)).await;
    assert_eq!(kinds, ["Accepted", "Started", "Cancelled"]);
}
