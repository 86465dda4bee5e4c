//! Workers that stop or lose their connection: dispatches are handed back, or wait for the worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cidery::codec::payload;
use cidery::codec::proto::v1;
use cidery::model::call::Call;
use cidery::{Context, Definition, Dict, Error, Kind, ServiceOptions, Value, Worker, dict};
use tokio::sync::Semaphore;

use super::{connect, node};
use crate::support::{PATIENCE, TestNode, ended, follow, names, until};

/// The worker gets no new dispatches, and another worker runs the ones that it does not finish.
#[tokio::test]
async fn a_worker_that_stops_hands_back_its_dispatches() {
    let node = node().await;
    let forever = async || std::future::pending::<()>().await;
    let builder = Worker::builder().drain(Duration::ZERO);
    let first = connect(&node, builder.service("a.task", forever)).await;
    let cid = node
        .client
        .invoke_async(Call::new("a.task", ()))
        .await
        .unwrap()
        .cid;
    let client = node.client.clone();
    let waiting =
        crate::support::raw::spawn(async move { client.invoke(Call::new("a.task", ())).await });
    let client = node.client.clone();
    let keyed = crate::support::raw::spawn(async move {
        let mut call = Call::new("a.task", ());
        call.durable().idempotency_key = Some("k".to_owned());
        client.invoke(call).await
    });
    until("all run", || first.in_flight() == 3).await;
    let second = Worker::builder().service("a.task", async || "done");
    let _second = connect(&node, second).await;
    first.stop().await;
    let found = ended(&node.client, cid).await;
    assert_eq!(
        (found.state, found.attempt),
        (i32::from(v1::State::Succeeded), 1)
    );
    // They may have started: the callers get a failure, and the call with a key is not attempted again.
    for answer in [waiting, keyed] {
        let error = answer.await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind(), error.reason()),
            (Kind::Unknown, "WORKER_LOST")
        );
    }
}

#[tokio::test]
async fn an_idempotent_call_that_is_handed_back_runs_on_another_worker() {
    let node = node().await;
    let idempotent = || ServiceOptions {
        idempotent: true,
        ..ServiceOptions::default()
    };
    let forever = async || std::future::pending::<()>().await;
    let forever = Definition::new("a.task", forever).unwrap();
    let first = Worker::builder().drain(Duration::ZERO);
    let first = connect(&node, first.register(forever.options(idempotent()))).await;
    let client = node.client.clone();
    let waiting =
        crate::support::raw::spawn(async move { client.invoke(Call::new("a.task", ())).await });
    until("it runs", || first.in_flight() == 1).await;
    let done = Definition::new("a.task", async || "done").unwrap();
    let second = Worker::builder().register(done.options(idempotent()));
    let _second = connect(&node, second).await;
    first.stop().await;
    waiting.await.unwrap().unwrap();
}

/// The connection is cut while handlers run and end: no handler runs twice, and no result is lost.
#[tokio::test]
async fn a_cut_connection_repeats_no_work() {
    let node = node().await;
    let proxy = crate::support::proxy::Proxy::to(node.address()).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let gate = Arc::new(Semaphore::new(0));
    let open = Arc::clone(&gate);
    let task = move |ctx: Context| {
        let (runs, gate) = (Arc::clone(&counted), Arc::clone(&gate));
        async move {
            runs.fetch_add(1, Ordering::SeqCst);
            ctx.emit(dict! { "item": "before" }).await?;
            gate.acquire().await.unwrap().forget();
            ctx.emit(dict! { "item": "after" }).await?;
            Ok::<_, Error>("done")
        }
    };
    let builder = Worker::builder().service("a.task", task);
    let worker = builder.connect(&proxy.address.to_string()).await.unwrap();
    let id = worker.id();
    let mut cids = Vec::new();
    for _ in 0..20 {
        let accepted = node.client.invoke_async(Call::new("a.task", ()));
        cids.push(accepted.await.unwrap().cid);
    }
    let client = node.client.clone();
    let waiting =
        crate::support::raw::spawn(async move { client.invoke(Call::new("a.task", ())).await });
    until("all run", || runs.load(Ordering::SeqCst) == 21).await;
    proxy.cut();
    // Half of them end while there is no connection.
    open.add_permits(10);
    until("half have ended", || worker.in_flight() == 11).await;
    until_the_worker_is_away(&node).await;
    until("the worker reconnects", || proxy.refused() > 3).await;
    proxy.restore();
    open.add_permits(11);
    for cid in cids {
        let events = node.events(follow(cid)).await;
        let expected = ["accepted", "started", "item", "item", "succeeded"];
        assert_eq!(names(&events), expected);
    }
    waiting.await.unwrap().unwrap();
    assert_eq!((runs.load(Ordering::SeqCst), worker.id()), (21, id));
}

/// Waits until the node has noticed that the stream of its only worker is gone.
async fn until_the_worker_is_away(node: &TestNode) {
    let is_away = async {
        while !node.client.workers().await.unwrap()[0].away {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, is_away).await.unwrap();
}

/// A call waits while the only worker is away, until it resumes or its lease expires.
#[tokio::test]
async fn calls_wait_for_a_worker_that_is_away() {
    let node = node().await;
    let proxy = crate::support::proxy::Proxy::to(node.address()).await;
    let builder = Worker::builder().service("a.echo", async |input: Dict| input);
    let worker = builder.connect(&proxy.address.to_string()).await.unwrap();
    proxy.cut();
    let call = |timeout| Call {
        timeout: Some(timeout),
        ..Call::new("a.echo", dict! { "n": 1 })
    };
    until_the_worker_is_away(&node).await;
    let error = node.client.invoke(call(Duration::from_millis(20))).await;
    assert_eq!(error.unwrap_err().kind(), Kind::DeadlineExceeded);
    let client = node.client.clone();
    let waiting = crate::support::raw::spawn(async move { client.invoke(call(PATIENCE)).await });
    proxy.restore();
    let (_, reply) = waiting.await.unwrap().unwrap();
    let answer = payload::decode(reply.payload).unwrap();
    assert_eq!(answer["n"], Value::from(1));
    worker.stop().await;
}
