//! How an operation runs: its pace, its pages, its end, what it waits for, and restarts of the node.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::model::call::Call;
use cidery::model::operation::OperationId;
use cidery::model::service_options::ServiceOptions;
use cidery::{Definition, Error, Node, Value, dict};
use tokio::sync::Semaphore;

use super::{
    cancel, due_later, failed, has_ended, id, of, request, retried, retry, run, sorted, start,
    start_manual, started, when,
};
use crate::support::gated::GatedStore;
use crate::support::{Folder, TestNode};

/// A request to cancel what is pending, so many in a second.
fn paced(rate: u32) -> v1::StartOperationRequest {
    v1::StartOperationRequest {
        max_per_second: NonZero::new(rate).unwrap().get(),
        ..request(cancel(""), of("cidery.echo", &[v1::State::Pending]))
    }
}

/// With a clock that stands still, an operation goes exactly as far as its rate allows.
#[tokio::test]
async fn no_more_are_changed_than_the_rate_allows() {
    let (node, clock) = start_manual(None).await;
    let client = &node.client;
    due_later(client, 23).await;
    let operation = started(client, paced(10)).await;
    assert_eq!((operation.matched, operation.max_per_second), (23, 10));
    for seen in [5, 10, 15, 20] {
        let now = when(client, &operation, |now| now.processed >= seen).await;
        assert_eq!(
            (now.processed, now.state()),
            (seen, v1::OperationState::Running)
        );
        clock.advance(Duration::from_millis(499));
        let now = client.operation(id(&operation), false).await.unwrap();
        assert_eq!(now.processed, seen);
        clock.advance(Duration::from_millis(1));
    }
    let ended = when(client, &operation, has_ended).await;
    assert_eq!((ended.processed, ended.changed), (23, 23));
    let seconds = |time: Option<prost_types::Timestamp>| time.unwrap().seconds;
    assert_eq!(seconds(ended.end_time), seconds(ended.create_time) + 2);
    node.handle.stop().await;
}

#[tokio::test]
async fn a_cancelled_operation_leaves_the_others_as_they_are() {
    let (node, _clock) = start_manual(None).await;
    let client = &node.client;
    let cids = due_later(client, 12).await;
    let operation = started(client, paced(10)).await;
    when(client, &operation, |now| now.processed == 5).await;
    let cancelled = client.cancel_operation(id(&operation)).await.unwrap();
    assert_eq!(cancelled.state(), v1::OperationState::Cancelled);
    assert_eq!((cancelled.processed, cancelled.changed), (5, 5));
    let pending = client.invocations(of("cidery.echo", &[v1::State::Pending]), 20);
    // The newest come first.
    assert_eq!(
        sorted(pending.await.unwrap().iter().map(|one| &one.cid)),
        sorted(&cids[..7])
    );
    let again = client.cancel_operation(id(&operation)).await.unwrap();
    assert_eq!(again, cancelled);
    let error = client
        .cancel_operation(OperationId::new())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "OPERATION_UNKNOWN");
    node.handle.stop().await;
}

#[tokio::test]
async fn only_so_many_operations_run_at_once() {
    let (node, _clock) = start_manual(None).await;
    let client = &node.client;
    due_later(client, 40).await;
    let mut running = Vec::new();
    for _ in 0..16 {
        running.push(started(client, paced(2)).await);
    }
    let error = client.start_operation(paced(2)).await.unwrap_err();
    assert_eq!(error.reason(), "OPERATION_LIMIT", "{error:?}");
    // Pages of a list follow each other while others end.
    let all = client.operations(&[], 100).await.unwrap();
    let newest_first: Vec<_> = running.iter().rev().map(|one| &one.id).collect();
    assert_eq!(sorted(all.iter().map(|one| &one.id)), sorted(newest_first));
    client.cancel_operation(id(&running[0])).await.unwrap();
    let of = async |state| client.operations(&[state], 100).await.unwrap().len();
    assert_eq!(of(v1::OperationState::Running).await, 15);
    assert_eq!(of(v1::OperationState::Cancelled).await, 1);
    started(client, paced(2)).await;
    node.handle.stop().await;
}

#[tokio::test]
async fn lists_are_paged_and_forget_what_ended_long_ago() {
    let (node, clock) = start_manual(None).await;
    let client = &node.client;
    let mut all = Vec::new();
    for _ in 0..5 {
        clock.advance(Duration::from_secs(1));
        all.insert(0, run(client, paced(10)).await.id);
    }
    let mut stub = operation_stub(&node).await;
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListOperationsRequest {
            page_size: 2,
            page_token,
            ..v1::ListOperationsRequest::default()
        };
        let page = stub.list_operations(request).await.unwrap().into_inner();
        assert!(page.operations.len() <= 2);
        listed.extend(page.operations.into_iter().map(|one| one.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        // A newer one is on no later page.
        run(client, paced(10)).await;
    }
    assert_eq!(listed, all);
    clock.advance(Duration::from_secs(15 * 24 * 3_600));
    assert!(client.operations(&[], 10).await.unwrap().is_empty());
    let old = OperationId::parse(&all[0]).unwrap();
    let error = client.operation(old, false).await.unwrap_err();
    assert_eq!(error.reason(), "OPERATION_UNKNOWN");
    let last = run(client, paced(10)).await;
    let stored = node.handle.invoker().store().operations().await.unwrap();
    let stored: Vec<_> = stored.iter().map(|one| one.id.to_string()).collect();
    // What is old is removed when an operation has ended.
    if stored != [last.id.clone()] {
        when_stored(&node, 1).await;
    }
    node.handle.stop().await;
}

/// Waits until the store has so many operations.
async fn when_stored(node: &TestNode, count: usize) {
    let wait = async {
        while node
            .handle
            .invoker()
            .store()
            .operations()
            .await
            .unwrap()
            .len()
            != count
        {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(crate::support::PATIENCE, wait).await;
    waited.unwrap();
}

async fn operation_stub(
    node: &TestNode,
) -> v1::operation_service_client::OperationServiceClient<tonic::transport::Channel> {
    let address = format!("http://{}", node.address());
    let connected = v1::operation_service_client::OperationServiceClient::connect(address).await;
    connected.unwrap()
}

/// However many invocations match, an operation reads a page of at most a thousand at once.
#[tokio::test]
async fn an_operation_reads_page_by_page() {
    let (store, gates) = GatedStore::new();
    let node = TestNode::start(Node::builder().demo().store(store)).await;
    let client = &node.client;
    let originals = failed(client, 2_500).await;
    gates.forget_lists();
    let fast = v1::StartOperationRequest {
        max_per_second: 100_000,
        ..request(retry(), of("demo.fail", &[v1::State::Failed]))
    };
    let done = run(client, fast).await;
    assert_eq!((done.matched, done.changed), (2_500, 2_500));
    let lists = gates.lists();
    assert!(lists.iter().all(|max| *max <= 1_000), "{lists:?}");
    assert!(lists.len() >= 3, "{lists:?}");
    assert_eq!(sorted(retried(client).await), sorted(originals));
    node.handle.stop().await;
}

/// A limit that is reached stops an operation for as long as it is: nothing is lost, and it says why it waits.
#[tokio::test]
async fn an_operation_waits_for_room() {
    let gate = Arc::new(Semaphore::new(0));
    let wait = Arc::clone(&gate);
    let service = Definition::new("a.gated", move |input: Value| {
        let wait = Arc::clone(&wait);
        async move {
            if input["fails"].is_null() {
                wait.acquire().await.unwrap().forget();
                return Ok(());
            }
            Err(Error::not_found("BROKEN", "broken"))
        }
    });
    let options = ServiceOptions {
        concurrency: Some(1),
        pending_limit: Some(4),
        ..ServiceOptions::default()
    };
    let service = service.unwrap().options(options);
    let (node, clock) = {
        let clock = cidery::engine::clock::ManualClock::new();
        let builder = Node::builder().register(service);
        let builder = builder.clock(cidery::engine::clock::Clock::Manual(clock.clone()));
        (start(builder, None).await, clock)
    };
    let client = &node.client;
    for _ in 0..12 {
        let call = Call::new("a.gated", dict! { "fails": true });
        let cid = client.invoke_async(call).await.unwrap().cid;
        crate::support::ended(client, cid).await;
    }
    let succeed = v1::RetryAction {
        input_patch: Some(
            cidery::codec::struct_pb::encode_value(&dict! { "fails": Value::Null }.into()).unwrap(),
        ),
        ..v1::RetryAction::default()
    };
    let action = v1::operation_action::Action::Retry(succeed);
    let operation = started(client, request(action, of("a.gated", &[v1::State::Failed]))).await;
    let waits = when(client, &operation, |now| now.failure.is_some()).await;
    assert_eq!(waits.state(), v1::OperationState::Running);
    assert_eq!(waits.failure.unwrap().reason, "PENDING_LIMIT");
    assert!(waits.changed < 12);
    gate.add_permits(12);
    let ended = async {
        loop {
            let now = client.operation(id(&operation), false).await.unwrap();
            if has_ended(&now) {
                return now;
            }
            clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(crate::support::PATIENCE, ended)
        .await
        .unwrap();
    assert_eq!(
        (ended.changed, ended.failure, ended.refusals.len()),
        (12, None, 0)
    );
    node.handle.stop().await;
}

/// A node that stops leaves its operations to the next one.
#[tokio::test]
async fn an_operation_goes_on_after_a_restart() {
    let folder = Folder::new("operations");
    let (node, _clock) = start_manual(Some(&folder)).await;
    let originals = failed(&node.client, 23).await;
    let slow = v1::StartOperationRequest {
        max_per_second: 10,
        ..request(retry(), of("demo.fail", &[v1::State::Failed]))
    };
    let operation = started(&node.client, slow).await;
    when(&node.client, &operation, |now| now.processed >= 5).await;
    node.handle.stop().await;
    let (node, clock) = start_manual(Some(&folder)).await;
    let client = &node.client;
    let now = client.operation(id(&operation), false).await.unwrap();
    assert_eq!(now.state(), v1::OperationState::Running);
    assert_eq!(
        (&now.id, now.create_time),
        (&operation.id, operation.create_time)
    );
    let later = failed(client, 1).await;
    let wait = async {
        loop {
            let now = client.operation(id(&operation), false).await.unwrap();
            if has_ended(&now) {
                return now;
            }
            clock.advance(Duration::from_millis(500));
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(crate::support::PATIENCE, wait)
        .await
        .unwrap();
    assert_eq!(ended.state(), v1::OperationState::Succeeded);
    assert_eq!((ended.matched, ended.changed), (23, 23));
    let retries = retried(client).await;
    assert_eq!(sorted(&retries), sorted(&originals));
    assert!(!retries.contains(&later[0].to_string()));
    node.handle.stop().await;
    // An operation that has ended is known as such, and does not run again.
    let (node, _clock) = start_manual(Some(&folder)).await;
    assert_eq!(
        node.client.operation(id(&ended), false).await.unwrap(),
        ended
    );
    node.handle.stop().await;
}
