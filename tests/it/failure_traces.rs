//! The cause of a failure: in the log, in `explain` through nested calls, and in no response.

use cidery::model::call::Call;
use cidery::{Context, Input, Node, Result, RetryPolicy, Worker};

use crate::support::{TestNode, ended, failure};

async fn get(_: Input<String>) -> Result<u32> {
    std::fs::read("/does/not/exist")?;
    Ok(1)
}

async fn reserve(ctx: Context) -> Result<u32> {
    ctx.invoke("stock.get", "pen").await?.parse()
}

async fn place(ctx: Context) -> anyhow::Result<u32> {
    use anyhow::Context as _;
    let reserved = ctx.invoke("stock.reserve", ()).await;
    Ok(reserved.context("placing an order")?.parse()?)
}

/// The trace of the only attempt of `order.place`, and the message of its failure.
async fn place_order(node: &TestNode) -> (String, String) {
    let mut call = Call::new("order.place", ());
    call.durable().retry_policy = Some(RetryPolicy::never());
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    let answered = failure(ended(&node.client, cid).await);
    assert_eq!(answered.reason, "HANDLER_FAILED");
    let explained = node.client.explain(cid).await.unwrap();
    (explained.attempts[0].trace.clone(), answered.message)
}

#[track_caller]
fn check(trace: &str, log: &str) {
    let failed = format!("which failed: the service failed; the log of {log} has the details");
    let expected = [
        format!("called `stock.reserve`, {failed} (HANDLER_FAILED)"),
        format!("  called `stock.get`, {failed} (HANDLER_FAILED)"),
        "    No such file or directory (os error 2)".to_owned(),
    ];
    let mut lines = trace.lines();
    for expected in &expected {
        assert!(lines.any(|line| line == expected), "{expected}: {trace}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_nested_calls_pass_on_keeps_its_cause() {
    let builder = Node::builder().service("stock.get", get);
    let builder = builder.service("stock.reserve", reserve);
    let node = TestNode::start(builder.service("order.place", place)).await;
    let (trace, message) = place_order(&node).await;
    check(&trace, "the node");
    assert_eq!(
        message,
        "the service failed; the log of the node has the details"
    );
}

/// The worker of the caller does not get the trace of the nested call: the node adds it.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_passes_through_workers_keeps_its_cause() {
    let node = TestNode::start(Node::builder()).await;
    let address = node.address().to_string();
    let stock = Worker::builder().name("stock").service("stock.get", get);
    let stock = stock.connect(&address).await.unwrap();
    let orders = Worker::builder().service("stock.reserve", reserve);
    let orders = orders.service("order.place", place).connect(&address);
    let _orders = orders.await.unwrap();
    let (trace, message) = place_order(&node).await;
    assert!(trace.starts_with("placing an order\n"), "{trace}");
    let log = format!("worker `stock ({})`", stock.id());
    check(&trace, &log);
    assert!(message.contains(&log), "{message}");
}
