//! Idempotency keys and concurrency keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cidery::model::invocation::State;
use cidery::{Cid, Context, Definition, Dict, Error, Kind, Node, RetryPolicy, dict};
use tokio::sync::mpsc;

use super::{accept, call, ended, over_each_store, start};
use crate::support::Folder;

over_each_store! {
    an_idempotency_key_accepts_one_invocation
    once_accepts_a_child_once_for_all_attempts
    invocations_with_one_concurrency_key_run_one_at_a_time_in_order
    a_follow_up_with_a_key_is_accepted_once
}

async fn an_idempotency_key_accepts_one_invocation(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let keyed = |service, input| {
        let mut keyed = call(service, input);
        keyed.durable().idempotency_key = Some("order-7".to_owned());
        keyed
    };
    let invoke = async |call| node.invoker().invoke_async(call).await;
    let first = invoke(keyed("customer.get", dict! { "cust_id": 1 }))
        .await
        .unwrap();
    assert!(!first.already_accepted);
    let again = invoke(keyed("customer.get", dict! { "cust_id": 1 }))
        .await
        .unwrap();
    assert_eq!((again.cid, again.already_accepted), (first.cid, true));
    let error = invoke(keyed("customer.get", dict! { "cust_id": 2 }))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::AlreadyExists, "IDEMPOTENCY_MISMATCH")
    );
    // The key applies to all services.
    let other = invoke(keyed("cidery.echo", dict! { "cust_id": 1 })).await;
    assert_eq!(other.unwrap_err().reason(), "IDEMPOTENCY_MISMATCH");
    let mut long = call("cidery.echo", dict! {});
    long.durable().idempotency_key = Some("x".repeat(256));
    assert_eq!(invoke(long).await.unwrap_err().reason(), "REQUEST_INVALID");
    ended(&node, first.cid).await;
    node.stop().await;
}

async fn once_accepts_a_child_once_for_all_attempts(disk: Option<&Folder>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let parent = move |ctx: Context| {
        let sender = sender.clone();
        async move {
            let child = ctx
                .invoke_async("child", dict! {})
                .once("the child")
                .await?;
            sender.send(child).unwrap();
            if ctx.attempt() < 3 {
                return Err(Error::unavailable("AGAIN", "again"));
            }
            Ok(dict! {})
        }
    };
    let child = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        async {
            dict! {}
        }
    };
    let policy = RetryPolicy {
        initial_interval: Duration::from_millis(1),
        ..RetryPolicy::default()
    };
    let parent = Definition::new("parent", parent)
        .unwrap()
        .retry_policy(policy);
    let node = start(
        Node::builder().register(parent).service("child", child),
        disk,
    )
    .await;
    let cid = accept(&node, call("parent", dict! {})).await;
    assert_eq!(ended(&node, cid).await.invocation.attempts, 3);
    let first = receiver.recv().await.unwrap();
    assert_eq!(
        [
            receiver.recv().await.unwrap(),
            receiver.recv().await.unwrap()
        ],
        [first, first]
    );
    ended(&node, first).await;
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    node.stop().await;
}

async fn invocations_with_one_concurrency_key_run_one_at_a_time_in_order(disk: Option<&Folder>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let running = Arc::new(AtomicUsize::new(0));
    let handler = move |input: Dict| {
        let (sender, running) = (sender.clone(), Arc::clone(&running));
        async move {
            let others = running.fetch_add(1, Ordering::SeqCst);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            running.fetch_sub(1, Ordering::SeqCst);
            sender.send((input["n"].as_int().unwrap(), others)).unwrap();
        }
    };
    let node = start(Node::builder().service("alone", handler), disk).await;
    let mut cids = Vec::new();
    for n in 0..12 {
        let mut alone = call("alone", dict! { "n": n });
        alone.durable().concurrency_key = Some("account-7".to_owned());
        cids.push(accept(&node, alone).await);
    }
    for cid in cids {
        ended(&node, cid).await;
    }
    for n in 0..12 {
        assert_eq!(receiver.recv().await.unwrap(), (n, 0));
    }
    // Invocations with other keys do not wait.
    let mut busy = call("demo.sleep", dict! { "seconds": 3_600 });
    busy.durable().concurrency_key = Some("a".to_owned());
    let first = accept(&node, busy.clone()).await;
    let second = accept(&node, busy).await;
    let mut other = call("demo.sleep", dict! { "seconds": 0 });
    other.durable().concurrency_key = Some("b".to_owned());
    let other = accept(&node, other).await;
    ended(&node, other).await;
    let found = node
        .invoker()
        .find(second, Duration::ZERO)
        .await
        .unwrap()
        .invocation;
    assert_eq!(found.state, State::ACCEPTED);
    for cid in [second, first] {
        node.invoker().cancel(cid, None).await.unwrap();
        ended(&node, cid).await;
    }
    node.stop().await;
}

/// A repeated follow-up returns the CID of the first one.
async fn a_follow_up_with_a_key_is_accepted_once(disk: Option<&Folder>) {
    let handler = |ctx: Context| async move {
        let mut cids = Vec::new();
        for _ in 0..2 {
            let next = ctx.invoke_async("customer.get", dict! { "cust_id": 1 });
            let next = next.with_outcome().idempotency_key("welcome").await?;
            cids.push(next.to_string());
        }
        Ok::<_, Error>(dict! { "next": cids })
    };
    let node = start(Node::builder().service("first", handler), disk).await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..2 {
        let cid = accept(&node, call("first", dict! {})).await;
        let outcome = ended(&node, cid).await.invocation.outcome().unwrap();
        let value = cidery::codec::payload::decode(outcome.unwrap().payload).unwrap();
        let cids = value["next"].as_list().unwrap().iter();
        seen.extend(cids.map(|cid| cid.as_text().unwrap().to_owned()));
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    for cid in seen {
        ended(&node, Cid::parse(&cid).unwrap()).await;
    }
    node.stop().await;
}
