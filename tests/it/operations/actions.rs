//! What each action does to the invocations that match, and to those that it cannot change.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::operation_action::Action;
use cidery::codec::struct_pb::encode_value;
use cidery::model::call::Call;
use cidery::sio::{Bool, Int, Sio, Text};
use cidery::{Cid, Definition, Dict, Error, Node, Value, dict};

use super::{
    all_ended, cancel, counts, due_later, failed, held, is_held, of, purge, release, request,
    retried, retry, run, sorted, start, started,
};
use crate::support::{Folder, ended, failure};

const FAILED: &[v1::State] = &[v1::State::Failed];

macro_rules! over_each_store {
    ($($name:ident)*) => {
        mod memory {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(None).await;
                }
            )*
        }

        mod sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    let folder = crate::support::Folder::new("operations");
                    super::$name(Some(&folder)).await;
                }
            )*
        }
    };
}

over_each_store! {
    what_failed_is_retried_once_and_what_comes_later_is_not
    pending_invocations_are_cancelled_for_a_reason
    held_invocations_are_released_under_their_cids
    ended_invocations_are_purged
}

async fn what_failed_is_retried_once_and_what_comes_later_is_not(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let client = &node.client;
    let good = Call::new("customer.get", dict! { "cust_id": 1 });
    all_ended(client, [good]).await;
    let originals = failed(client, 150).await;
    // The retries fail as well: what they leave matches the filter, too.
    let done = counts(client, request(retry(), of("demo.fail", FAILED))).await;
    assert_eq!(done, [150, 150, 150]);
    let retries = retried(client).await;
    assert_eq!(sorted(&retries), sorted(&originals));
    let again = v1::InvocationFilter {
        services: vec!["customer.get".to_owned()],
        ..v1::InvocationFilter::default()
    };
    let none = counts(client, request(retry(), again)).await;
    assert_eq!(none, [0, 0, 0], "what has succeeded is not retried");
    node.handle.stop().await;
}

async fn pending_invocations_are_cancelled_for_a_reason(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let client = &node.client;
    let waiting = due_later(client, 3).await;
    all_ended(client, [Call::new("cidery.echo", dict! {})]).await;
    let echo = v1::InvocationFilter {
        services: vec!["cidery.echo".to_owned()],
        ..v1::InvocationFilter::default()
    };
    let request = |why| request(cancel(why), echo.clone());
    // The one that has ended is not among them.
    assert_eq!(counts(client, request("ops ticket 12")).await, [3, 3, 3]);
    for cid in waiting {
        let cancelled = ended(client, cid).await;
        assert_eq!(cancelled.state(), v1::State::Cancelled);
        assert!(failure(cancelled).message.contains("ops ticket 12"));
    }
    assert_eq!(counts(client, request("")).await, [0, 0, 0]);
    node.handle.stop().await;
}

async fn held_invocations_are_released_under_their_cids(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let client = &node.client;
    let held = held(client, 3).await;
    due_later(client, 1).await;
    let pending = v1::InvocationFilter {
        states: vec![v1::State::Pending.into()],
        ..v1::InvocationFilter::default()
    };
    assert_eq!(counts(client, request(release(), pending)).await, [3, 3, 3]);
    // They fail again, and are held again.
    for cid in &held {
        while !is_held(client, *cid).await {
            tokio::task::yield_now().await;
        }
        let found = client.invocation(*cid, Duration::ZERO).await.unwrap();
        assert_eq!(found.attempt, 2);
    }
    let only_held = v1::InvocationFilter {
        pending_reasons: vec![v1::PendingReason::Held.into()],
        ..v1::InvocationFilter::default()
    };
    assert_eq!(counts(client, request(retry(), only_held)).await, [3, 3, 3]);
    assert_eq!(retried(client).await, [] as [String; 0]);
    node.handle.stop().await;
}

async fn ended_invocations_are_purged(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let client = &node.client;
    let call = Call::new("demo.fail", dict! { "code": "NOT_FOUND" });
    let failed = client.invoke_async(call).await.unwrap().cid;
    ended(client, failed).await;
    due_later(client, 1).await;
    let all = v1::StartOperationRequest {
        all: true,
        filter: None,
        ..request(purge(), v1::InvocationFilter::default())
    };
    let done = run(client, all).await;
    assert_eq!((done.matched, done.changed, done.all), (1, 1, true));
    assert!(done.refusals.is_empty(), "{done:?}");
    let error = client.invocation(failed, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.reason(), "RESULT_EXPIRED");
    node.handle.stop().await;
}

fn patch(patch: Dict) -> Action {
    let patch = Value::Dict(patch);
    Action::Retry(v1::RetryAction {
        input_patch: Some(encode_value(&patch).unwrap()),
        ..v1::RetryAction::default()
    })
}

/// The patched input is checked as every input is; what is no dict is refused.
#[tokio::test]
async fn a_merge_patch_changes_each_input() {
    let declared = Definition::new("a.declared", async |input: Value| {
        match input["fixed"].is_null() {
            true => Err(Error::not_found("BROKEN", "broken")),
            false => Ok(input),
        }
    });
    let sio = Sio::new()
        .input(Int("id"))
        .input(Bool("fixed").optional())
        .input(Text("old").optional());
    let declared = declared.unwrap().sio(sio);
    let any = Definition::new("a.any", async |_: Value| {
        Err::<(), _>(Error::not_found("BROKEN", "broken"))
    });
    let builder = Node::builder().register(declared).register(any.unwrap());
    let node = start(builder, None).await;
    let client = &node.client;
    let fails = Call::new("a.declared", dict! { "id": 7, "old": "x" });
    let cid = all_ended(client, [fails]).await[0];
    let filter = of("a.declared", FAILED);
    // A violation of the declaration is refused before anything is accepted.
    let wrong = patch(dict! { "id": "no number" });
    let refused = run(client, request(wrong, filter.clone())).await;
    assert_eq!((refused.processed, refused.changed), (1, 0));
    assert_eq!(refused.refusals[0].reason, "INPUT_INVALID");
    let fixed = patch(dict! { "fixed": true, "old": Value::Null });
    assert_eq!(counts(client, request(fixed, filter)).await, [1, 1, 1]);
    let children = client.invocations(of("a.declared", &[]), 10).await.unwrap();
    let retry = Cid::parse(&children[0].cid).unwrap();
    assert_eq!(children[0].retry_of, cid.to_string());
    let answered = ended(client, retry).await;
    assert_eq!(answered.state(), v1::State::Succeeded, "{answered:?}");
    let list = Value::List(vec![Value::from(1)]);
    all_ended(
        client,
        [Call::new("a.any", list), Call::new("a.any", dict! {})],
    )
    .await;
    let done = run(
        client,
        request(patch(dict! { "a": 1 }), of("a.any", FAILED)),
    )
    .await;
    assert_eq!((done.processed, done.changed), (2, 1));
    let refusal = &done.refusals[0];
    assert_eq!(refusal.reason, "INPUT_INVALID");
    assert!(refusal.message.contains("is a list"), "{refusal:?}");
    node.handle.stop().await;
}

/// What a CID was asked never changes: a held invocation ends, and its retry has the patched input.
#[tokio::test]
async fn a_held_invocation_is_replaced_by_its_patched_retry() {
    let node = start(Node::builder(), None).await;
    let client = &node.client;
    let cid = held(client, 1).await[0];
    let filter = of("demo.fail", &[v1::State::Pending]);
    let done = run(client, request(patch(dict! { "a": 1 }), filter)).await;
    assert_eq!((done.processed, done.changed), (1, 1));
    let replaced = client.invocation(cid, Duration::ZERO).await.unwrap();
    assert_eq!(replaced.state(), v1::State::Cancelled);
    let retry = Cid::parse(&replaced.retried_as).unwrap();
    let retry = client.invocation(retry, Duration::ZERO).await.unwrap();
    assert_eq!(retry.retry_of, cid.to_string());
    node.handle.stop().await;
}

/// Once it has been retried, an operation leaves an invocation alone.
#[tokio::test]
async fn what_was_retried_is_not_retried_again() {
    let node = start(Node::builder(), None).await;
    let client = &node.client;
    let failing = Call::new("demo.fail", dict! { "retryable": false });
    let cid = all_ended(client, [failing]).await[0];
    client.retry(cid, false).await.unwrap();
    let filter = v1::InvocationFilter {
        accepted_before: client
            .invocation(cid, Duration::ZERO)
            .await
            .unwrap()
            .end_time,
        ..of("demo.fail", FAILED)
    };
    assert_eq!(counts(client, request(retry(), filter)).await, [0, 0, 0]);
    node.handle.stop().await;
}

#[tokio::test]
async fn a_dry_run_counts_and_starts_nothing() {
    let node = start(Node::builder(), None).await;
    let client = &node.client;
    let newest = failed(client, 3).await[2];
    held(client, 2).await;
    let counted = async |action| {
        let dry_run = v1::StartOperationRequest {
            dry_run: true,
            ..request(action, of("demo.fail", &[]))
        };
        client.start_operation(dry_run).await.unwrap()
    };
    // Those that it can change: ended ones, held ones.
    let matched = async |action| counted(action).await.operation.unwrap().matched;
    assert_eq!((matched(purge()).await, matched(release()).await), (3, 2));
    let counted = counted(retry()).await;
    let operation = counted.operation.unwrap();
    assert_eq!((operation.id.as_str(), operation.matched), ("", 5));
    let [first, second] = counted.summaries.as_slice() else {
        panic!("{:?}", counted.summaries);
    };
    assert_eq!(
        (first.service.as_str(), first.state(), first.count),
        ("demo.fail", v1::State::Failed, 3)
    );
    assert_eq!(first.example_cid, newest.to_string());
    assert_eq!(first.failure_reason, "DEMO_FAILED");
    assert!(first.last_end_time.is_some() && first.first_accept_time.is_some());
    assert_eq!(
        (second.count, second.pending_reason()),
        (2, v1::PendingReason::Held)
    );
    assert!(client.operations(&[], 10).await.unwrap().is_empty());
    node.handle.stop().await;
}

#[tokio::test]
async fn all_faults_of_a_request_are_reported_at_once() {
    let node = start(Node::builder(), None).await;
    let refused = async |request| {
        let error = node.client.start_operation(request).await.unwrap_err();
        let paths = error.field_violations().iter();
        let mut paths: Vec<String> = paths.map(|violation| violation.path.clone()).collect();
        paths.sort();
        paths
    };
    let request = v1::StartOperationRequest {
        id: "no uuid".to_owned(),
        filter: Some(v1::InvocationFilter {
            states: vec![99],
            ..v1::InvocationFilter::default()
        }),
        all: true,
        max_per_second: 100_001,
        ..v1::StartOperationRequest::default()
    };
    let paths = refused(request).await;
    assert_eq!(
        paths,
        [
            "/action",
            "/all",
            "/filter/states/0",
            "/id",
            "/max_per_second"
        ]
    );
    let long = super::request(cancel(&"x".repeat(1_025)), v1::InvocationFilter::default());
    assert_eq!(refused(long).await, ["/action/cancel/reason", "/filter"]);
    let unknown = node
        .client
        .operation(cidery::model::operation::OperationId::new(), false)
        .await;
    assert_eq!(unknown.unwrap_err().reason(), "OPERATION_UNKNOWN");
    // A request that is repeated with its id starts nothing twice.
    let first = started(
        &node.client,
        v1::StartOperationRequest {
            id: cidery::model::operation::OperationId::new().to_string(),
            ..super::request(purge(), of("demo.fail", FAILED))
        },
    )
    .await;
    let repeat = |action, filter| v1::StartOperationRequest {
        id: first.id.clone(),
        ..super::request(action, filter)
    };
    let again = started(&node.client, repeat(purge(), of("demo.fail", FAILED))).await;
    assert_eq!(
        (&again.id, again.create_time),
        (&first.id, first.create_time)
    );
    assert_eq!(node.client.operations(&[], 10).await.unwrap().len(), 1);
    let other = repeat(retry(), of("demo.fail", FAILED));
    let error = node.client.start_operation(other).await.unwrap_err();
    assert_eq!(error.reason(), "IDEMPOTENCY_MISMATCH");
    node.handle.stop().await;
}
