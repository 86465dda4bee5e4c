//! Operations: changes of many invocations, through gRPC and the command line.

mod actions;
mod command_line;
mod crash;
mod failing;
mod groups;
mod lifecycle;
mod requests;
mod synchronous;

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::operation_action::Action;
use cidery::engine::clock::{Clock, ManualClock};
use cidery::model::batch::Batch;
use cidery::model::call::Call;
use cidery::model::operation::OperationId;
use cidery::remote::client::ContractClient;
use cidery::store::{MemoryStore, SqliteStore};
use cidery::{Cid, Node, NodeBuilder, RetryPolicy, dict};

use crate::support::{Folder, PATIENCE, TestNode};

/// A node with demo services over a store in memory, or in a folder.
async fn start(builder: NodeBuilder, on_disk: Option<&Folder>) -> TestNode {
    let builder = builder.demo();
    TestNode::start(match on_disk {
        Some(folder) => builder.store(SqliteStore::open(folder.path()).unwrap()),
        None => builder.store(MemoryStore::new()),
    })
    .await
}

/// A node whose clock stands still until the test moves it.
async fn start_manual(on_disk: Option<&Folder>) -> (TestNode, ManualClock) {
    let clock = ManualClock::new();
    let builder = Node::builder().clock(Clock::Manual(clock.clone()));
    (start(builder, on_disk).await, clock)
}

fn cancel(reason: &str) -> Action {
    Action::Cancel(v1::CancelAction {
        reason: reason.to_owned(),
    })
}

fn retry() -> Action {
    Action::Retry(v1::RetryAction::default())
}

fn release() -> Action {
    Action::Release(v1::ReleaseAction {})
}

fn purge() -> Action {
    Action::Purge(v1::PurgeAction {})
}

/// A filter of the invocations of a service in these states.
fn of(service: &str, states: &[v1::State]) -> v1::InvocationFilter {
    v1::InvocationFilter {
        services: vec![service.to_owned()],
        states: states.iter().copied().map(i32::from).collect(),
        ..v1::InvocationFilter::default()
    }
}

fn request(action: Action, filter: v1::InvocationFilter) -> v1::StartOperationRequest {
    v1::StartOperationRequest {
        action: Some(v1::OperationAction {
            action: Some(action),
        }),
        filter: Some(filter),
        ..v1::StartOperationRequest::default()
    }
}

async fn started(client: &ContractClient, request: v1::StartOperationRequest) -> v1::Operation {
    let started = client.start_operation(request).await.unwrap();
    started.operation.unwrap()
}

fn id(operation: &v1::Operation) -> OperationId {
    OperationId::parse(&operation.id).unwrap()
}

/// Waits for news of an operation until they are what the test waits for.
async fn when(
    client: &ContractClient,
    operation: &v1::Operation,
    holds: impl Fn(&v1::Operation) -> bool,
) -> v1::Operation {
    let wait = async {
        let mut now = client.operation(id(operation), false).await.unwrap();
        while !holds(&now) {
            now = client.operation(id(operation), true).await.unwrap();
        }
        now
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("timeout: {operation:?}"))
}

fn has_ended(operation: &v1::Operation) -> bool {
    operation.state() != v1::OperationState::Running
}

/// Starts an operation and waits for its end.
async fn run(client: &ContractClient, request: v1::StartOperationRequest) -> v1::Operation {
    let started = started(client, request).await;
    when(client, &started, has_ended).await
}

/// Starts an operation that succeeds; answers with its counts: matched, processed, changed.
async fn counts(client: &ContractClient, request: v1::StartOperationRequest) -> [u64; 3] {
    let ended = run(client, request).await;
    assert_eq!(ended.state(), v1::OperationState::Succeeded, "{ended:?}");
    [ended.matched, ended.processed, ended.changed]
}

/// Accepts so many invocations that fail at once, and waits for their ends; answers with their CIDs.
async fn failed(client: &ContractClient, count: usize) -> Vec<Cid> {
    let call = || Call::new("demo.fail", dict! { "code": "NOT_FOUND" });
    all_ended(client, (0..count).map(|_| call())).await
}

/// Invokes services, and waits for the ends.
async fn all_ended(client: &ContractClient, calls: impl IntoIterator<Item = Call>) -> Vec<Cid> {
    let batch = Batch::of(calls).unwrap();
    let group = client.invoke_batch(batch).await.unwrap();
    let found = client.invocation(group.cid, PATIENCE).await.unwrap();
    assert!(found.end_time.is_some(), "{found:?}");
    group.members
}

/// Invocations of `demo.fail` that are held.
async fn held(client: &ContractClient, count: usize) -> Vec<Cid> {
    let mut cids = Vec::new();
    for _ in 0..count {
        let mut call = Call::new("demo.fail", dict! { "code": "UNAVAILABLE" });
        call.durable().on_exhausted = Some(cidery::OnExhausted::Hold);
        call.durable().retry_policy = Some(RetryPolicy::never());
        cids.push(client.invoke_async(call).await.unwrap().cid);
    }
    for cid in &cids {
        let wait = async {
            while !is_held(client, *cid).await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap();
    }
    cids
}

async fn is_held(client: &ContractClient, cid: Cid) -> bool {
    let found = client.invocation(cid, Duration::ZERO).await.unwrap();
    found.pending_reason() == v1::PendingReason::Held
}

/// Invocations of `cidery.echo` that are due in an hour.
async fn due_later(client: &ContractClient, count: usize) -> Vec<Cid> {
    let mut cids = Vec::new();
    for _ in 0..count {
        let mut call = Call::new("cidery.echo", dict! { "n": 1 });
        let delay = Duration::from_secs(3_600);
        call.durable().start = Some(cidery::model::call::Start::After(delay));
        cids.push(client.invoke_async(call).await.unwrap().cid);
    }
    cids
}

/// The invocations that were retried, one for each retry, the newest first.
async fn retried(client: &ContractClient) -> Vec<String> {
    let filter = v1::InvocationFilter::default();
    let all = client.invocations(filter, usize::MAX).await.unwrap();
    let retries = all.into_iter().filter(|one| !one.retry_of.is_empty());
    retries.map(|one| one.retry_of).collect()
}

/// Sorted texts.
fn sorted(cids: impl IntoIterator<Item = impl ToString>) -> Vec<String> {
    let mut cids: Vec<String> = cids.into_iter().map(|cid| cid.to_string()).collect();
    cids.sort();
    cids
}
