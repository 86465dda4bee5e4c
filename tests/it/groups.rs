//! Fan-out: batches, the outcomes of their members in order, cancellation and retries.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::stream_results_response::Event;
use cidery::model::batch::{AcceptedGroup, Batch};
use cidery::model::call::{Call, Start};
use cidery::store::SqliteStore;
use cidery::{
    Cid, Context, Definition, Error, Input, Node, NodeBuilder, Payload, RetryPolicy,
    ServiceOptions, Value, dict,
};
use tokio::sync::Semaphore;

use crate::support::{Folder, TestNode, collect, ended, error_of, follow, until};

/// The inputs that the recording service received.
type Recorded = Arc<Mutex<Vec<Value>>>;

/// A node with a service that recorder.
async fn with_recorder(builder: NodeBuilder) -> (TestNode, Recorded) {
    let recorded = Recorded::default();
    let recorder = Arc::clone(&recorded);
    let record = Definition::new("test.record", move |input: Value| {
        recorder.lock().unwrap().push(input);
        std::future::ready(())
    });
    let node = TestNode::start(builder.demo().define(record.unwrap())).await;
    (node, recorded)
}

/// Three members, of which the second one fails.
fn mixed() -> Batch {
    let failing = dict! { "code": "NOT_FOUND", "message": "none" };
    Batch::of([
        ("customer.get", dict! { "cust_id": 1 }),
        ("demo.fail", failing),
        ("customer.get", dict! { "cust_id": 3 }),
    ])
}

fn states(outcomes: &Value) -> Vec<&str> {
    let Value::List(outcomes) = outcomes else {
        panic!("{outcomes:?}");
    };
    let states = outcomes.iter().map(|outcome| &outcome["state"]);
    states.map(|state| state.as_text().unwrap()).collect()
}

#[tokio::test]
async fn outcomes_are_in_the_order_of_requests_and_include_failures() {
    let (node, recorded) = with_recorder(Node::builder()).await;
    let group = node.client.invoke_batch(Batch {
        on_each: vec!["test.record".to_owned()],
        ..mixed()
    });
    let group = group.await.unwrap();
    assert!(!group.already_accepted);
    let outcomes = node.client.join(&group).await.unwrap();
    let cids: Vec<Cid> = outcomes.iter().map(|(cid, _)| *cid).collect();
    assert_eq!(cids, group.members);
    let [(_, first), (_, second), (_, third)] = outcomes.as_slice() else {
        panic!("{outcomes:?}");
    };
    assert!(first.is_ok() && third.is_ok());
    assert_eq!(second.as_ref().unwrap_err().message(), "none");
    let found = ended(&node.client, group.cid).await;
    assert_eq!(
        (found.state(), found.service.as_str()),
        (v1::State::Succeeded, "")
    );
    until("each outcome is recorded of", || {
        recorded.lock().unwrap().len() == 3
    })
    .await;
    let mut recorded = recorded.lock().unwrap().clone();
    recorded.sort_by_key(|outcome| outcome["position"].as_int());
    assert_eq!(recorded[0]["response"]["cust_id"], Value::from(1));
    assert_eq!(recorded[1]["state"], Value::from("FAILED"));
    assert_eq!(recorded[1]["error"]["code"], Value::from("NOT_FOUND"));
    assert_eq!(
        recorded[2]["cid"],
        Value::from(group.members[2].to_string())
    );
    for outcome in &recorded {
        assert_eq!(outcome["group_cid"], Value::from(group.cid.to_string()));
    }
}

#[tokio::test]
async fn on_final_is_invoked_once_with_all_outcomes_in_order() {
    let (node, recorded) = with_recorder(Node::builder()).await;
    let group = node.client.invoke_batch(Batch {
        on_final: vec!["test.record".to_owned()],
        ..mixed()
    });
    let group = group.await.unwrap();
    let all = async || {
        until("all outcomes are recorded of", || {
            !recorded.lock().unwrap().is_empty()
        })
        .await;
        recorded.lock().unwrap().remove(0)
    };
    let heard_of = all().await;
    assert_eq!(heard_of["group_cid"], Value::from(group.cid.to_string()));
    assert_eq!(heard_of["truncated"], Value::from(false));
    assert_eq!(
        (
            &heard_of["members"],
            &heard_of["succeeded"],
            &heard_of["failed"]
        ),
        (&3.into(), &2.into(), &1.into())
    );
    assert_eq!(
        states(&heard_of["outcomes"]),
        ["SUCCEEDED", "FAILED", "SUCCEEDED"]
    );
    assert_eq!(
        heard_of["outcomes"][2]["response"]["cust_id"],
        Value::from(3)
    );
    // A group without members ends immediately.
    let empty = Batch {
        on_final: vec!["test.record".to_owned()],
        ..Batch::default()
    };
    let empty = node.client.invoke_batch(empty).await.unwrap();
    assert!(node.client.join(&empty).await.unwrap().is_empty());
    let heard_of = all().await;
    assert_eq!(heard_of["members"], Value::from(0));
    let found = ended(&node.client, empty.cid).await;
    assert_eq!(found.state(), v1::State::Succeeded);
}

/// A service that blocks until the test releases it, and the number of running handlers.
fn blocked_service(name: &str) -> (Definition, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (gate, running) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (waits, counts) = (Arc::clone(&gate), Arc::clone(&running));
    let definition = Definition::new(name, move |input: Value| {
        let (gate, running) = (Arc::clone(&waits), Arc::clone(&counts));
        async move {
            running.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            input
        }
    });
    (definition.unwrap(), gate, running)
}

#[tokio::test]
async fn following_a_group_delivers_the_ends_of_its_members() {
    let (definition, gate, running) = blocked_service("test.held");
    let node = TestNode::start(Node::builder().define(definition)).await;
    let calls = (0..20).map(|n| ("test.held", dict! { "n": n }));
    let group = node.client.invoke_batch(Batch::of(calls)).await.unwrap();
    until("all members run at once", || {
        running.load(Ordering::SeqCst) == 20
    })
    .await;
    let found = node.client.invocation(group.cid, Duration::ZERO);
    let found = found.await.unwrap();
    assert_eq!(found.state(), v1::State::Running);
    assert_eq!(found.group.unwrap().members, 20);
    let early = node.stub.clone().stream_results(follow(group.cid)).await;
    let mut early = early.unwrap().into_inner();
    let first = early.message().await.unwrap().unwrap();
    assert!(matches!(first.event, Some(Event::Accepted(_))));
    gate.add_permits(5);
    let mut seen = vec![first];
    for _ in 0..5 {
        seen.push(early.message().await.unwrap().unwrap());
    }
    assert!(seen.iter().skip(1).all(is_member_end));
    gate.add_permits(15);
    let rest = collect(early).await;
    check_events(&group, seen.iter().chain(&rest));
    // A late subscriber receives the same events, and a resumed stream only new ones.
    let late = node.events(follow(group.cid)).await;
    check_events(&group, late.iter());
    let after = seen.iter().map(|event| (event.cid.clone(), event.sequence));
    let resumed = node.events(v1::StreamResultsRequest {
        after_sequences: after.collect(),
        ..follow(group.cid)
    });
    let resumed = resumed.await;
    assert_eq!(resumed.len(), 16);
    check_events(&group, seen.iter().chain(&resumed));
    // A member that is also followed by itself is delivered completely and once.
    let both = node.events(v1::StreamResultsRequest {
        cids: vec![group.members[3].to_string(), group.cid.to_string()],
        ..v1::StreamResultsRequest::default()
    });
    let both = both.await;
    assert_eq!(both.len(), 2 + 20 + 2);
    assert_eq!(both.last().unwrap().cid, group.cid.to_string());
}

fn is_member_end(event: &v1::StreamResultsResponse) -> bool {
    matches!(event.event, Some(Event::Succeeded(_)))
}

/// The group is accepted, each member ends once, and the group ends last.
fn check_events<'a>(
    group: &AcceptedGroup,
    events: impl Iterator<Item = &'a v1::StreamResultsResponse>,
) {
    let events: Vec<_> = events.collect();
    let (first, last) = (events.first().unwrap(), events.last().unwrap());
    let cid = group.cid.to_string();
    assert!(first.cid == cid && matches!(first.event, Some(Event::Accepted(_))));
    assert!(last.cid == cid && is_member_end(last), "{last:?}");
    let between = events.get(1..events.len() - 1).unwrap();
    assert!(between.iter().all(|event| is_member_end(event)));
    let ended: HashSet<_> = between.iter().map(|event| event.cid.clone()).collect();
    let members: HashSet<_> = group.members.iter().map(Cid::to_string).collect();
    assert_eq!((between.len(), ended), (group.members.len(), members));
}

#[tokio::test]
async fn a_group_is_cancelled_with_its_members() {
    let (definition, gate, running) = blocked_service("test.held");
    let definition = definition.options(ServiceOptions {
        concurrency: Some(2),
        ..ServiceOptions::default()
    });
    let node = TestNode::start(Node::builder().define(definition)).await;
    let calls = (0..10).map(|n| ("test.held", dict! { "n": n }));
    let group = node.client.invoke_batch(Batch::of(calls)).await.unwrap();
    gate.add_permits(1);
    until("three have run or run", || {
        running.load(Ordering::SeqCst) == 3
    })
    .await;
    let changes = node.client.cancel(group.cid, false).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert!(changes[0].failure.is_none(), "{changes:?}");
    let found = ended(&node.client, group.cid).await;
    let Some(v1::outcome::Outcome::Payload(summary)) = found.outcome.unwrap().outcome else {
        panic!("no summary");
    };
    let summary = cidery::codec::payload::decode(Payload::Struct(summary)).unwrap();
    assert_eq!(
        (&summary["succeeded"], &summary["cancelled"]),
        (&1.into(), &9.into())
    );
    let again = node.client.cancel(group.cid, false).await.unwrap();
    assert_eq!(again[0].failure.as_ref().unwrap().reason, "ENDED");
    let outcomes = node.client.join(&group).await.unwrap();
    let cancelled = outcomes.iter().filter(|(_, outcome)| outcome.is_err());
    assert_eq!(cancelled.count(), 9);
}

/// If a node stops while it cancels a group, the next node continues.
#[tokio::test]
async fn the_next_node_continues_the_cancellation_of_a_group() {
    let folder = Folder::new("cancelling");
    let start = async || {
        let store = SqliteStore::open(folder.path()).unwrap();
        TestNode::start(Node::builder().demo().store(store)).await
    };
    let node = start().await;
    let calls = (0..3).map(|n| {
        let mut call = Call::new("customer.get", dict! { "cust_id": n });
        call.durable().start = Some(Start::After(Duration::from_secs(3_600)));
        call
    });
    let group = node.client.invoke_batch(Batch::of(calls)).await.unwrap();
    // The state after a crash right after that.
    let store = node.handle.invoker().store();
    assert!(store.request_cancel(group.cid).await.unwrap());
    let found = node.client.invocation(group.cid, Duration::ZERO).await;
    let found = found.unwrap();
    assert!(found.state() == v1::State::Running && found.cancel_requested);
    node.handle.stop().await;
    drop((node.client, node.stub));
    let node = start().await;
    ended(&node.client, group.cid).await;
    for cid in group.members {
        let member = ended(&node.client, cid).await;
        assert_eq!(member.state(), v1::State::Cancelled);
    }
}

/// A cancellation that was pending at a crash is completed even where no worker serves the service.
#[tokio::test]
async fn a_pending_cancellation_needs_no_worker() {
    let folder = Folder::new("cancelling");
    let start = async || {
        let store = SqliteStore::open(folder.path()).unwrap();
        TestNode::start(Node::builder().store(store)).await
    };
    let node = start().await;
    let builder = cidery::Worker::builder().service("a.gone", async || {});
    let worker = builder.connect(&node.address().to_string()).await.unwrap();
    worker.stop().await;
    let call = Call::new("a.gone", dict! {});
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    // The state after a crash while the handler ran.
    let store = node.handle.invoker().store();
    assert!(store.request_cancel(cid).await.unwrap());
    node.handle.stop().await;
    drop((node.client, node.stub));
    let node = start().await;
    assert_eq!(ended(&node.client, cid).await.state(), v1::State::Cancelled);
}

async fn refused(node: &TestNode, request: v1::InvokeBatchRequest) -> Error {
    let answer = node.stub.clone().invoke_batch(request).await;
    error_of(&answer.unwrap_err())
}

fn request(service: &str, input: cidery::Dict) -> v1::InvokeAsyncRequest {
    let call = Call::new(service.to_owned(), input);
    cidery::codec::convert::async_call_to_proto(call).unwrap()
}

#[tokio::test]
async fn a_batch_is_accepted_as_a_whole_or_not_at_all() {
    let node = TestNode::demo().await;
    let fine = || request("customer.get", dict! { "cust_id": 1 });
    let batch = |requests| v1::InvokeBatchRequest {
        requests,
        ..v1::InvokeBatchRequest::default()
    };
    let unknown = batch(vec![fine(), request("no.such", dict! {})]);
    let error = refused(&node, unknown).await;
    assert_eq!(error.reason(), "SERVICE_UNKNOWN");
    assert_eq!(error.field_violations()[0].path, "/requests/1");
    // All violations at once, each with its path.
    let wrong = batch(vec![
        request("customer.get", dict! { "cust_id": "x" }),
        fine(),
        request("customer.get", dict! {}),
        request("no.such", dict! {}),
    ]);
    let error = refused(&node, wrong).await;
    assert_eq!(error.reason(), "REQUEST_INVALID");
    let violations = error.field_violations().iter();
    let violations: Vec<_> = violations.map(|it| (it.path.as_str(), &*it.code)).collect();
    assert_eq!(
        violations,
        [
            ("/requests/0/cust_id", "WRONG_TYPE"),
            ("/requests/2/cust_id", "MISSING"),
            ("/requests/3", "SERVICE_UNKNOWN"),
        ]
    );
    let malformed = v1::InvokeAsyncRequest {
        on_exhausted: 77,
        ..fine()
    };
    let error = refused(&node, batch(vec![fine(), malformed])).await;
    assert_eq!(error.field_violations()[0].path, "/requests/1/on_exhausted");
    let twice = v1::InvokeAsyncRequest {
        cid: Cid::new().to_string(),
        ..fine()
    };
    let error = refused(&node, batch(vec![twice.clone(), twice.clone()])).await;
    assert_eq!(error.field_violations()[0].path, "/requests/1/cid");
    let many = batch(vec![fine(); 10_001]);
    let error = refused(&node, many).await;
    assert_eq!(error.reason(), "BATCH_LIMIT");
    // A member that was accepted before belongs to another batch.
    let accepted = node.stub.clone().invoke_async(twice.clone()).await;
    accepted.unwrap();
    let error = refused(&node, batch(vec![fine(), twice])).await;
    assert_eq!(error.reason(), "CID_IN_USE");
    assert_eq!(error.field_violations()[0].path, "/requests/1");
    let no_callback = v1::InvokeBatchRequest {
        on_final: vec!["no.such".to_owned()],
        ..batch(vec![fine()])
    };
    assert_eq!(
        refused(&node, no_callback).await.reason(),
        "SERVICE_UNKNOWN"
    );
    let all = node
        .client
        .invocations(v1::InvocationFilter::default(), 100);
    assert_eq!(all.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_retried_batch_returns_the_first_group() {
    let node = TestNode::demo().await;
    let batch = || Batch {
        idempotency_key: Some("nightly".to_owned()),
        ..mixed()
    };
    let first = node.client.invoke_batch(batch()).await.unwrap();
    let again = node.client.invoke_batch(batch()).await.unwrap();
    assert!(again.already_accepted && !first.already_accepted);
    assert_eq!((again.cid, &again.members), (first.cid, &first.members));
    let mut other = batch();
    other.calls.pop();
    let error = node.client.invoke_batch(other).await.unwrap_err();
    assert_eq!(error.reason(), "IDEMPOTENCY_MISMATCH");
    let by_cid = Batch {
        cid: Some(first.cid),
        ..batch()
    };
    let by_cid = node.client.invoke_batch(by_cid).await.unwrap();
    assert!(by_cid.already_accepted);
    // This also holds where one of its members was removed.
    node.client.join(&first).await.unwrap();
    let purged = node.client.purge(first.members[1], false).await.unwrap();
    assert!(purged[0].failure.is_none(), "{purged:?}");
    let again = node.client.invoke_batch(batch()).await.unwrap();
    assert_eq!(again.members, first.members);
    let outcomes = node.client.join(&again).await.unwrap();
    let reason = |n: usize| outcomes[n].1.as_ref().err().map(Error::reason);
    assert_eq!(
        (reason(0), reason(1), reason(2)),
        (None, Some("RESULT_EXPIRED"), None)
    );
    // The CID of a group does not name an invocation of a service.
    let mut call = Call::new("customer.get", dict! { "cust_id": 1 });
    call.cid = Some(first.cid);
    let error = node.client.invoke_async(call).await.unwrap_err();
    assert_eq!(error.reason(), "IDEMPOTENCY_MISMATCH");
}

/// Fans out to itself recursively and sums up: its permit must be released while it waits.
async fn add_up(ctx: Context, Input(depth): Input<i64>) -> cidery::Result<i64> {
    if depth == 0 {
        return Ok(1);
    }
    let half = || ("test.add_up", Value::from(depth - 1));
    let calls = [half(), half()];
    let mut sum = 0;
    for outcome in ctx.fan_out(calls).once("halves").join().await? {
        sum += outcome?.parse::<i64>()?;
    }
    Ok(sum)
}

#[tokio::test]
async fn a_join_releases_the_permit_of_the_handler() {
    let definition = Definition::new("test.add_up", add_up).unwrap();
    let definition = definition.options(ServiceOptions {
        concurrency: Some(1),
        ..ServiceOptions::default()
    });
    let node = TestNode::start(Node::builder().define(definition)).await;
    let call = Call::new("test.add_up", Payload::Value(4.into()));
    let (_, reply) = node.client.invoke(call).await.unwrap();
    let sum = cidery::codec::payload::decode(reply.payload).unwrap();
    assert_eq!(sum, Value::from(16));
}

#[tokio::test]
async fn a_join_in_a_worker_releases_the_permit_of_the_worker() {
    let node = TestNode::start(Node::builder()).await;
    let worker = cidery::Worker::builder()
        .name("adds")
        .max_in_flight(1)
        .service("test.add_up", add_up)
        .connect(&node.address().to_string())
        .await
        .unwrap();
    let call = Call::new("test.add_up", Payload::Value(3.into()));
    let accepted = node.client.invoke_async(call).await.unwrap();
    let found = ended(&node.client, accepted.cid).await;
    assert_eq!(found.state(), v1::State::Succeeded, "{found:?}");
    // Both of its groups have it as their parent, and are listed.
    let children = node.client.invocations(
        v1::InvocationFilter {
            parent_cid: accepted.cid.to_string(),
            ..v1::InvocationFilter::default()
        },
        100,
    );
    let children = children.await.unwrap();
    let groups = children.iter().filter(|child| child.group.is_some());
    assert_eq!((children.len(), groups.count()), (3, 1));
    worker.stop().await;
}

/// A handler that waits for a group is cancelled with its own call.
#[tokio::test]
async fn a_join_is_cancelled_with_its_caller() {
    let (definition, gate, running) = blocked_service("test.held");
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let joins = move |ctx: Context| {
        let sender = sender.clone();
        async move {
            let calls = [("test.held", dict! { "n": 1 })];
            let joined = ctx.fan_out(calls).join().await;
            sender.send(joined.map(|outcomes| outcomes.len())).unwrap();
        }
    };
    let builder = Node::builder().define(definition);
    let node = TestNode::start(builder.service("test.joins", joins)).await;
    let mut call = Call::new("test.joins", ());
    call.timeout = Some(Duration::from_millis(200));
    let error = node.client.invoke(call).await.unwrap_err();
    assert_eq!(error.reason(), "DEADLINE_EXCEEDED");
    let joined = receiver.recv().await.unwrap();
    assert_eq!(joined.unwrap_err().reason(), "DEADLINE_EXCEEDED");
    // The members continue.
    until("the member runs", || running.load(Ordering::SeqCst) == 1).await;
    gate.add_permits(1);
}

#[tokio::test]
async fn once_accepts_a_group_once_for_all_attempts() {
    async fn twice(ctx: Context) -> cidery::Result<String> {
        let calls = [("cidery.echo", dict! { "n": 1 })];
        let group = ctx.fan_out(calls).once("calls").await?;
        assert_eq!(group.already_accepted(), ctx.attempt() > 1);
        if ctx.attempt() == 1 {
            return Err(Error::unavailable("TRY_AGAIN", "not yet"));
        }
        Ok(group.cid().to_string())
    }
    let node = TestNode::start(Node::builder().demo().service("test.twice", twice)).await;
    let mut call = Call::new("test.twice", ());
    call.durable().retry_policy = Some(RetryPolicy {
        initial_interval: Duration::from_millis(1),
        ..RetryPolicy::default()
    });
    let accepted = node.client.invoke_async(call).await.unwrap();
    let found = ended(&node.client, accepted.cid).await;
    assert_eq!(
        (found.state(), found.attempt),
        (v1::State::Succeeded, 2),
        "{found:?}"
    );
}

#[tokio::test]
async fn invoke_with_retry_retries_until_the_service_succeeds() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&calls);
    let flaky = Definition::new("test.flaky", move || {
        let calls = counts.fetch_add(1, Ordering::SeqCst);
        std::future::ready(match calls {
            0..2 => Err(Error::unavailable("BUSY", "busy")),
            2 => Ok("at last"),
            _ => Err(Error::invalid_argument("WRONG", "wrong")),
        })
    });
    async fn patient(ctx: Context) -> cidery::Result<String> {
        let policy = RetryPolicy {
            max_attempts: 3,
            initial_interval: Duration::from_millis(1),
            ..RetryPolicy::default()
        };
        let response = ctx.invoke_with_retry("test.flaky", ()).policy(policy).await;
        response?.parse()
    }
    async fn impatient(ctx: Context) -> cidery::Result<String> {
        let policy = RetryPolicy {
            max_attempts: 2,
            initial_interval: Duration::from_millis(1),
            ..RetryPolicy::default()
        };
        let response = ctx.invoke_with_retry("test.flaky", ()).policy(policy).await;
        response?.parse()
    }
    let builder = Node::builder()
        .define(flaky.unwrap())
        .service("test.patient", patient)
        .service("test.impatient", impatient);
    let node = TestNode::start(builder).await;
    let call = || Call::new("test.patient", ());
    node.client.invoke(call()).await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    // An error that the caller must fix is not retried.
    let error = node.client.invoke(call()).await.unwrap_err();
    assert_eq!((error.reason(), calls.load(Ordering::SeqCst)), ("WRONG", 4));
    // The policy limits the number of attempts.
    calls.store(0, Ordering::SeqCst);
    let fails = Call::new("test.impatient", ());
    let error = node.client.invoke(fails).await.unwrap_err();
    assert_eq!((error.reason(), calls.load(Ordering::SeqCst)), ("BUSY", 2));
}
