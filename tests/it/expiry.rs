//! Expiry of pending invocations while they wait for a permit, for a concurrency key or for a worker.

use std::time::Duration;

use cidery::engine::clock::Clock;
use cidery::model::call::{Call, Start};
use cidery::model::invocation::State;
use cidery::store::{MemoryStore, SqliteStore};
use cidery::{Cid, Context, Definition, Node, NodeHandle};

use crate::support::Folder;

async fn node() -> NodeHandle {
    let waits = async |ctx: Context| ctx.cancelled().await;
    let waits = Definition::new("waits", waits).unwrap().concurrency(1);
    let builder = Node::builder().register(waits).store(MemoryStore::new());
    let builder = builder.no_listener().clock(Clock::steady());
    builder.start().await.unwrap()
}

async fn accept(node: &NodeHandle, change: impl FnOnce(&mut Call)) -> Cid {
    let mut call = Call::new("waits", ());
    change(&mut call);
    node.invoker().invoke_async(call).await.unwrap().cid
}

async fn state(node: &NodeHandle, cid: Cid, wait: u64) -> State {
    let found = node.invoker().find(cid, Duration::from_secs(wait)).await;
    found.unwrap().invocation.state
}

#[tokio::test(start_paused = true)]
async fn expires_while_all_permits_are_taken() {
    let node = node().await;
    let running = accept(&node, |_| {}).await;
    let expires = accept(&node, |call| {
        call.durable().expiration = Some(Duration::from_secs(2));
    })
    .await;
    assert_eq!(state(&node, expires, 4).await, State::Expired);
    assert!(!state(&node, running, 0).await.is_terminal());
    node.invoker().cancel(running, None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn expires_while_its_concurrency_key_is_busy() {
    let node = node().await;
    let keyed = |expiration: Option<u64>| {
        accept(&node, move |call| {
            call.durable().concurrency_key = Some("k".to_owned());
            call.durable().expiration = expiration.map(Duration::from_secs);
        })
    };
    let running = keyed(None).await;
    let expires = keyed(Some(2)).await;
    assert_eq!(state(&node, expires, 4).await, State::Expired);
    node.invoker().cancel(running, None).await.unwrap();
}

#[tokio::test]
async fn expires_while_no_worker_serves_it() {
    let folder = Folder::new("overdue");
    let start = async |serves: bool| {
        let store = SqliteStore::open(folder.path()).unwrap();
        let builder = Node::builder().store(store).no_listener();
        let builder = match serves {
            true => builder.service("waits", async || "done"),
            false => builder,
        };
        builder.start().await.unwrap()
    };
    let first = start(true).await;
    let later = |expiration: Option<Duration>| {
        move |call: &mut Call| {
            call.durable().start = Some(Start::After(Duration::from_hours(1)));
            call.durable().expiration = expiration;
        }
    };
    let expires = accept(&first, later(Some(Duration::from_millis(500)))).await;
    let waits = accept(&first, later(None)).await;
    let cancelled = accept(&first, later(None)).await;
    first.stop().await;
    let second = start(false).await;
    second.invoker().cancel(cancelled, None).await.unwrap();
    assert_eq!(state(&second, cancelled, 0).await, State::Cancelled);
    assert_eq!(state(&second, expires, 30).await, State::Expired);
    assert_eq!(state(&second, waits, 0).await, State::ACCEPTED);
    second.stop().await;
    let third = start(true).await;
    let facts = third.invoker().service("waits").unwrap();
    assert_eq!((facts.status.pending, facts.locations.len()), (1, 1));
}
