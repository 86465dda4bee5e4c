//! The credit of workers: how many dispatches each one takes, and which worker gets a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cidery::model::call::Call;
use cidery::{Context, Result, Worker};
use tokio::sync::Semaphore;

use super::{connect, node};
use crate::support::{PATIENCE, ended, until};

/// At most ten run at once. A handler that waits for a nested call does not count.
#[tokio::test]
async fn chains_on_a_small_worker_do_not_deadlock() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let (n, m, g) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
    let last = move || {
        let (now, most, gate) = (Arc::clone(&n), Arc::clone(&m), Arc::clone(&g));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            now.fetch_sub(1, Ordering::SeqCst);
            "end"
        }
    };
    async fn first(ctx: Context) -> Result<String> {
        ctx.invoke("chain.b", ()).await?.parse()
    }
    async fn second(ctx: Context) -> Result<String> {
        ctx.invoke("chain.c", ()).await?.parse()
    }
    let node = node().await;
    let builder = Worker::builder()
        .max_in_flight(10)
        .service("chain.a", first)
        .service("chain.b", second)
        .service("chain.c", last);
    let _worker = connect(&node, builder).await;
    let mut chains = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let client = node.client.clone();
        chains.spawn(async move { client.invoke(Call::new("chain.a", ())).await.map(drop) });
    }
    until("ten run", || now.load(Ordering::SeqCst) == 10).await;
    gate.add_permits(200);
    let all = tokio::time::timeout(PATIENCE, chains.join_all()).await;
    all.unwrap().into_iter().collect::<Result<()>>().unwrap();
    assert!(most.load(Ordering::SeqCst) <= 10, "{most:?}");
}

/// A call goes to the worker with the most free credit.
#[tokio::test]
async fn several_workers_share_the_work() {
    let node = node().await;
    let gate = Arc::new(Semaphore::new(0));
    let builder = |name: &'static str| {
        let gate = Arc::clone(&gate);
        let waits = move || {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                name
            }
        };
        Worker::builder().name(name).service("a.waits", waits)
    };
    let (one, two) = (
        connect(&node, builder("one")).await,
        connect(&node, builder("two")).await,
    );
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = node.client.clone();
        calls.spawn(async move { client.invoke(Call::new("a.waits", ())).await.map(drop) });
    }
    until("all run", || one.in_flight() + two.in_flight() == 20).await;
    assert_eq!((one.in_flight(), two.in_flight()), (10, 10));
    let described = node.client.describe("a.waits").await.unwrap();
    let names: Vec<_> = described
        .locations
        .iter()
        .map(|location| location.worker_name.as_str())
        .collect();
    assert_eq!(names, ["one", "two"]);
    gate.add_permits(20);
    calls
        .join_all()
        .await
        .into_iter()
        .collect::<Result<()>>()
        .unwrap();
}

/// An invocation that waits for a permit of a worker is pending.
#[tokio::test]
async fn an_invocation_that_waits_for_a_worker_is_pending() {
    let node = node().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let waits = move || {
        let gate = Arc::clone(&held);
        async move { gate.acquire().await.unwrap().forget() }
    };
    let builder = Worker::builder().service("a.waits", waits);
    let worker = connect(&node, builder.max_in_flight(1)).await;
    let mut cids = Vec::new();
    for _ in 0..3 {
        let call = Call::new("a.waits", ());
        cids.push(node.client.invoke_async(call).await.unwrap().cid);
    }
    until("one runs", || worker.in_flight() == 1).await;
    let services = node.client.services("a.waits").await.unwrap();
    assert_eq!((services[0].running, services[0].pending), (1, 2));
    gate.add_permits(3);
    for cid in cids {
        ended(&node.client, cid).await;
    }
}
