//! Nested calls of handlers in workers, background work on several workers, and traces of failures.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::sio::{Int, Sio, Text};
use cidery::{Cid, Context, Definition, Error, Node, RetryPolicy, Worker, WorkerHandle, dict};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::support::binary::{cidery, stdout};
use crate::support::proxy::Proxy;
use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{TestNode, ended, failure, follow, names, until};

/// A nested call is retried when the connection is cut. The attempt of its handler is not.
#[tokio::test]
async fn nested_calls_are_retried_over_a_cut_connection() {
    let node = TestNode::start(Node::builder().demo()).await;
    let proxy = Proxy::to(node.address()).await;
    let gate = Arc::new(Semaphore::new(0));
    let open = Arc::clone(&gate);
    let calls = move |ctx: Context| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            let found = ctx.invoke("customer.get", dict! { "cust_id": 1 }).await?;
            let cid = ctx.invoke_async("customer.get", dict! { "cust_id": 2 });
            let cid = cid.await?.to_string();
            let group = ctx.fan_out([("customer.get", dict! { "cust_id": 3 })]);
            let members = group.join().await?.len();
            let answer = dict! {
                "name": found.at::<String>("cust_name")?,
                "cid": cid,
                "members": members as u64,
            };
            Ok::<_, Error>(answer)
        }
    };
    let builder = Worker::builder().service("a.calls", calls);
    let worker = builder.connect(&proxy.address.to_string()).await.unwrap();
    let accepted = node.client.invoke_async(Call::new("a.calls", ()));
    let cid = accepted.await.unwrap().cid;
    until("it runs", || worker.in_flight() == 1).await;
    proxy.cut();
    // A call that was sent before the connection broke may have been processed, and is not retried.
    until("the worker reconnects", || proxy.refused() > 0).await;
    open.add_permits(1);
    until("connections are refused", || proxy.refused() > 3).await;
    proxy.restore();
    let found = ended(&node.client, cid).await;
    let events = node.events(follow(cid)).await;
    assert_eq!(names(&events), ["accepted", "started", "succeeded"]);
    let Some(v1::outcome::Outcome::Payload(answer)) = found.outcome.unwrap().outcome else {
        panic!("no dict");
    };
    let answer = cidery::codec::payload::decode(cidery::Payload::Struct(answer)).unwrap();
    assert_eq!(
        (&answer["name"], &answer["members"]),
        (&"Alexis Smith".into(), &1.into())
    );
    let child = Cid::parse(answer["cid"].as_text().unwrap()).unwrap();
    assert_eq!(ended(&node.client, child).await.parent_cid, cid.to_string());
}

/// All attempts of a call have one CID, which its failure names.
#[tokio::test]
async fn a_call_that_reaches_no_node_has_a_cid() {
    let node = TestNode::demo().await;
    let client = ContractClient::connect(&node.address().to_string())
        .await
        .unwrap();
    node.handle.stop().await;
    let error = client
        .max_attempts(2)
        .invoke(Call::new("cidery.echo", ()))
        .await;
    let error = error.unwrap_err();
    assert_eq!(error.reason(), "CONNECT_FAILED");
    assert!(error.cid().is_some(), "{error:?}");
}

/// An attempt that runs beyond its timeout and the grace period ends when an operator cancels it.
#[tokio::test]
async fn an_attempt_that_hangs_at_a_worker_can_be_cancelled() {
    const GRACE: Duration = Duration::from_millis(50);
    const TIMEOUT: Duration = Duration::from_millis(20);
    let limits = |limits: &mut cidery::engine::Limits| limits.grace = GRACE;
    let node = TestNode::start(Node::builder().limits(limits)).await;
    let mut worker = RawWorker::connect(node.address(), hello("a.task")).await;
    // The worker also has a dispatch that is not overdue: otherwise it would lose its stream.
    let mut patient = Call::new("a.task", ());
    patient.timeout = Some(Duration::from_secs(600));
    node.client.invoke_async(patient).await.unwrap();
    worker.dispatch().await;
    let mut hangs = Call::new("a.task", ());
    hangs.timeout = Some(TIMEOUT);
    let cid = node.client.invoke_async(hangs).await.unwrap().cid;
    let dispatch = worker.dispatch().await;
    let start = Instant::now();
    while start.elapsed() < (TIMEOUT + GRACE) * 2 {
        let found = node.client.invocation(cid, Duration::ZERO).await.unwrap();
        assert_eq!(found.state(), v1::State::Running);
    }
    node.client.cancel(cid, false).await.unwrap();
    assert_eq!(ended(&node.client, cid).await.state(), v1::State::Cancelled);
    worker.answer(&dispatch.token, &dict! {});
    assert_eq!(worker.refused().await.token, dispatch.token);
}

/// The key of `once` depends on the path of services within the invocation, wherever the handlers run.
#[tokio::test]
async fn once_accepts_one_invocation_for_each_path() {
    async fn item(ctx: Context) -> cidery::Result<String> {
        let child = ctx.invoke_async("customer.get", dict! { "cust_id": 1 });
        Ok(child.once("child").await?.to_string())
    }
    async fn mid(ctx: Context) -> cidery::Result<String> {
        ctx.invoke("t.item", ()).await?.parse()
    }
    async fn order(ctx: Context) -> cidery::Result<Vec<String>> {
        let mut cids = Vec::new();
        for service in ["t.item", "t.mid", "t.item"] {
            cids.push(ctx.invoke(service, ()).await?.parse()?);
        }
        Ok(cids)
    }
    let in_node = Node::builder().demo().service("t.item", item);
    let in_node = in_node.service("t.mid", mid).service("t.order", order);
    let node = TestNode::start(in_node).await;
    let other_node = TestNode::start(Node::builder().demo()).await;
    let worker = Worker::builder().service("t.item", item);
    let worker = worker.service("t.mid", mid).service("t.order", order);
    let address = other_node.address().to_string();
    let _worker = worker.connect(&address).await.unwrap();
    for node in [&node, &other_node] {
        let accepted = node.client.invoke_async(Call::new("t.order", ()));
        let cid = accepted.await.unwrap().cid;
        let Some(v1::outcome::Outcome::Value(cids)) =
            ended(&node.client, cid).await.outcome.unwrap().outcome
        else {
            panic!("no list");
        };
        let cids = cidery::codec::struct_pb::decode_value(&cids).unwrap();
        let cids = cids.as_list().unwrap();
        assert!(cids[0] == cids[2] && cids[0] != cids[1], "{cids:?}");
    }
}

/// A follow-up with an idempotency key has the CID of the first one, from a worker too.
#[tokio::test]
async fn a_follow_up_with_a_key_has_one_cid() {
    async fn welcomes(ctx: Context) -> cidery::Result<String> {
        let next = ctx.invoke_async("customer.get", dict! { "cust_id": 1 });
        let next = next.with_outcome().idempotency_key("welcome").await?;
        Ok(next.to_string())
    }
    let node = TestNode::start(Node::builder().demo()).await;
    let worker = Worker::builder().service("a.welcomes", welcomes);
    let _worker = worker.connect(&node.address().to_string()).await.unwrap();
    let mut cids = Vec::new();
    for _ in 0..2 {
        let accepted = node.client.invoke_async(Call::new("a.welcomes", ()));
        let found = ended(&node.client, accepted.await.unwrap().cid).await;
        let Some(v1::outcome::Outcome::Value(cid)) = found.outcome.unwrap().outcome else {
            panic!("no text");
        };
        let cid = cidery::codec::struct_pb::decode_value(&cid).unwrap();
        cids.push(Cid::parse(cid.as_text().unwrap()).unwrap());
    }
    assert_eq!(cids[0], cids[1]);
    assert_eq!(ended(&node.client, cids[0]).await.service, "customer.get");
    // The same key with another input is refused.
    async fn differs(ctx: Context) -> cidery::Result<()> {
        let next = ctx.invoke_async("customer.get", dict! { "cust_id": 2 });
        next.with_outcome().idempotency_key("welcome").await?;
        Ok(())
    }
    let worker = Worker::builder().service("a.differs", differs);
    let _other = worker.connect(&node.address().to_string()).await.unwrap();
    let accepted = node.client.invoke_async(Call::new("a.differs", ()));
    let cid = accepted.await.unwrap().cid;
    let failed = failure(ended(&node.client, cid).await);
    assert_eq!(failed.reason, "IDEMPOTENCY_MISMATCH");
}

/// A worker of `a.task` with this declaration and this many permits. Its handler waits for a permit of `gate`.
async fn serve_gated(
    node: &TestNode,
    sio: Sio,
    max_in_flight: u32,
    gate: &Arc<Semaphore>,
) -> WorkerHandle {
    let gate = Arc::clone(gate);
    let handler = move || {
        let gate = Arc::clone(&gate);
        async move { gate.acquire().await.unwrap().forget() }
    };
    let definition = Definition::new("a.task", handler).unwrap().sio(sio);
    let worker = Worker::builder()
        .register(definition)
        .max_in_flight(max_in_flight);
    worker.connect(&node.address().to_string()).await.unwrap()
}

/// A call that waits for the only compatible worker holds no permit: other calls run on an idle worker meanwhile.
#[tokio::test]
async fn a_call_that_waits_for_a_compatible_worker_holds_no_permit() {
    let limits = |limits: &mut cidery::engine::Limits| limits.concurrency = 2;
    let node = TestNode::start(Node::builder().limits(limits)).await;
    let (open, closed) = (Arc::new(Semaphore::new(100)), Arc::new(Semaphore::new(0)));
    let _old = serve_gated(&node, Sio::new().input(Int("n")), 1, &open).await;
    let new = serve_gated(&node, Sio::new().input(Text("name")), 1, &closed).await;
    let for_new = || Call::new("a.task", dict! { "name": "x" });
    let for_both = || Call::new("a.task", dict! { "name": "x", "n": 1 });
    let mut accepted = Vec::new();
    for _ in 0..3 {
        accepted.push(node.client.invoke_async(for_new()).await.unwrap().cid);
    }
    until("one runs", || new.in_flight() == 1).await;
    let queued = || {
        node.handle
            .invoker()
            .service("a.task")
            .unwrap()
            .status
            .queued
    };
    until("the others wait", || queued() == 2).await;
    node.client.invoke(for_both()).await.unwrap();
    let cid = node.client.invoke_async(for_both()).await.unwrap().cid;
    assert_eq!(ended(&node.client, cid).await.state(), v1::State::Succeeded);
    assert_eq!((new.in_flight(), queued()), (1, 2));
    closed.add_permits(3);
    for cid in accepted {
        assert_eq!(ended(&node.client, cid).await.state(), v1::State::Succeeded);
    }
}

#[tokio::test]
async fn a_call_that_waits_for_a_compatible_worker_can_be_cancelled() {
    let node = TestNode::start(Node::builder()).await;
    let address = node.address().to_string();
    let (open, runs) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let serve = async |sio: Sio, max_in_flight: u32| {
        let (gate, counted) = (Arc::clone(&open), Arc::clone(&runs));
        let handler = move || {
            let (gate, counted) = (Arc::clone(&gate), Arc::clone(&counted));
            async move {
                counted.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
            }
        };
        let definition = Definition::new("a.task", handler).unwrap().sio(sio);
        let worker = Worker::builder()
            .register(definition)
            .max_in_flight(max_in_flight);
        worker.connect(&address).await.unwrap()
    };
    let _old = serve(Sio::new().input(Int("n")), 100).await;
    let _new = serve(Sio::new().input(Text("name")), 1).await;
    let call = || Call::new("a.task", dict! { "name": "x" });
    let first = node.client.invoke_async(call()).await.unwrap().cid;
    until("it runs", || runs.load(Ordering::SeqCst) == 1).await;
    let second = node.client.invoke_async(call()).await.unwrap().cid;
    // It holds neither a local permit nor a permit of the worker.
    let invoker = node.handle.invoker();
    let waiting = || invoker.service("a.task").unwrap().status.queued;
    until("it waits", || waiting() == 1).await;
    assert_eq!(invoker.running_handlers(), 1);
    node.client.cancel(second, false).await.unwrap();
    open.add_permits(2);
    assert_eq!(
        ended(&node.client, first).await.state(),
        v1::State::Succeeded
    );
    assert_eq!(
        ended(&node.client, second).await.state(),
        v1::State::Cancelled
    );
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

/// A new declaration is rolled out and rolled back over a queue: each invocation runs once, on a compatible worker.
#[tokio::test]
async fn a_queue_survives_a_new_declaration_and_its_rollback() {
    const EACH: usize = 200;
    let node = TestNode::start(Node::builder()).await;
    let (closed, open) = (
        Arc::new(Semaphore::new(0)),
        Arc::new(Semaphore::new(10_000)),
    );
    let accept = async |input: cidery::Dict| {
        let mut accepted = Vec::new();
        for _ in 0..EACH {
            let call = Call::new("a.task", input.clone());
            accepted.push(node.client.invoke_async(call).await.unwrap().cid);
        }
        accepted
    };
    let all_ran = async |accepted: Vec<Cid>| {
        for cid in accepted {
            let found = ended(&node.client, cid).await;
            assert_eq!((found.state(), found.attempt), (v1::State::Succeeded, 1));
        }
    };
    let old = || Sio::new().input(Int("n"));
    let first = serve_gated(&node, old(), 4, &closed).await;
    let old_work = accept(dict! { "n": 1 }).await;
    until("four run", || first.in_flight() == 4).await;
    let new = serve_gated(&node, Sio::new().input(Text("name")), 4, &open).await;
    closed.add_permits(4);
    first.stop().await;
    let new_work = accept(dict! { "name": "x" }).await;
    all_ran(new_work).await;
    let waiting = node.client.describe("a.task").await.unwrap();
    assert!(
        waiting.pending > 0,
        "the old work ran on an incompatible worker"
    );
    let _back = serve_gated(&node, old(), 4, &open).await;
    new.stop().await;
    all_ran(old_work).await;
}

/// The trace of a failure is for operators: `explain` shows it, and no response contains it.
#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_failure_is_in_explain_and_in_no_response() {
    let node = TestNode::start(Node::builder()).await;
    let fails = async || {
        let inner = std::io::Error::other("the disk is on fire");
        Err::<(), Error>(Error::undeclared(inner))
    };
    let panics = async || -> cidery::Result<()> { panic!("out of coffee") };
    let builder = Worker::builder().service("a.fails", fails);
    let builder = builder.service("a.panics", panics);
    let address = node.address().to_string();
    let _worker = builder.connect(&address).await.unwrap();
    for (service, secret) in [
        ("a.fails", "the disk is on fire"),
        ("a.panics", "out of coffee"),
    ] {
        let mut call = Call::new(service, ());
        call.durable().retry_policy = Some(RetryPolicy {
            max_attempts: 2,
            initial_interval: Duration::from_millis(1),
            ..RetryPolicy::default()
        });
        let cid = node.client.invoke_async(call).await.unwrap().cid;
        let answered = failure(ended(&node.client, cid).await);
        assert!(!format!("{answered:?}").contains(secret), "{answered:?}");
        let events = node.events(follow(cid)).await;
        assert!(!format!("{events:?}").contains(secret), "{events:?}");
        let explained = node.client.explain(cid).await.unwrap();
        let of_attempts = explained.attempts.iter().map(|attempt| &attempt.trace);
        let of_attempts: Vec<_> = of_attempts.collect();
        assert!(
            of_attempts.len() == 2 && of_attempts.iter().all(|trace| trace.contains(secret)),
            "{of_attempts:?}"
        );
        let explain = ["explain", &cid.to_string(), "--node", &address];
        let output = cidery().args(explain).output().unwrap();
        let shown = stdout(&output);
        assert!(shown.contains("attempts 1 to 2 failed:"), "{shown}");
        assert!(shown.contains(secret), "{shown}");
    }
}

/// An idle old worker beside a busy new one: calls that only the new one accepts wait for it.
#[tokio::test]
async fn calls_wait_for_the_only_compatible_worker() {
    let node = TestNode::start(Node::builder()).await;
    let gate = Arc::new(Semaphore::new(0));
    let _old = serve_gated(&node, Sio::new().input(Int("n")), 100, &gate).await;
    let new = serve_gated(&node, Sio::new().input(Text("name")), 2, &gate).await;
    let call = || Call::new("a.task", dict! { "name": "x" });
    let calls = (0..40).map(|_| node.client.invoke(call()));
    let open_when_busy = async {
        until("the new worker is busy", || new.in_flight() == 2).await;
        gate.add_permits(40);
    };
    let calls = futures_util::future::join_all(calls);
    let (answers, ()) = tokio::join!(calls, open_when_busy);
    for answer in answers {
        answer.unwrap();
    }
    let mut accepted = Vec::new();
    for _ in 0..40 {
        accepted.push(node.client.invoke_async(call()).await.unwrap().cid);
    }
    until("the new worker is busy", || new.in_flight() == 2).await;
    gate.add_permits(40);
    for cid in accepted {
        let found = ended(&node.client, cid).await;
        assert_eq!((found.state(), found.attempt), (v1::State::Succeeded, 1));
    }
    // A call that no worker accepts does not wait.
    let refused = node
        .client
        .invoke(Call::new("a.task", dict! { "n": 1 }))
        .await;
    assert_eq!(refused.unwrap_err().reason(), "INPUT_INVALID");
}
