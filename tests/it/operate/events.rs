//! `WatchEvents`: each kind of event, filters, slow readers, and the end of the stream.

use std::sync::Arc;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::watch_events_response::Subject;
use cidery::engine::{EventBus, NodeEventKind, RING};
use cidery::model::call::{Call, Start};
use cidery::model::id::ServiceName;
use cidery::model::service_control::{ControlCause, Paused, ServiceControl};
use cidery::remote::client::NodeEvents;
use cidery::store::SqliteStore;
use cidery::{Context, Error, Kind, Node, RetryPolicy, Worker, dict};

use crate::support::gated::{GatedStore, Point};
use crate::support::{Folder, PATIENCE, TestNode, paths};

/// The stream of a request.
async fn watch(node: &TestNode, request: v1::WatchEventsRequest) -> NodeEvents {
    node.client.watch_events(request).await.unwrap()
}

async fn watch_all(node: &TestNode) -> NodeEvents {
    watch(node, v1::WatchEventsRequest::default()).await
}

async fn next(events: &mut NodeEvents) -> v1::WatchEventsResponse {
    let next = tokio::time::timeout(PATIENCE, events.next()).await;
    next.expect("no event").unwrap().expect("the stream ended")
}

/// The next event, which is of this kind and about this service or of this service.
#[track_caller]
fn check(event: &v1::WatchEventsResponse, kind: v1::EventKind, service: &str) {
    let of = match &event.subject {
        Some(Subject::Invocation(invocation)) => invocation.service.as_str(),
        Some(Subject::Service(control)) => control.service.as_str(),
        Some(Subject::Worker(worker)) => worker.services[0].as_str(),
        _ => "",
    };
    assert_eq!(
        (event.kind(), of, event.missed),
        (kind, service, 0),
        "{event:?}"
    );
    assert!(event.event_time.is_some());
}

fn invocation(event: v1::WatchEventsResponse) -> v1::Invocation {
    match event.subject {
        Some(Subject::Invocation(invocation)) => invocation,
        other => panic!("{other:?}"),
    }
}

fn never_retried(mut call: Call, hold: bool) -> Call {
    call.durable().on_exhausted = hold.then_some(cidery::OnExhausted::Hold);
    call.durable().retry_policy = Some(RetryPolicy::never());
    call
}

#[tokio::test]
async fn invocations_that_end_or_fail_are_events() {
    let folder = Folder::new("events");
    let store = SqliteStore::open(folder.path()).unwrap();
    let fails_once = async |ctx: Context| match ctx.attempt() {
        1 => Err(Error::unavailable("DOWN", "down").with_retry_after(Duration::ZERO)),
        _ => Ok(dict! { "text": "x".repeat(1_000) }),
    };
    let builder = Node::builder().store(store).service("a.flaky", fails_once);
    let node = TestNode::start(builder).await;
    let mut events = watch_all(&node).await;
    let call = || Call::new("a.flaky", dict! { "secret": "input" });
    let cid = node.client.invoke_async(call()).await.unwrap().cid;
    let failed = next(&mut events).await;
    check(&failed, v1::EventKind::AttemptFailed, "a.flaky");
    assert_eq!(failed.message, "down");
    let failed = invocation(failed);
    assert_eq!((&failed.cid, failed.attempt), (&cid.to_string(), 1));
    assert_eq!(failed.last_failure.unwrap().reason, "DOWN");
    let ended = next(&mut events).await;
    check(&ended, v1::EventKind::InvocationEnded, "a.flaky");
    let ended = invocation(ended);
    assert_eq!((ended.state(), ended.attempt), (v1::State::Succeeded, 2));
    assert_eq!(ended.outcome.unwrap().outcome, None, "without its payload");
    assert!(ended.end_time.is_some() && ended.input.is_none());
    // Without an attempt left: held, or failed.
    let held = never_retried(call(), true);
    let cid = node.client.invoke_async(held).await.unwrap().cid;
    let held = next(&mut events).await;
    check(&held, v1::EventKind::InvocationHeld, "a.flaky");
    assert_eq!(invocation(held).pending_reason(), v1::PendingReason::Held);
    node.client.cancel(cid, false).await.unwrap();
    let cancelled = next(&mut events).await;
    check(&cancelled, v1::EventKind::InvocationEnded, "a.flaky");
    assert_eq!(invocation(cancelled).state(), v1::State::Cancelled);
    let failed = never_retried(call(), false);
    node.client.invoke_async(failed).await.unwrap();
    let failed = next(&mut events).await;
    check(&failed, v1::EventKind::InvocationEnded, "a.flaky");
    assert_eq!(invocation(failed).state(), v1::State::Failed);
}

#[tokio::test]
async fn workers_that_come_and_go_are_events() {
    let node = TestNode::start(Node::builder()).await;
    let mut events = watch_all(&node).await;
    let address = node.address().to_string();
    let worker = || {
        Worker::builder()
            .name("w")
            .build_id("7")
            .service("a.task", async || {})
    };
    let first = worker().connect(&address).await.unwrap();
    let connected = next(&mut events).await;
    check(&connected, v1::EventKind::WorkerConnected, "a.task");
    let Some(Subject::Worker(shown)) = connected.subject else {
        panic!("{connected:?}");
    };
    assert_eq!((&*shown.name, &*shown.build_id), ("w", "7"));
    assert!(!shown.id.is_empty() && !shown.capabilities.is_empty());
    check(
        &next(&mut events).await,
        v1::EventKind::ServiceServed,
        "a.task",
    );
    let second = worker().connect(&address).await.unwrap();
    check(
        &next(&mut events).await,
        v1::EventKind::WorkerConnected,
        "a.task",
    );
    // The second one still serves the service.
    first.stop().await;
    check(
        &next(&mut events).await,
        v1::EventKind::WorkerDraining,
        "a.task",
    );
    let left = next(&mut events).await;
    check(&left, v1::EventKind::WorkerDisconnected, "a.task");
    assert_eq!(left.message, "it left");
    second.stop().await;
    check(
        &next(&mut events).await,
        v1::EventKind::WorkerDraining,
        "a.task",
    );
    check(
        &next(&mut events).await,
        v1::EventKind::ServiceUnserved,
        "a.task",
    );
    check(
        &next(&mut events).await,
        v1::EventKind::WorkerDisconnected,
        "a.task",
    );
    node.client.forget_service("a.task").await.unwrap();
    check(
        &next(&mut events).await,
        v1::EventKind::ServiceForgotten,
        "a.task",
    );
}

/// The node itself serves a demo service before a worker does, and after.
#[tokio::test]
async fn a_demo_service_is_served_again_after_its_worker() {
    let node = TestNode::demo().await;
    let mut events = watch_all(&node).await;
    let address = node.address().to_string();
    let demo = Worker::builder().service("customer.get", async || {});
    demo.connect(&address).await.unwrap().stop().await;
    check(
        &next(&mut events).await,
        v1::EventKind::WorkerConnected,
        "customer.get",
    );
    let mut kinds = Vec::new();
    while kinds.last() != Some(&v1::EventKind::ServiceServed) {
        kinds.push(next(&mut events).await.kind());
    }
    let expected = [
        v1::EventKind::WorkerDraining,
        v1::EventKind::ServiceUnserved,
        v1::EventKind::WorkerDisconnected,
        v1::EventKind::ServiceServed,
    ];
    assert_eq!(kinds, expected);
}

/// What operators did, in this order.
fn tell(bus: &EventBus) {
    let name = |name: &str| ServiceName::parse(name).unwrap();
    let by = |reason: &str| ControlCause {
        reason: reason.to_owned(),
        principal: "192.0.2.1".to_owned(),
    };
    bus.node_resumed("192.0.2.1");
    let cause = by("the CRM is down");
    let paused = Paused {
        background_only: false,
        cause: cause.clone(),
        time: jiff::Timestamp::UNIX_EPOCH,
    };
    let paused = ServiceControl {
        paused: Some(paused),
        ..ServiceControl::none(name("a.paused"))
    };
    bus.service_controlled(NodeEventKind::ServicePaused, &paused, &cause);
    let other = ServiceControl::none(name("a.other"));
    bus.service_controlled(NodeEventKind::ServiceResumed, &other, &by(""));
    bus.operation_ended(v1::Operation::default);
}

#[tokio::test]
async fn events_are_filtered_by_kind_service_and_state() {
    let node = TestNode::demo().await;
    let of = |kinds: &[v1::EventKind], filter: v1::InvocationFilter| v1::WatchEventsRequest {
        kinds: kinds.iter().copied().map(i32::from).collect(),
        filter: Some(filter),
        ..v1::WatchEventsRequest::default()
    };
    let failed = v1::InvocationFilter {
        states: vec![v1::State::Failed.into()],
        ..v1::InvocationFilter::default()
    };
    let of_service = v1::InvocationFilter {
        services: vec!["demo.count".to_owned(), "a.paused".to_owned()],
        ..v1::InvocationFilter::default()
    };
    let mut failed = watch(&node, of(&[], failed)).await;
    let mut of_service = watch(&node, of(&[], of_service)).await;
    let kinds = [
        v1::EventKind::InvocationEnded,
        v1::EventKind::ServiceResumed,
    ];
    let mut of_kind = watch(&node, of(&kinds, v1::InvocationFilter::default())).await;
    let bus = node.handle.invoker().event_bus();
    // In this order. Workers and the node have neither a state nor a service.
    let count = Call::new("demo.count", dict! { "to": 1 });
    node.client.invoke_async(count).await.unwrap();
    check(
        &next(&mut of_kind).await,
        v1::EventKind::InvocationEnded,
        "demo.count",
    );
    let fail = Call::new("demo.fail", dict! { "code": "NOT_FOUND" });
    node.client.invoke_async(fail).await.unwrap();
    check(
        &next(&mut of_kind).await,
        v1::EventKind::InvocationEnded,
        "demo.fail",
    );
    tell(bus);
    check(
        &next(&mut of_kind).await,
        v1::EventKind::ServiceResumed,
        "a.other",
    );
    check(
        &next(&mut of_service).await,
        v1::EventKind::InvocationEnded,
        "demo.count",
    );
    let paused = next(&mut of_service).await;
    check(&paused, v1::EventKind::ServicePaused, "a.paused");
    assert_eq!(paused.principal, "192.0.2.1");
    let Some(Subject::Service(control)) = paused.subject else {
        panic!("{paused:?}");
    };
    assert_eq!(
        (control.paused, &*control.reason),
        (true, "the CRM is down")
    );
    // Events of services match by the name alone.
    let expected = [
        (v1::EventKind::InvocationEnded, "demo.fail"),
        (v1::EventKind::ServicePaused, "a.paused"),
        (v1::EventKind::ServiceResumed, "a.other"),
    ];
    for (kind, service) in expected {
        check(&next(&mut failed).await, kind, service);
    }
}

#[tokio::test]
async fn criteria_that_are_wrong_are_refused_all_at_once() {
    let node = TestNode::demo().await;
    let refused = async |request: v1::WatchEventsRequest| {
        node.client.watch_events(request).await.unwrap_err()
    };
    let error = refused(v1::WatchEventsRequest {
        kinds: vec![1, 0, 999],
        ..v1::WatchEventsRequest::default()
    })
    .await;
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::InvalidArgument, "REQUEST_INVALID")
    );
    assert_eq!(paths(&error), ["/kinds/1", "/kinds/2"]);
    let error = refused(v1::WatchEventsRequest {
        filter_expression: "nonsense = a".to_owned(),
        ..v1::WatchEventsRequest::default()
    })
    .await;
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::InvalidArgument, "REQUEST_INVALID")
    );
}

#[tokio::test]
async fn only_so_many_callers_watch_at_once() {
    let builder = Node::builder().limits(|limits| limits.event_watchers = 2);
    let node = TestNode::start(builder).await;
    let first = watch_all(&node).await;
    let _second = watch_all(&node).await;
    let client = node.client.clone().max_attempts(1);
    let third = client.watch_events(v1::WatchEventsRequest::default()).await;
    let error = third.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::ResourceExhausted, "STREAM_LIMIT")
    );
    assert_eq!(error.fact("event_watchers"), Some("2"));
    // One that leaves makes room.
    drop(first);
    let again = async {
        while let Err(error) = client.watch_events(v1::WatchEventsRequest::default()).await {
            assert_eq!(error.reason(), "STREAM_LIMIT");
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
}

/// The ring has so many events, whatever a watcher reads; what it misses is counted, to the last one.
#[tokio::test]
async fn a_slow_watcher_misses_events_and_is_told_how_many() {
    const SENT: u64 = 100_000;
    let node = TestNode::start(Node::builder()).await;
    let invoker = node.handle.invoker();
    let mut in_process = invoker.watch_events().unwrap();
    let mut stream = watch_all(&node).await;
    let name = ServiceName::parse("a.task").unwrap();
    for _ in 0..SENT {
        invoker.event_bus().service_served(&name);
    }
    let ring = u64::try_from(RING).unwrap();
    let first = in_process.next(|_| true).await.unwrap();
    assert_eq!(first.missed, SENT - ring);
    for _ in 1..ring {
        let next = in_process.next(|_| true).await.unwrap();
        assert_eq!((next.missed, next.event.is_some()), (0, true));
    }
    // One that matches nothing learns that it missed events, too.
    let (mut received, mut missed) = (0, 0);
    while received + missed < SENT {
        let response = next(&mut stream).await;
        missed += response.missed;
        received += u64::from(response.event_time.is_some());
    }
    assert_eq!(received + missed, SENT);
    assert!(missed > 0 && received >= ring, "{received} {missed}");
}

#[tokio::test]
async fn a_watcher_whose_events_do_not_match_learns_what_it_missed() {
    let node = TestNode::start(Node::builder()).await;
    let invoker = node.handle.invoker();
    let mut watcher = invoker.watch_events().unwrap();
    let name = ServiceName::parse("a.task").unwrap();
    for _ in 0..=RING {
        invoker.event_bus().service_served(&name);
    }
    let is_resumed =
        |event: &cidery::engine::NodeEvent| event.kind == NodeEventKind::ServiceResumed;
    let only = watcher.next(is_resumed).await.unwrap();
    assert_eq!((only.missed, only.event.is_none()), (1, true));
    let cause = ControlCause::default();
    let bus = invoker.event_bus();
    bus.service_controlled(
        NodeEventKind::ServiceResumed,
        &ServiceControl::none(name),
        &cause,
    );
    let resumed = watcher.next(is_resumed).await.unwrap();
    assert_eq!((resumed.missed, resumed.event.is_some()), (0, true));
}

/// An event that is sent too early could tell of what a crash undoes.
#[tokio::test]
async fn an_event_follows_its_record() {
    let (store, gates) = GatedStore::new();
    let node = TestNode::start(Node::builder().store(store).service("a.task", async || {})).await;
    let mut watcher = node.handle.invoker().watch_events().unwrap();
    let gate = gates.close(Point::AfterRecord);
    let call = Call::new("a.task", ());
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    gate.arrived().await;
    let is_early = {
        let mut next = Box::pin(watcher.next(|_| true));
        futures_util::poll!(&mut next).is_ready()
    };
    assert!(!is_early, "before the store has answered");
    gate.open();
    let ended = tokio::time::timeout(PATIENCE, watcher.next(|_| true)).await;
    assert_eq!(
        ended.unwrap().unwrap().event.unwrap().kind,
        NodeEventKind::InvocationEnded
    );
    let found = node.client.invocation(cid, Duration::ZERO).await.unwrap();
    assert_eq!(found.state(), v1::State::Succeeded);
}

/// Nothing is in neither, where the stream is opened before the list.
#[tokio::test]
async fn nothing_is_missed_between_the_stream_and_the_list() {
    let node = TestNode::demo().await;
    let call = || Call::new("demo.count", dict! { "to": 1 });
    let mut sent = Vec::new();
    for _ in 0..20 {
        sent.push(
            node.client
                .invoke_async(call())
                .await
                .unwrap()
                .cid
                .to_string(),
        );
    }
    let request = v1::WatchEventsRequest {
        kinds: vec![v1::EventKind::InvocationEnded.into()],
        ..v1::WatchEventsRequest::default()
    };
    let mut events = watch(&node, request).await;
    let ended = v1::InvocationFilter {
        states: vec![v1::State::Succeeded.into()],
        ..v1::InvocationFilter::default()
    };
    let listed = node.client.invocations(ended, usize::MAX).await.unwrap();
    let mut seen: Vec<String> = listed.into_iter().map(|found| found.cid).collect();
    while sent.iter().any(|cid| !seen.contains(cid)) {
        seen.push(invocation(next(&mut events).await).cid);
    }
}

#[tokio::test]
async fn the_stream_ends_with_a_status_when_the_node_stops() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let of_handler = Arc::clone(&gate);
    let slow = move || {
        let gate = Arc::clone(&of_handler);
        async move { gate.acquire().await.unwrap().forget() }
    };
    let node = TestNode::start(Node::builder().service("a.slow", slow)).await;
    let mut events = watch_all(&node).await;
    let mut later = Call::new("a.slow", ());
    later.durable().start = Some(Start::After(Duration::from_hours(1)));
    node.client.invoke_async(later).await.unwrap();
    node.client
        .invoke_async(Call::new("a.slow", ()))
        .await
        .unwrap();
    let invoker = node.handle.invoker().clone();
    crate::support::until("it runs", || invoker.running_handlers() == 1).await;
    let stopped = crate::support::raw::spawn(node.handle.stop());
    check(&next(&mut events).await, v1::EventKind::NodeDraining, "");
    // What ends meanwhile is an event.
    gate.add_permits(1);
    check(
        &next(&mut events).await,
        v1::EventKind::InvocationEnded,
        "a.slow",
    );
    let end = tokio::time::timeout(PATIENCE, events.next()).await.unwrap();
    let error = end.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Unavailable, "NODE_STOPPING")
    );
    stopped.await.unwrap();
}
