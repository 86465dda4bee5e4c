//! The dead-letter queue: what is held in it, and how an operator gets it out again.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::store::{MemoryStore, SqliteStore};
use cidery::{
    Cid, Definition, Error, Input, Node, NodeBuilder, OnExhausted, Payload, RetryPolicy, Value,
    Worker, dict,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::support::{Folder, PATIENCE, TestNode, ended, failure, paths};

#[derive(Deserialize, JsonSchema)]
struct Order {
    order: u32,
}

/// A service that ships orders above 100, and holds the others.
fn ship() -> Definition {
    let handler = async |Input(Order { order }): Input<Order>| match order {
        101.. => Ok(dict! { "shipped": order }),
        _ => Err(Error::unavailable("NO_STOCK", "no stock")),
    };
    Definition::new("order.ship", handler)
        .unwrap()
        .retry_policy(RetryPolicy::never())
        .on_exhausted(OnExhausted::Hold)
}

/// A node over each store, with what has to outlive it.
async fn over_each_store(builder: impl Fn() -> NodeBuilder) -> [(TestNode, Option<Folder>); 2] {
    let folder = Folder::new("letters");
    let store = SqliteStore::open(folder.path()).unwrap();
    [
        (
            TestNode::start(builder().store(MemoryStore::new())).await,
            None,
        ),
        (TestNode::start(builder().store(store)).await, Some(folder)),
    ]
}

/// Waits until an invocation is held.
async fn held(client: &ContractClient, cid: Cid) -> v1::Invocation {
    let reached = async {
        loop {
            let found = client.invocation(cid, Duration::ZERO).await.unwrap();
            match found.pending_reason() {
                v1::PendingReason::Held => return found,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap()
}

async fn accept(client: &ContractClient, change: impl FnOnce(&mut Call)) -> Cid {
    let mut call = Call::new("order.ship", dict! { "order": 1 });
    change(&mut call);
    client.invoke_async(call).await.unwrap().cid
}

#[tokio::test]
async fn a_service_declares_that_its_invocations_are_held() {
    let node = TestNode::start(Node::builder()).await;
    let worker = Worker::builder().register(ship());
    let worker = worker.connect(&node.address().to_string()).await.unwrap();
    let described = node.client.describe("order.ship").await.unwrap();
    let declared = described.declaration.unwrap().options.unwrap();
    let effective = described.effective_options.unwrap();
    for options in [declared, effective] {
        assert_eq!(options.on_exhausted(), v1::OnExhausted::Hold);
    }
    let by_service = accept(&node.client, |_| {}).await;
    let found = held(&node.client, by_service).await;
    assert_eq!(found.last_failure.unwrap().reason, "NO_STOCK");
    // What the call says comes first.
    let fails = |call: &mut Call| call.durable().on_exhausted = Some(OnExhausted::Fail);
    let by_call = accept(&node.client, fails).await;
    let found = ended(&node.client, by_call).await;
    assert_eq!(failure(found).reason, "NO_STOCK");
    worker.stop().await;
    node.handle.stop().await;
}

#[tokio::test]
async fn a_failure_that_no_retry_mends_is_not_held() {
    let refuses = async || Err::<(), _>(Error::not_found("NO_ORDER", "no such order"));
    let refuses = Definition::new("order.ship", refuses).unwrap();
    let refuses = refuses.on_exhausted(OnExhausted::Hold);
    let node = TestNode::start(Node::builder().register(refuses)).await;
    let cid = accept(&node.client, |_| {}).await;
    let found = ended(&node.client, cid).await;
    assert_eq!(failure(found).reason, "NO_ORDER");
    node.handle.stop().await;
}

#[tokio::test]
async fn a_held_invocation_is_listed_released_and_cancelled() {
    for (node, _folder) in over_each_store(|| Node::builder().register(ship())).await {
        let client = &node.client;
        let cid = accept(client, |_| {}).await;
        held(client, cid).await;
        let filter = || v1::InvocationFilter {
            pending_reasons: vec![v1::PendingReason::Held.into()],
            ..v1::InvocationFilter::default()
        };
        let listed = client.invocations(filter(), 9).await.unwrap();
        assert_eq!((listed.len(), &listed[0].cid), (1, &cid.to_string()));
        // Released, it fails once more, and is held again.
        let [change] = client.retry(cid, false).await.unwrap().try_into().unwrap();
        assert_eq!((&change.new_cid, change.failure), (&cid.to_string(), None));
        let again = async {
            while held(client, cid).await.attempt != 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, again).await.unwrap();
        client.cancel(cid, false).await.unwrap();
        let found = ended(client, cid).await;
        assert_eq!(found.state(), v1::State::Cancelled);
        assert!(client.invocations(filter(), 9).await.unwrap().is_empty());
        node.handle.stop().await;
    }
}

#[tokio::test]
async fn a_held_invocation_is_retried_with_another_input_under_a_new_cid() {
    let told = async |Input(error): Input<Value>| error;
    let builder = || {
        let builder = Node::builder().register(ship());
        builder.service("order.alarm", told)
    };
    for (node, _folder) in over_each_store(builder).await {
        let client = &node.client;
        let cid = accept(client, |call| {
            call.durable().concurrency_key = Some("customer-1".to_owned());
            call.durable().failure_callbacks = vec!["order.alarm".to_owned()];
        })
        .await;
        held(client, cid).await;
        let input = |order: i64| Payload::from(dict! { "order": order });
        // An input that violates the declaration changes nothing.
        let [refused] = retry_with(client, cid, input(-1)).await;
        assert_eq!(refused.failure.unwrap().reason, "INPUT_INVALID");
        assert_eq!(refused.new_cid, "");
        held(client, cid).await;
        let [change] = retry_with(client, cid, input(200)).await;
        assert_eq!(change.failure, None);
        assert_eq!(change.state(), v1::State::Cancelled);
        let retry = Cid::parse(&change.new_cid).unwrap();
        assert_ne!(retry, cid);
        let found = ended(client, retry).await;
        assert_eq!(found.state(), v1::State::Succeeded);
        assert_eq!(found.retry_of, cid.to_string());
        assert_eq!(found.concurrency_key, "customer-1");
        let replaced = client.explain(cid).await.unwrap();
        assert_eq!(replaced.callback_cids.len(), 1);
        let cancelled = failure(replaced);
        assert_eq!(cancelled.reason, "CANCELLED");
        let message = format!("retried as {retry} with another input");
        assert!(cancelled.message.contains(&message), "{cancelled:?}");
        // It has ended: it is retried as any other one from now on.
        let [change] = client.retry(cid, false).await.unwrap().try_into().unwrap();
        assert_eq!(change.state(), v1::State::Cancelled);
        assert!(![cid.to_string(), retry.to_string()].contains(&change.new_cid));
        node.handle.stop().await;
    }
}

async fn retry_with(
    client: &ContractClient,
    cid: Cid,
    input: Payload,
) -> [v1::InvocationChange; 1] {
    let changes = client.retry_with(cid, input).await.unwrap();
    changes.try_into().unwrap()
}

#[tokio::test]
async fn a_dry_run_checks_the_other_input() {
    let node = TestNode::start(Node::builder().register(ship())).await;
    let cid = accept(&node.client, |_| {}).await;
    held(&node.client, cid).await;
    for (order, reason) in [(-1, Some("INPUT_INVALID")), (200, None)] {
        let input = Payload::from(dict! { "order": order });
        let checked = node.handle.invoker().check_retry(cid, Some(&input)).await;
        let error = checked.err();
        assert_eq!(error.as_ref().map(Error::reason), reason, "{error:?}");
        assert!(error.is_none_or(|error| paths(&error) == ["/order"]));
    }
    held(&node.client, cid).await;
    node.handle.stop().await;
}

/// Only one of many retries at once takes the place of the held invocation.
#[tokio::test]
async fn a_held_invocation_is_replaced_once() {
    for (node, _folder) in over_each_store(|| Node::builder().register(ship())).await {
        let client = &node.client;
        let cid = accept(client, |_| {}).await;
        held(client, cid).await;
        let retries = (0..20).map(|n| {
            let invoker = node.handle.invoker();
            async move {
                invoker
                    .retry(cid, Some(dict! { "order": 200 + n }.into()))
                    .await
            }
        });
        let retries = futures_util::future::join_all(retries).await;
        let replacements = retries.iter().flatten().filter(|it| !it.already_accepted);
        let replacements: Vec<Cid> = replacements.map(|it| it.cid).collect();
        let cancelled = failure(ended(client, cid).await);
        // Those that came later found that it had ended, and retried it as it is then.
        let winner = replacements
            .iter()
            .find(|cid| cancelled.message.contains(&cid.to_string()));
        assert!(winner.is_some(), "{cancelled:?}: {replacements:?}");
        let all = client
            .invocations(v1::InvocationFilter::default(), 99)
            .await;
        assert_eq!(all.unwrap().len(), 1 + replacements.len());
        node.handle.stop().await;
    }
}
