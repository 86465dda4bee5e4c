//! Limits: call depth, concurrency, queues, items, pending invocations; nested calls do not deadlock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cidery::{Context, Definition, Kind, Node, NodeHandle, Result, Value};

use crate::support::raw::spawn;
use crate::support::{PATIENCE, until};

async fn chain(concurrency: usize) -> Arc<NodeHandle> {
    async fn next(ctx: Context, service: &'static str) -> Result<Value> {
        tokio::task::yield_now().await;
        Ok(ctx.invoke(service, ()).await?.into_value())
    }
    let node = Node::builder()
        .service("a", |ctx: Context| next(ctx, "b"))
        .service("b", |ctx: Context| next(ctx, "c"))
        .service("c", async || {
            tokio::task::yield_now().await;
            "end"
        })
        .limits(|limits| {
            limits.concurrency = concurrency;
            limits.node_concurrency = concurrency;
        })
        .no_listener()
        .start()
        .await
        .unwrap();
    Arc::new(node)
}

/// Even with one permit for the whole node: a handler that waits for a nested call releases its permit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_nested_chains_with_small_limits_do_not_deadlock() {
    for concurrency in [10, 1] {
        let node = chain(concurrency).await;
        let calls: Vec<_> = (0..200)
            .map(|_| {
                let node = Arc::clone(&node);
                spawn(async move { node.invoke("a", ()).await.unwrap() })
            })
            .collect();
        for call in calls {
            let response = tokio::time::timeout(PATIENCE, call)
                .await
                .expect("deadlock")
                .unwrap();
            assert_eq!(response.value().as_text(), Some("end"));
        }
        until("all permits are free", || {
            node.invoker().running_handlers() == 0
        })
        .await;
    }
}

#[tokio::test]
async fn recursion_is_refused_with_the_call_chain() {
    async fn ping(ctx: Context) -> Result<Value> {
        Ok(ctx.invoke("pong", ()).await?.into_value())
    }
    async fn pong(ctx: Context) -> Result<Value> {
        Ok(ctx.invoke("ping", ()).await?.into_value())
    }
    let node = Node::builder()
        .service("ping", ping)
        .service("pong", pong)
        .no_listener()
        .start()
        .await
        .unwrap();
    let error = node.invoke("ping", ()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::FailedPrecondition, "DEPTH_EXCEEDED")
    );
    assert_eq!(error.fact("depth"), Some("32"));
    assert_eq!(
        error.fact("chain"),
        Some("ping → pong → ping → … → pong → ping → pong")
    );
}

#[tokio::test]
async fn concurrency_and_queue_length_are_limited() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let release = Arc::new(tokio::sync::Semaphore::new(0));
    let gate = Arc::clone(&release);
    let slow = move || {
        let gate = Arc::clone(&gate);
        async move {
            MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            NOW.fetch_sub(1, Ordering::SeqCst);
        }
    };
    let slow = Definition::new("slow", slow)
        .unwrap()
        .concurrency(2)
        .queue_length(3);
    let node = Node::builder()
        .register(slow)
        .no_listener()
        .start()
        .await
        .unwrap();
    let node = Arc::new(node);
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let node = Arc::clone(&node);
            spawn(async move { node.invoke("slow", ()).await.map(drop) })
        })
        .collect();
    // Two run, three are queued, three are refused.
    until("two run", || NOW.load(Ordering::SeqCst) == 2).await;
    until("three are refused", || {
        calls.iter().filter(|call| call.is_finished()).count() == 3
    })
    .await;
    release.add_permits(8);
    let mut refused = 0;
    for call in calls {
        if let Err(error) = call.await.unwrap() {
            assert_eq!(
                (error.kind(), error.reason()),
                (Kind::ResourceExhausted, "QUEUE_FULL")
            );
            assert_eq!(error.fact("queue_length"), Some("3"));
            assert!(error.retry_after().is_some());
            refused += 1;
        }
    }
    assert_eq!(refused, 3);
    assert_eq!(MOST.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asynchronous_invocations_share_the_concurrency_limit() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let work = async || {
        MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        NOW.fetch_sub(1, Ordering::SeqCst);
    };
    let work = Definition::new("work", work).unwrap().concurrency(3);
    let node = Node::builder()
        .register(work)
        .no_listener()
        .start()
        .await
        .unwrap();
    let mut cids = Vec::new();
    for _ in 0..200 {
        cids.push(node.invoke_async("work", ()).await.unwrap());
    }
    for cid in cids {
        let found = node.invoker().find(cid, PATIENCE).await.unwrap();
        assert!(found.invocation.outcome().unwrap().is_ok());
    }
    assert!(MOST.load(Ordering::SeqCst) <= 3);
}

#[tokio::test]
async fn items_are_limited_and_dropped_without_a_follower() {
    async fn talk(ctx: Context) -> Result<()> {
        for n in 0..4 {
            ctx.emit(Value::from(n)).await?;
        }
        Ok(())
    }
    let node = Node::builder()
        .service("talk", talk)
        .limits(|limits| limits.items = 3)
        .no_listener()
        .start()
        .await
        .unwrap();
    // Synchronous: there is no follower, and items are not counted.
    node.invoke("talk", ()).await.unwrap();
    let cid = node.invoke_async("talk", ()).await.unwrap();
    let found = node.invoker().find(cid, PATIENCE).await.unwrap().invocation;
    let error = found.outcome().unwrap().unwrap_err();
    assert_eq!(
        (error.reason(), error.fact("items")),
        ("ITEMS_LIMIT", Some("3"))
    );
    assert_eq!(found.attempts, 1);
}

/// Two concurrent pairs of nested calls that end one after the other, with one permit each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_wait_for_several_calls_do_not_deadlock() {
    async fn pairs(ctx: Context) -> Result<()> {
        let pair = async || {
            ctx.invoke("leaf", ()).await?;
            ctx.invoke("leaf", ()).await
        };
        let (one, other) = tokio::join!(pair(), pair());
        one.and(other).map(drop)
    }
    let node = Node::builder()
        .register(Definition::new("pairs", pairs).unwrap().concurrency(2))
        .service("leaf", async || tokio::task::yield_now().await)
        .no_listener()
        .start()
        .await
        .unwrap();
    let node = Arc::new(node);
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let node = Arc::clone(&node);
            spawn(async move { node.invoke("pairs", ()).await.unwrap() })
        })
        .collect();
    for call in calls {
        tokio::time::timeout(PATIENCE, call)
            .await
            .expect("deadlock")
            .unwrap();
    }
    until("all permits are free", || {
        node.invoker().running_handlers() == 0
    })
    .await;
}

#[tokio::test]
async fn a_retained_context_holds_no_permit() {
    let kept = Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let service = move |ctx: Context| {
        keep.lock().unwrap().push(ctx);
        async {}
    };
    let service = Definition::new("keeps", service).unwrap().concurrency(1);
    let node = Node::builder()
        .register(service)
        .no_listener()
        .start()
        .await
        .unwrap();
    for _ in 0..3 {
        node.invoke("keeps", ()).await.unwrap();
    }
    assert_eq!(
        (
            kept.lock().unwrap().len(),
            node.invoker().running_handlers()
        ),
        (3, 0)
    );
}

#[tokio::test]
async fn pending_invocations_of_the_whole_node_are_limited() {
    let node = Node::builder()
        .demo()
        .limits(|limits| (limits.node_pending, limits.concurrency) = (0, 1))
        .no_listener()
        .start()
        .await
        .unwrap();
    let error = node.invoke_async("cidery.ping", ()).await.unwrap_err();
    assert_eq!(
        (error.reason(), error.fact("pending")),
        ("PENDING_LIMIT", Some("0"))
    );
}
