//! Asynchronous completion: outcomes that are delivered with a token after the handler has ended.

use std::sync::Arc;
use std::time::Duration;

use cidery::codec::payload;
use cidery::codec::proto::v1;
use cidery::model::call::{Call, DurableOptions};
use cidery::sio::{Int, Sio};
use cidery::store::SqliteStore;
use cidery::{
    Answer, Batch, Cid, Context, Definition, Dict, Error, Kind, Later, Node, NodeBuilder, Payload,
    Result, RetryPolicy, Value, Worker, dict,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::raw::spawn;
use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{Folder, TestNode, ended, failure, follow, names};

type Handle = (Cid, String);

/// A service that completes asynchronously unless the input has `now`, and sends its token to the test.
fn approve(tokens: UnboundedSender<Handle>) -> Definition {
    let handler = move |ctx: Context, input: Dict| {
        let tokens = tokens.clone();
        async move {
            if let Some(now) = input.get("now") {
                return Ok::<_, Error>(Answer::Now(dict! { "n": now.clone() }));
            }
            let later = ctx.later()?;
            let _ = tokens.send((later.cid(), later.token()));
            Ok(Answer::Later(later))
        }
    };
    let definition = Definition::new("a.approval", handler).unwrap();
    definition.sio(Sio::new().output(Int("n"))).concurrency(1)
}

fn builder() -> (NodeBuilder, UnboundedReceiver<Handle>) {
    let (tokens, handles) = unbounded_channel();
    (Node::builder().demo().register(approve(tokens)), handles)
}

async fn node() -> (TestNode, UnboundedReceiver<Handle>) {
    let (builder, handles) = builder();
    (TestNode::start(builder).await, handles)
}

fn call() -> Call {
    Call::new("a.approval", dict! {})
}

async fn accept(node: &TestNode, asked: DurableOptions) -> Cid {
    let mut call = call();
    call.durable = Some(Box::new(asked));
    node.client.invoke_async(call).await.unwrap().cid
}

/// Waits until the handler has returned `Later`.
async fn completion_pending(node: &TestNode, cid: Cid) -> v1::Invocation {
    loop {
        let found = node.client.invocation(cid, Duration::ZERO).await.unwrap();
        if found.waiting_for_completion {
            return found;
        }
    }
}

async fn complete(node: &TestNode, (cid, token): &Handle, n: i64) -> Result<v1::State> {
    let response = Payload::from(dict! { "n": n });
    node.client.complete(*cid, token, Ok(response)).await
}

#[tokio::test]
async fn a_completion_is_accepted_once() {
    let (node, mut handles) = node().await;
    let cid = accept(&node, DurableOptions::default()).await;
    let token = handles.recv().await.unwrap();
    assert_eq!(token.0, cid);
    let found = completion_pending(&node, cid).await;
    assert_eq!((found.state(), found.attempt), (v1::State::Running, 1));
    let running = v1::InvocationFilter {
        states: vec![v1::State::Running.into()],
        ..v1::InvocationFilter::default()
    };
    let listed = node.client.invocations(running, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    // The only permit is released.
    let now = Call::new("a.approval", dict! { "now": 7 });
    let (_, reply) = node.client.invoke(now).await.unwrap();
    assert_eq!(payload::decode(reply.payload).unwrap()["n"], Value::from(7));
    // An invalid outcome is rejected to its sender.
    let wrong = Payload::from(dict! { "n": "none" });
    let error = node.client.complete(cid, &token.1, Ok(wrong)).await;
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::InvalidArgument, "OUTPUT_INVALID")
    );
    assert_eq!(error.field_violations()[0].path, "/n");
    let other = "0".repeat(32);
    let error = complete(&node, &(cid, other), 1).await.unwrap_err();
    assert_eq!(error.reason(), "DISPATCH_VOID");
    let error = complete(&node, &(Cid::new(), token.1.clone()), 1).await;
    assert_eq!(error.unwrap_err().reason(), "CID_UNKNOWN");
    assert_eq!(
        complete(&node, &token, 1).await.unwrap(),
        v1::State::Succeeded
    );
    assert_eq!(
        complete(&node, &token, 1).await.unwrap(),
        v1::State::Succeeded
    );
    let error = complete(&node, &token, 2).await.unwrap_err();
    assert_eq!(
        error.reason(),
        "ENDED",
        "another outcome is not the one there is"
    );
    let late = Err(Error::internal("LATE", "too late"));
    let error = node.client.complete(cid, &token.1, late).await.unwrap_err();
    assert_eq!(error.reason(), "ENDED");
    let events = node.events(follow(cid)).await;
    assert_eq!(names(&events), ["accepted", "started", "succeeded"]);
}

/// A failure that is delivered asynchronously is retried like any other.
#[tokio::test]
async fn a_completion_with_a_failure_is_a_failed_attempt() {
    let (node, mut handles) = node().await;
    let asked = DurableOptions {
        retry_policy: Some(RetryPolicy {
            max_attempts: 2,
            initial_interval: Duration::from_millis(1),
            ..RetryPolicy::default()
        }),
        ..DurableOptions::default()
    };
    let cid = accept(&node, asked).await;
    let fail = async |token: &Handle| {
        let error = Error::unavailable("BANK_CLOSED", "come back");
        node.client.complete(token.0, &token.1, Err(error)).await
    };
    let first = handles.recv().await.unwrap();
    assert_eq!(fail(&first).await.unwrap(), v1::State::Pending);
    let second = handles.recv().await.unwrap();
    let error = complete(&node, &first, 1).await.unwrap_err();
    assert_eq!(error.reason(), "DISPATCH_VOID");
    assert_eq!(fail(&second).await.unwrap(), v1::State::Failed);
    let found = ended(&node.client, cid).await;
    assert_eq!(
        (found.attempt, failure(found).reason),
        (2, "BANK_CLOSED".to_owned())
    );
}

#[tokio::test]
async fn a_pending_completion_survives_a_crash_without_another_attempt() {
    let (folder, copy) = (Folder::new("later"), Folder::new("later"));
    let (first, mut handles) = builder();
    let node = TestNode::start(first.store(SqliteStore::open(folder.path()).unwrap())).await;
    let cid = accept(&node, DurableOptions::default()).await;
    let token = handles.recv().await.unwrap();
    completion_pending(&node, cid).await;
    // The state after SIGKILL.
    for file in ["cidery.db", "cidery.db-wal"] {
        std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    drop(node);
    let (second, mut given_again) = builder();
    let node = TestNode::start(second.store(SqliteStore::open(copy.path()).unwrap())).await;
    completion_pending(&node, cid).await;
    let error = complete(&node, &(cid, "1".repeat(32)), 1)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "DISPATCH_VOID");
    assert_eq!(
        complete(&node, &token, 3).await.unwrap(),
        v1::State::Succeeded
    );
    assert!(given_again.try_recv().is_err(), "it ran again");
    assert_eq!(ended(&node.client, cid).await.attempt, 1);
}

#[tokio::test]
async fn a_missing_completion_is_a_timeout() {
    let (node, mut handles) = node().await;
    let once = || RetryPolicy {
        max_attempts: 1,
        ..RetryPolicy::default()
    };
    let mut call = call();
    call.timeout = Some(Duration::from_millis(50));
    call.durable = Some(Box::new(DurableOptions {
        retry_policy: Some(once()),
        ..DurableOptions::default()
    }));
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    let token = handles.recv().await.unwrap();
    let found = ended(&node.client, cid).await;
    assert_eq!(failure(found).reason, "DEADLINE_EXCEEDED");
    let error = complete(&node, &token, 1).await.unwrap_err();
    assert_eq!(error.reason(), "ENDED");
    let asked = DurableOptions {
        deadline: Some(node.handle.invoker().now() + Duration::from_millis(300)),
        ..DurableOptions::default()
    };
    let cid = accept(&node, asked).await;
    let found = ended(&node.client, cid).await;
    assert_eq!(found.state(), v1::State::Failed);
}

#[tokio::test]
async fn an_invocation_that_waits_for_its_completion_is_cancelled_immediately() {
    let (node, mut handles) = node().await;
    let cid = accept(&node, DurableOptions::default()).await;
    let token = handles.recv().await.unwrap();
    completion_pending(&node, cid).await;
    let changes = node.client.cancel(cid, false).await.unwrap();
    assert_eq!(changes[0].state(), v1::State::Cancelled);
    let error = complete(&node, &token, 1).await.unwrap_err();
    assert_eq!(error.reason(), "ENDED");
}

/// An invocation that waits for its completion counts as running, stored or not, although it holds no permit.
#[tokio::test]
async fn an_invocation_that_waits_for_its_completion_counts_as_running() {
    let (node, mut handles) = node().await;
    let counts = async || {
        let services = node.client.services("a.approval").await.unwrap();
        (services[0].running, services[0].pending)
    };
    let cid = accept(&node, DurableOptions::default()).await;
    let stored = handles.recv().await.unwrap();
    completion_pending(&node, cid).await;
    assert_eq!(counts().await, (1, 0));
    let client = node.client.clone();
    let calling = spawn(async move { client.invoke(call()).await });
    let called = handles.recv().await.unwrap();
    // The handler has to end first, which releases its permit.
    while counts().await != (2, 0) {}
    complete(&node, &stored, 1).await.unwrap();
    complete(&node, &called, 1).await.unwrap();
    calling.await.unwrap().unwrap();
    assert_eq!(counts().await, (0, 0));
}

/// Invocations with the same concurrency key run one at a time, and one that waits for its completion counts as
/// running.
#[tokio::test]
async fn a_concurrency_key_is_busy_while_a_completion_is_pending() {
    let (node, mut handles) = node().await;
    let asked = || DurableOptions {
        concurrency_key: Some("x".to_owned()),
        ..DurableOptions::default()
    };
    let first = accept(&node, asked()).await;
    let token = handles.recv().await.unwrap();
    completion_pending(&node, first).await;
    let second = accept(&node, asked()).await;
    let found = node.client.invocation(second, Duration::ZERO).await;
    assert_eq!(found.unwrap().pending_reason(), v1::PendingReason::KeyBusy);
    assert!(handles.try_recv().is_err());
    complete(&node, &token, 1).await.unwrap();
    assert_eq!(handles.recv().await.unwrap().0, second);
}

#[tokio::test]
async fn a_synchronous_caller_receives_the_completion() {
    let (node, mut handles) = node().await;
    let client = node.client.clone();
    let calling = spawn(async move { client.invoke(call()).await });
    let token = handles.recv().await.unwrap();
    assert_eq!(
        complete(&node, &token, 5).await.unwrap(),
        v1::State::Succeeded
    );
    let (cid, reply) = calling.await.unwrap().unwrap();
    assert_eq!(cid, token.0);
    assert_eq!(payload::decode(reply.payload).unwrap()["n"], Value::from(5));
    // The token of a disconnected caller becomes invalid.
    let mut short = call();
    short.timeout = Some(Duration::from_millis(50));
    let error = node.client.invoke(short).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    let token = handles.recv().await.unwrap();
    let error = complete(&node, &token, 1).await.unwrap_err();
    assert_eq!(error.reason(), "CID_UNKNOWN");
}

/// A completion that arrives before the handler has ended waits for the handler.
#[tokio::test]
async fn a_completion_before_the_end_of_the_handler_waits() {
    let (tokens, mut handles) = unbounded_channel();
    let release = Arc::new(tokio::sync::Semaphore::new(0));
    let gate = Arc::clone(&release);
    let slow = move |ctx: Context| {
        let (tokens, gate) = (tokens.clone(), Arc::clone(&gate));
        async move {
            let later = ctx.later()?;
            let _ = tokens.send((later.cid(), later.token()));
            gate.acquire().await.map(|permit| permit.forget()).unwrap();
            Ok::<Later, Error>(later)
        }
    };
    let node = TestNode::start(Node::builder().service("a.approval", slow)).await;
    let node = Arc::new(node);
    for in_background in [true, false] {
        let client = node.client.clone();
        let calling = match in_background {
            true => spawn(async move { client.invoke_async(call()).await.map(|found| found.cid) }),
            false => spawn(async move { client.invoke(call()).await.map(|(cid, _)| cid) }),
        };
        let token = handles.recv().await.unwrap();
        let (asking, asked) = (Arc::clone(&node), token.clone());
        let completing = spawn(async move { complete(&asking, &asked, 1).await });
        let mut completing = completing;
        let early = tokio::time::timeout(Duration::from_millis(50), &mut completing).await;
        assert!(early.is_err(), "{early:?}");
        release.add_permits(1);
        assert_eq!(completing.await.unwrap().unwrap(), v1::State::Succeeded);
        assert_eq!(calling.await.unwrap().unwrap(), token.0);
    }
}

#[tokio::test]
async fn workers_support_asynchronous_completion() {
    let node = TestNode::start(Node::builder().demo()).await;
    let (tokens, mut handles) = unbounded_channel();
    let worker = Worker::builder().register(approve(tokens));
    let _worker = worker.connect(&node.address().to_string()).await.unwrap();
    let cid = accept(&node, DurableOptions::default()).await;
    let token = handles.recv().await.unwrap();
    assert_eq!(
        complete(&node, &token, 2).await.unwrap(),
        v1::State::Succeeded
    );
    assert_eq!(ended(&node.client, cid).await.state(), v1::State::Succeeded);
    let client = node.client.clone();
    let calling = spawn(async move { client.invoke(call()).await });
    let token = handles.recv().await.unwrap();
    assert_eq!(
        complete(&node, &token, 2).await.unwrap(),
        v1::State::Succeeded
    );
    calling.await.unwrap().unwrap();
}

/// With bare messages of the contract: the token is that of the dispatch.
#[tokio::test]
async fn asynchronous_completion_requires_the_capability_of_the_worker() {
    let node = TestNode::start(Node::builder().demo()).await;
    for can in [false, true] {
        let mut hello = hello("a.task");
        if can {
            hello.capabilities.push(v1::Capability::Later.into());
        }
        let mut worker = RawWorker::connect(node.address(), hello).await;
        let mut task = Call::new("a.task", dict! {});
        task.durable().retry_policy = Some(RetryPolicy {
            max_attempts: 1,
            ..RetryPolicy::default()
        });
        let cid = node.client.invoke_async(task).await.unwrap().cid;
        let dispatch = worker.dispatch().await;
        worker.send_result(v1::DispatchResult {
            token: dispatch.token.clone(),
            outcome: Some(v1::dispatch_result::Outcome::Later(v1::Later {})),
            ..v1::DispatchResult::default()
        });
        if !can {
            let found = ended(&node.client, cid).await;
            assert_eq!(failure(found).reason, "WORKER_PROTOCOL");
            continue;
        }
        let token = (cid, dispatch.token);
        assert_eq!(
            complete(&node, &token, 1).await.unwrap(),
            v1::State::Succeeded
        );
    }
}

/// The timeout needs no permit and no connected worker.
#[tokio::test]
async fn a_missing_completion_times_out_without_a_worker() {
    let node = TestNode::start(Node::builder().demo()).await;
    let (tokens, mut handles) = unbounded_channel();
    let worker = Worker::builder().register(approve(tokens));
    let worker = worker.connect(&node.address().to_string()).await.unwrap();
    let mut call = call();
    call.timeout = Some(Duration::from_millis(500));
    call.durable().retry_policy = Some(RetryPolicy {
        max_attempts: 1,
        ..RetryPolicy::default()
    });
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    handles.recv().await.unwrap();
    worker.stop().await;
    let found = ended(&node.client, cid).await;
    assert_eq!(failure(found).reason, "DEADLINE_EXCEEDED");
}

/// A handler that gives its token away, and answers "later" only when the test lets it.
fn hesitant(tokens: UnboundedSender<Handle>, go: Arc<tokio::sync::Notify>) -> Definition {
    let handler = move |ctx: Context, _: Dict| {
        let (tokens, go) = (tokens.clone(), Arc::clone(&go));
        async move {
            let later = ctx.later()?;
            let _ = tokens.send((later.cid(), later.token()));
            go.notified().await;
            Ok::<_, Error>(later)
        }
    };
    Definition::new("a.hesitant", handler).unwrap()
}

/// No poll and no timeout: on the paused clock a wait of any length would show.
#[tokio::test(start_paused = true)]
async fn a_wrong_token_is_void_at_once_while_the_handler_runs() {
    let (tokens, mut handles) = unbounded_channel();
    let go = Arc::new(tokio::sync::Notify::new());
    let definition = hesitant(tokens, Arc::clone(&go));
    let node = Node::builder().register(definition).start().await.unwrap();
    let invoker = node.invoker();
    let call = Call::new("a.hesitant", dict! {});
    let cid = invoker.invoke_async(call).await.unwrap().cid;
    let (_, token) = handles.recv().await.unwrap();

    let before = tokio::time::Instant::now();
    let reply = || Ok(Payload::from(dict! { "n": 1 }).into());
    let void = invoker.complete(cid, &"0".repeat(32), reply()).await;
    assert_eq!(void.unwrap_err().reason(), "DISPATCH_VOID");
    assert_eq!(before.elapsed(), Duration::ZERO);

    // The right one waits for the handler, and is woken when it answers.
    let mut complete = Box::pin(invoker.complete(cid, &token, reply()));
    assert!(futures_util::poll!(&mut complete).is_pending());
    go.notify_one();
    assert!(complete.await.unwrap().is_terminal());
    assert_eq!(before.elapsed(), Duration::ZERO);
}

/// Over gRPC, at a worker: the right token waits for the worker's answer, and any other one is void at once.
#[tokio::test]
async fn a_token_of_a_workers_dispatch_waits_for_its_answer_and_another_one_is_void() {
    let node = TestNode::start(Node::builder()).await;
    let mut hello = hello("a.task");
    hello.capabilities.push(v1::Capability::Later.into());
    let mut worker = RawWorker::connect(node.address(), hello).await;
    for is_stored in [true, false] {
        let call = || Call::new("a.task", dict! {});
        let calling = (!is_stored).then(|| {
            let client = node.client.clone();
            spawn(async move { client.invoke(call()).await })
        });
        if is_stored {
            node.client.invoke_async(call()).await.unwrap();
        }
        let dispatch = worker.dispatch().await;
        let cid = Cid::parse(&dispatch.cid).unwrap();
        node.client.invoke_async(call()).await.unwrap();
        let other = worker.dispatch().await;

        let void = complete(&node, &(cid, other.token.clone()), 1).await;
        let void = void.unwrap_err();
        let reasons = ["DISPATCH_VOID", "CID_UNKNOWN"];
        assert!(reasons.contains(&void.reason()), "{void:?}");
        let client = node.client.clone();
        let token = dispatch.token.clone();
        let completing = spawn(async move {
            let reply = Payload::from(dict! { "n": 1 });
            client.complete(cid, &token, Ok(reply)).await
        });
        let later = |token: String| v1::DispatchResult {
            token,
            outcome: Some(v1::dispatch_result::Outcome::Later(v1::Later {})),
            ..v1::DispatchResult::default()
        };
        worker.send_result(later(dispatch.token));
        let state = completing.await.unwrap().unwrap();
        assert_eq!(state, v1::State::Succeeded);
        if let Some(calling) = calling {
            calling.await.unwrap().unwrap();
        }
        worker.answer(&other.token, &dict! {});
    }
}

/// How many callbacks a call has is limited, and every list that is too long is named.
#[tokio::test]
async fn callbacks_are_limited_and_every_list_is_named() {
    let node = TestNode::start(Node::builder().demo()).await;
    let many = |n: usize| vec!["demo.sleep".to_owned(); n];
    let with = |n: usize, m: usize| {
        let mut call = Call::new("customer.get", dict! { "cust_id": 1 });
        call.durable().callbacks = many(n);
        call.durable().failure_callbacks = many(m);
        call
    };
    node.client.invoke_async(with(16, 16)).await.unwrap();
    let refused = node.client.invoke_async(with(17, 18)).await.unwrap_err();
    let paths = |error: &Error| {
        let violations = error.field_violations().iter();
        violations
            .map(|violation| format!("{} {}", violation.path, violation.code))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        paths(&refused),
        ["/callbacks TOO_MANY", "/failure_callbacks TOO_MANY"]
    );
    let batch = Batch {
        on_each: many(17),
        on_final: many(17),
        ..Batch::of([("customer.get", dict! { "cust_id": 1 })]).unwrap()
    };
    let refused = node.client.invoke_batch(batch).await.unwrap_err();
    assert_eq!(paths(&refused), ["/on_each TOO_MANY", "/on_final TOO_MANY"]);
}
