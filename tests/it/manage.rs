//! Management of stored invocations over each store: list, cancel, retry, purge, explain.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::engine::InvocationView;
use cidery::engine::store::{Filter, Store as _};
use cidery::model::call::Call;
use cidery::model::invocation::State;
use cidery::sio::{Secret, Sio};
use cidery::store::{MemoryStore, SqliteStore};
use cidery::{
    Cid, Context, Definition, Error, Kind, Node, NodeBuilder, NodeHandle, OnExhausted, RetryPolicy,
    dict,
};
use tokio::task::JoinSet;

use crate::support::{Folder, PATIENCE, TestNode, error_of};

async fn start(builder: NodeBuilder, on_disk: Option<&Folder>) -> NodeHandle {
    let builder = builder
        .demo()
        .no_listener()
        .limits(|limits| limits.grace = Duration::from_millis(100));
    let builder = match on_disk {
        Some(folder) => builder.store(SqliteStore::open(folder.path()).unwrap()),
        None => builder.store(MemoryStore::new()),
    };
    builder.start().await.unwrap()
}

async fn ended(node: &NodeHandle, cid: Cid) -> InvocationView {
    let found = node.invoker().find(cid, PATIENCE).await.unwrap();
    assert!(
        found.invocation.state.is_terminal(),
        "{:?}",
        found.invocation.state
    );
    found
}

async fn running(node: &NodeHandle, cid: Cid) {
    while !matches!(
        node.invoker()
            .find(cid, Duration::ZERO)
            .await
            .unwrap()
            .invocation
            .state,
        State::Running { .. }
    ) {
        tokio::task::yield_now().await;
    }
}

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
                    let folder = crate::support::Folder::new("manage");
                    super::$name(Some(&folder)).await;
                }
            )*
        }
    };
}

over_each_store! {
    a_pending_invocation_is_cancelled_immediately
    a_running_handler_is_cancelled_and_dropped_after_the_grace_period
    a_response_in_time_beats_a_cancellation
    a_failed_invocation_is_retried_as_a_new_one
    a_held_invocation_continues_on_request
    lists_are_filtered_and_paginated
    concurrent_cancellations_keep_counts_correct
}

async fn a_pending_invocation_is_cancelled_immediately(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let mut later = Call::new("demo.sleep", dict! { "seconds": 0 });
    later.durable().start = Some(cidery::model::call::Start::After(Duration::from_secs(
        3_600,
    )));
    let cid = node.invoker().invoke_async(later).await.unwrap().cid;
    let found = node.invoker().cancel(cid, None).await.unwrap().invocation;
    assert_eq!((found.state, found.attempts), (State::Cancelled, 0));
    assert_eq!(found.outcome().unwrap().unwrap_err().reason(), "CANCELLED");
    let error = node.invoker().cancel(cid, None).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::FailedPrecondition, "ENDED")
    );
    let error = node.invoker().cancel(Cid::new(), None).await.unwrap_err();
    assert_eq!(error.reason(), "CID_UNKNOWN");
    let service = cidery::ServiceName::parse("demo.sleep").unwrap();
    assert_eq!(node.invoker().store().pending_count(&service), 0);
    node.stop().await;
}

async fn a_running_handler_is_cancelled_and_dropped_after_the_grace_period(disk: Option<&Folder>) {
    let stubborn = async || {
        std::future::pending::<()>().await;
    };
    let node = start(Node::builder().service("stubborn", stubborn), disk).await;
    // One handler stops when it is cancelled, and one does not.
    for (service, input) in [
        ("demo.sleep", dict! { "seconds": 3_600 }),
        ("stubborn", dict! {}),
    ] {
        let cid = node.invoke_async(service, input).await.unwrap();
        running(&node, cid).await;
        let found = node.invoker().cancel(cid, None).await.unwrap().invocation;
        let cancel_requested = State::Running {
            cancel_requested: true,
        };
        assert!(
            [cancel_requested, State::Cancelled].contains(&found.state),
            "{:?}",
            found.state
        );
        let found = ended(&node, cid).await.invocation;
        assert_eq!(
            (found.state, found.attempts),
            (State::Cancelled, 1),
            "{service}"
        );
    }
    node.stop().await;
}

async fn a_response_in_time_beats_a_cancellation(disk: Option<&Folder>) {
    let polite = async |ctx: Context| {
        ctx.cancelled().await;
        dict! { "done": true }
    };
    let node = start(Node::builder().service("polite", polite), disk).await;
    let cid = node.invoke_async("polite", ()).await.unwrap();
    running(&node, cid).await;
    node.invoker().cancel(cid, None).await.unwrap();
    assert_eq!(ended(&node, cid).await.invocation.state, State::Succeeded);
    node.stop().await;
}

async fn a_failed_invocation_is_retried_as_a_new_one(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let failing = dict! { "code": "NOT_FOUND" };
    let cid = node
        .invoke_async("demo.fail", failing.clone())
        .await
        .unwrap();
    ended(&node, cid).await;
    let again = node.invoker().retry(cid, None).await.unwrap();
    assert!(again.cid != cid && !again.already_accepted);
    let found = ended(&node, again.cid).await.invocation;
    assert_eq!(
        (found.state, found.request.terms.retry_of),
        (State::Failed, Some(cid))
    );
    let edited = dict! { "code": "ABORTED" };
    let again = node
        .invoker()
        .retry(cid, Some(edited.into()))
        .await
        .unwrap()
        .cid;
    node.invoker()
        .cancel(again, None)
        .await
        .map_or_else(drop, drop);
    let good = node
        .invoke_async("customer.get", dict! { "cust_id": 1 })
        .await
        .unwrap();
    ended(&node, good).await;
    let error = node.invoker().retry(good, None).await.unwrap_err();
    assert_eq!(error.reason(), "NOT_RETRYABLE");
    node.stop().await;
}

async fn a_held_invocation_continues_on_request(disk: Option<&Folder>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let flaky = move || {
        let run = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            match run {
                0 => Err(Error::unavailable("NOT_YET", "not yet")),
                _ => Ok(dict! { "run": run as u64 }),
            }
        }
    };
    let node = start(Node::builder().service("flaky", flaky), disk).await;
    let mut call = Call::new("flaky", ());
    call.durable().on_exhausted = Some(OnExhausted::Hold);
    call.durable().retry_policy = Some(RetryPolicy::never());
    let cid = node.invoker().invoke_async(call).await.unwrap().cid;
    let held = async || {
        node.invoker()
            .find(cid, Duration::ZERO)
            .await
            .unwrap()
            .invocation
    };
    // The outcome is recorded before it is delivered; until then the invocation is running.
    let is_held = async {
        while held().await.state != (State::Pending { started: true }) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, is_held).await.unwrap();
    let again = node.invoker().retry(cid, None).await.unwrap();
    assert_eq!((again.cid, again.already_accepted), (cid, true));
    let found = ended(&node, cid).await.invocation;
    assert_eq!((found.state, found.attempts), (State::Succeeded, 2));
    node.stop().await;
}

async fn lists_are_filtered_and_paginated(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let mut cids = Vec::new();
    for n in 0..7 {
        let cid = node
            .invoke_async("customer.get", dict! { "cust_id": n })
            .await
            .unwrap();
        ended(&node, cid).await;
        cids.insert(0, cid);
    }
    let failed = node
        .invoke_async("demo.fail", dict! { "code": "NOT_FOUND" })
        .await
        .unwrap();
    ended(&node, failed).await;
    let list = async |filter, before, max| {
        let listed = node.invoker().list(filter, before, max).await.unwrap();
        let found: Vec<Cid> = listed
            .found
            .iter()
            .map(|found| found.invocation.request.cid)
            .collect();
        (found, listed.next)
    };
    let of = |name: &str| Filter {
        services: vec![cidery::ServiceName::parse(name).unwrap()],
        ..Filter::default()
    };
    let mut pages = Vec::new();
    let mut before = None;
    loop {
        let (page, next) = list(of("customer.get"), before, 3).await;
        pages.extend(page);
        // Invocations that are accepted in between are on no later page.
        node.invoke_async("customer.get", dict! { "cust_id": 9 })
            .await
            .unwrap();
        before = next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(pages, cids);
    let states = Filter {
        states: vec![State::Failed],
        ..Filter::default()
    };
    assert_eq!(list(states, None, 10).await.0, [failed]);
    let none = Filter {
        ended_before: Some(jiff::Timestamp::UNIX_EPOCH),
        ..Filter::default()
    };
    assert_eq!(list(none, None, 10).await.0, []);
    let (all, _) = list(Filter::default(), None, 1_000).await;
    assert!(all.len() >= 8);
    node.stop().await;
}

/// Cancels pending and claimed invocations while schedulers claim them: counts stay correct, and no invocation is
/// stuck.
async fn concurrent_cancellations_keep_counts_correct(disk: Option<&Folder>) {
    let quick = Definition::new("quick", async || dict! {})
        .unwrap()
        .concurrency(2);
    let node = Arc::new(start(Node::builder().register(quick), disk).await);
    let mut cids = Vec::new();
    for _ in 0..200 {
        cids.push(node.invoke_async("quick", ()).await.unwrap());
    }
    let mut cancelling = JoinSet::new();
    for cid in cids.iter().rev().step_by(2) {
        let (node, cid) = (Arc::clone(&node), *cid);
        cancelling.spawn(async move { drop(node.invoker().cancel(cid, None).await) });
    }
    cancelling.join_all().await;
    for cid in cids {
        ended(&node, cid).await;
    }
    let service = cidery::ServiceName::parse("quick").unwrap();
    assert_eq!(node.invoker().store().pending_count(&service), 0);
    let last = node.invoke_async("quick", ()).await.unwrap();
    ended(&node, last).await;
}

/// An invocation during which the node crashed five times is not attempted a sixth time.
#[tokio::test]
async fn an_invocation_that_crashes_the_node_repeatedly_is_poisoned() {
    let mut folder = Folder::new("poison");
    let cid = {
        let cid = Cid::new();
        let store = SqliteStore::open(folder.path()).unwrap();
        let input = cidery::Payload::from(dict! { "cust_id": 1 });
        let service = cidery::ServiceName::parse("customer.get").unwrap();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let request = cidery::model::invocation::Request::new(cid, service, input, now);
        let invocation = cidery::model::invocation::Invocation::accepted(request, 1);
        store.accept(invocation).await.unwrap();
        cid
    };
    for _ in 0..5 {
        let store = SqliteStore::open(folder.path()).unwrap();
        store.record_attempts(vec![cid]).await.unwrap();
        let next = Folder::new("poison");
        for file in ["cidery.db", "cidery.db-wal"] {
            std::fs::copy(folder.path().join(file), next.path().join(file)).unwrap();
        }
        drop(store);
        folder = next;
    }
    let node = start(Node::builder(), Some(&folder)).await;
    let found = ended(&node, cid).await.invocation;
    assert_eq!(found.state, State::Failed);
    assert_eq!(found.outcome().unwrap().unwrap_err().reason(), "POISONED");
    node.stop().await;
}

/// A cancellation that was requested before the node was killed is completed by the next node.
#[tokio::test]
async fn a_cancellation_survives_a_crash() {
    let folder = Folder::new("cancel");
    let copy = Folder::new("cancel");
    let cid = {
        let stubborn = async || std::future::pending::<()>().await;
        let builder = Node::builder()
            .service("stubborn", stubborn)
            .limits(|limits| limits.grace = PATIENCE);
        let store = SqliteStore::open(folder.path()).unwrap();
        let node = builder.no_listener().store(store).start().await.unwrap();
        let cid = node.invoke_async("stubborn", ()).await.unwrap();
        running(&node, cid).await;
        node.invoker().cancel(cid, None).await.unwrap();
        for file in ["cidery.db", "cidery.db-wal"] {
            std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
        }
        cid
    };
    let builder = Node::builder().service("stubborn", async || std::future::pending::<()>().await);
    let node = start(builder, Some(&copy)).await;
    assert_eq!(ended(&node, cid).await.invocation.state, State::Cancelled);
    node.stop().await;
}

#[tokio::test]
async fn invocations_are_managed_over_grpc() {
    let node = TestNode::demo().await;
    let mut stub = node.stub.clone();
    let cid = node
        .client
        .invoke_async(Call::new("demo.fail", dict! { "code": "NOT_FOUND" }))
        .await
        .unwrap()
        .cid;
    node.client.invocation(cid, PATIENCE).await.unwrap();
    let listed = node
        .client
        .invocations(v1::InvocationFilter::default(), 10)
        .await
        .unwrap();
    assert_eq!(listed[0].cid, cid.to_string());
    let changes = node.client.retry(&[cid, Cid::new()], true).await.unwrap();
    assert!(changes[0].new_cid.is_empty() && changes[0].failure.is_none());
    assert_eq!(changes[1].failure.as_ref().unwrap().reason, "CID_UNKNOWN");
    let changes = node.client.retry(&[cid], false).await.unwrap();
    Cid::parse(&changes[0].new_cid).unwrap();
    let changes = node.client.cancel(&[cid], false).await.unwrap();
    assert_eq!(changes[0].failure.as_ref().unwrap().reason, "ENDED");
    for request in [
        v1::CancelInvocationsRequest::default(),
        v1::CancelInvocationsRequest {
            cids: vec![cid.to_string()],
            filter: Some(v1::InvocationFilter::default()),
            ..Default::default()
        },
        v1::CancelInvocationsRequest {
            filter: Some(v1::InvocationFilter::default()),
            page_token: "x".to_owned(),
            ..Default::default()
        },
    ] {
        let error = error_of(&stub.cancel_invocations(request).await.unwrap_err());
        assert_eq!(error.reason(), "REQUEST_INVALID");
    }
    // By filter: all pending invocations.
    let mut later = Call::new("demo.sleep", dict! { "seconds": 1 });
    later.durable().start = Some(cidery::model::call::Start::After(Duration::from_secs(
        3_600,
    )));
    for _ in 0..3 {
        node.client.invoke_async(later.clone()).await.unwrap();
    }
    let request = v1::CancelInvocationsRequest {
        filter: Some(v1::InvocationFilter {
            services: vec!["demo.sleep".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let changes = stub
        .cancel_invocations(request)
        .await
        .unwrap()
        .into_inner()
        .changes;
    assert_eq!(changes.len(), 3);
    assert!(
        changes
            .iter()
            .all(|change| change.state == i32::from(v1::State::Cancelled))
    );
}

#[tokio::test]
async fn ended_invocations_are_purged_over_grpc() {
    let node = TestNode::demo().await;
    let mut stub = node.stub.clone();
    let call = Call::new("customer.get", dict! { "cust_id": 1 });
    let ended = node.client.invoke_async(call).await.unwrap().cid;
    node.client.invocation(ended, PATIENCE).await.unwrap();
    let mut later = Call::new("demo.sleep", dict! { "seconds": 1 });
    later.durable().start = Some(cidery::model::call::Start::After(Duration::from_secs(
        3_600,
    )));
    let waits = node.client.invoke_async(later).await.unwrap().cid;
    let waiting = |reason: v1::PendingReason| v1::InvocationFilter {
        pending_reasons: vec![reason.into()],
        ..Default::default()
    };
    let later = waiting(v1::PendingReason::DueLater);
    let listed = node.client.invocations(later, 9).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].cid, waits.to_string());
    let held = waiting(v1::PendingReason::Held);
    assert!(node.client.invocations(held, 9).await.unwrap().is_empty());
    // An invocation that waits for its completion is running, although the store has it as pending.
    let running = v1::CancelInvocationsRequest {
        filter: Some(v1::InvocationFilter {
            states: vec![v1::State::Running.into()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let cancelled = stub.cancel_invocations(running).await.unwrap();
    assert!(cancelled.into_inner().changes.is_empty());
    let mut purge = async |dry_run| {
        let request = v1::PurgeInvocationsRequest {
            cids: vec![ended.to_string(), waits.to_string()],
            dry_run,
            ..Default::default()
        };
        let answer = stub.purge_invocations(request).await.unwrap();
        let reason = |change: &v1::InvocationChange| {
            let failure = change.failure.as_ref();
            failure
                .map(|failure| failure.reason.clone())
                .unwrap_or_default()
        };
        let changes = answer.into_inner().changes;
        changes.iter().map(reason).collect::<Vec<_>>()
    };
    // A dry run reports what would be rejected.
    let reasons = |changes: Vec<v1::InvocationChange>| {
        let failures = changes.into_iter().map(|change| change.failure);
        let reasons = failures.map(|failure| failure.unwrap_or_default().reason);
        reasons.collect::<Vec<_>>()
    };
    let both = [ended, waits];
    let dry = node.client.cancel(&both, true).await.unwrap();
    assert_eq!(reasons(dry), ["ENDED", ""]);
    let dry = node.client.retry(&both, true).await.unwrap();
    assert_eq!(reasons(dry), ["NOT_RETRYABLE", "NOT_RETRYABLE"]);
    assert_eq!(purge(true).await, ["", "NOT_ENDED"]);
    assert_eq!(purge(false).await, ["", "NOT_ENDED"]);
    assert_eq!(purge(false).await, ["RESULT_EXPIRED", "NOT_ENDED"]);
}

/// Listings mask secrets, since they do not request individual outcomes.
#[tokio::test]
async fn lists_mask_the_secrets_of_outcomes() {
    let issue = async || dict! { "key": "open-sesame", "for": "Ann" };
    let sio = Sio::new()
        .output(Secret("key"))
        .output("for")
        .response_elem("issued");
    let issue = Definition::new("key.issue", issue).unwrap().sio(sio);
    let node = TestNode::start(Node::builder().register(issue)).await;
    let cid = node
        .client
        .invoke_async(Call::new("key.issue", ()))
        .await
        .unwrap()
        .cid;
    let found = node.client.invocation(cid, PATIENCE).await.unwrap();
    assert!(format!("{found:?}").contains("open-sesame"));
    let listed = node
        .client
        .invocations(v1::InvocationFilter::default(), 9)
        .await
        .unwrap();
    let printed = format!("{:?}", listed[0].outcome);
    assert!(
        !printed.contains("open-sesame") && printed.contains("Ann"),
        "{printed}"
    );
}
