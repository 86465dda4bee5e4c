//! The memory of running invocations: inputs wait for room, items are refused, results are read page by page.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cidery::codec::proto::v1;
use cidery::engine::byte_budget::{ByteBudget, NodeBudget};
use cidery::engine::{FollowRequest, FollowerEvent};
use cidery::model::call::Call;
use cidery::model::invocation::EventKind;
use cidery::{
    Cid, Context, Input, Limits, Node, NodeBuilder, Result, RetryPolicy, Value, Worker, dict,
};
use tokio::sync::Semaphore;

use crate::support::{PATIENCE, TestNode, ended, failure};

const MIB: usize = 1024 * 1024;

fn builder(running_mib: usize) -> NodeBuilder {
    Node::builder().limits(|limits: &mut Limits| limits.node_running_bytes = running_mib * MIB)
}

async fn succeeded(node: &TestNode, cid: Cid) {
    let found = ended(&node.client, cid).await;
    assert_eq!(found.state(), v1::State::Succeeded, "{found:?}");
}

/// Handlers that run until all invocations are accepted, and how many of them run at once.
#[tokio::test]
async fn inputs_of_running_invocations_take_bounded_memory() {
    const SIDE_BY_SIDE: usize = 2;
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let release = Arc::new(Semaphore::new(0));
    let hold = {
        let (most, release) = (Arc::clone(&most), Arc::clone(&release));
        move |_: Value| {
            let (running, most, release) = (
                Arc::clone(&running),
                Arc::clone(&most),
                Arc::clone(&release),
            );
            async move {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                release.acquire().await.unwrap().forget();
                running.fetch_sub(1, Ordering::SeqCst);
            }
        }
    };
    let node = TestNode::start(builder(4).service("a.hold", hold)).await;
    let mut accepted = Vec::new();
    for _ in 0..4 * SIDE_BY_SIDE {
        let call = Call::new("a.hold", Value::from("x".repeat(5 * MIB / 4)));
        accepted.push(node.client.invoke_async(call).await.unwrap().cid);
    }
    release.add_permits(accepted.len());
    for cid in accepted {
        succeeded(&node, cid).await;
    }
    // Three quarters of the budget hold two of them.
    assert_eq!(most.load(Ordering::SeqCst), SIDE_BY_SIDE);
}

#[tokio::test]
async fn an_input_that_is_larger_than_the_budget_runs() {
    let length = async |input: Value| input.as_text().map_or(0, str::len) as u64;
    let node = TestNode::start(builder(1).service("a.length", length)).await;
    let call = || Call::new("a.length", Value::from("x".repeat(3 * MIB)));
    for _ in 0..3 {
        let cid = node.client.invoke_async(call()).await.unwrap().cid;
        succeeded(&node, cid).await;
    }
}

/// The handlers that hold all of the budget wait for those that need it.
#[tokio::test]
async fn handlers_that_wait_for_others_do_not_keep_them_from_running() {
    async fn nests(ctx: Context, Input(depth): Input<String>) -> Result<u64> {
        if depth.starts_with('0') {
            return Ok(0);
        }
        let level = depth.chars().next().and_then(|level| level.to_digit(10));
        let next = depth.replacen(|_| true, &(level.unwrap_or(1) - 1).to_string(), 1);
        let calls = [("a.nests", Value::from(next))];
        let outcomes = ctx.fan_out(calls).join().await?;
        let inner: u64 = outcomes.into_iter().next().expect("one member")?.parse()?;
        Ok(inner + 1)
    }
    let node = TestNode::start(builder(1).service("a.nests", nests)).await;
    let input = format!("3{}", "x".repeat(MIB));
    let call = Call::new("a.nests", Value::from(input));
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    succeeded(&node, cid).await;
}

/// A worker is not asked to wait for what becomes of its items: its dispatch fails when it has ended.
#[tokio::test]
async fn items_of_running_invocations_take_bounded_memory() {
    let emits = async |ctx: Context, Input(items): Input<u64>| -> Result<u64> {
        for _ in 0..items {
            ctx.emit(Value::from("x".repeat(MIB))).await?;
        }
        Ok(items)
    };
    let node = TestNode::start(builder(4).service("a.emits", emits)).await;
    let worker = Worker::builder().service("a.worker", emits);
    let worker = worker.connect(&node.address().to_string()).await.unwrap();
    for service in ["a.emits", "a.worker"] {
        check_items(&node, service).await;
    }
    worker.stop().await;
}

async fn check_items(node: &TestNode, service: &'static str) {
    let emit = async |items: u64| {
        let mut call = Call::new(service, Value::from(items));
        call.durable().retry_policy = Some(RetryPolicy::never());
        let cid = node.client.invoke_async(call).await.unwrap().cid;
        ended(&node.client, cid).await
    };
    let refused = failure(emit(4).await);
    assert_eq!(refused.reason, "MEMORY_LIMIT");
    // Its memory was released with its end.
    for _ in 0..3 {
        assert_eq!(emit(3).await.state(), v1::State::Succeeded);
    }
}

/// A follower of a live invocation that does not read holds one page of its events, which its connection counts.
#[tokio::test]
async fn live_events_are_read_page_by_page() {
    const ITEMS: usize = 8;
    let emitted = Arc::new(Semaphore::new(0));
    let emits = {
        let emitted = Arc::clone(&emitted);
        move |ctx: Context| {
            let emitted = Arc::clone(&emitted);
            async move {
                for _ in 0..ITEMS {
                    ctx.emit(dict! { "text": "x".repeat(MIB) }).await?;
                }
                emitted.add_permits(1);
                ctx.cancelled().await;
                Ok::<_, cidery::Error>(())
            }
        }
    };
    let node = TestNode::start(Node::builder().service("a.emits", emits)).await;
    let call = Call::new("a.emits", ());
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    emitted.acquire().await.unwrap().forget();
    let answered = NodeBudget::new("node_answered_bytes", 64 * MIB);
    let request = FollowRequest {
        cids: vec![(cid, 0)],
        budget: Some(ByteBudget::new(32 * MIB, &answered)),
        ..FollowRequest::default()
    };
    let mut follower = node.handle.invoker().follow(request).unwrap();
    let (mut items, mut most) = (0, 0);
    while items < ITEMS {
        let next = tokio::time::timeout(PATIENCE, follower.next())
            .await
            .unwrap();
        if let Some(FollowerEvent::Event(_, event, _)) = next.unwrap() {
            items += usize::from(matches!(event.kind, EventKind::Item(_)));
        }
        most = most.max(answered.used());
    }
    assert!((MIB..2 * MIB).contains(&most), "{most}");
    node.client.cancel(cid, false).await.unwrap();
    let end = async { while follower.next().await.unwrap().is_some() {} };
    tokio::time::timeout(PATIENCE, end).await.unwrap();
    drop(follower);
    assert_eq!(answered.used(), 0);
}

/// While what a follower reads waits for room, the events of the invocation are not kept: they are read from the store
/// once it has ended.
#[tokio::test]
async fn a_follower_that_waits_for_room_reads_what_has_ended_meanwhile() {
    let emits = async |ctx: Context| -> Result<()> {
        for _ in 0..3 {
            ctx.emit(dict! { "text": "x".repeat(MIB) }).await?;
        }
        Ok(())
    };
    let node = TestNode::start(Node::builder().service("a.emits", emits)).await;
    let cid = Cid::new();
    let answered = NodeBudget::new("node_answered_bytes", 64 * MIB);
    let budget = ByteBudget::new(MIB, &answered);
    let unread = budget.reserve(MIB).unwrap();
    let request = FollowRequest {
        cids: vec![(cid, 0)],
        wait_for_accept: true,
        budget: Some(budget),
        ..FollowRequest::default()
    };
    let mut follower = node.handle.invoker().follow(request).unwrap();
    let mut names = Vec::new();
    let call = Call {
        cid: Some(cid),
        ..Call::new("a.emits", ())
    };
    node.client.invoke_async(call).await.unwrap();
    let follow = async {
        while let Some(event) = follower.next().await.unwrap() {
            if let FollowerEvent::Event(_, event, _) = event {
                names.push(event.kind.terminal_state().is_some());
            }
        }
    };
    let release = async {
        succeeded(&node, cid).await;
        drop(unread);
    };
    let both = async { tokio::join!(follow, release) };
    tokio::time::timeout(PATIENCE, both).await.unwrap();
    assert_eq!(names, [false, false, false, false, false, true]);
    assert_eq!(answered.used(), 0);
}
