//! Services of Rust workers in other processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cidery::codec::payload;
use cidery::codec::proto::v1;
use cidery::model::call::{Call, DurableOptions};
use cidery::model::invocation::Progress;
use cidery::sio::{Int, Sio};
use cidery::{
    Cid, Context, Definition, Dict, Error, Hooks, Kind, Node, Payload, Result, ServiceOptions,
    Value, Worker, WorkerHandle, dict,
};
use tokio::sync::Semaphore;

use crate::support::{PATIENCE, TestNode, ended, follow, names, paths, until};

async fn node() -> TestNode {
    TestNode::start(Node::builder().demo()).await
}

async fn connect(node: &TestNode, builder: cidery::WorkerBuilder) -> WorkerHandle {
    builder.connect(&node.address().to_string()).await.unwrap()
}

async fn invoke(node: &TestNode, service: &'static str, input: Dict) -> Result<Value> {
    let (_, reply) = node.client.invoke(Call::new(service, input)).await?;
    payload::decode(reply.payload)
}

#[tokio::test]
async fn a_service_of_a_worker_is_called_like_one_of_the_node() {
    let node = node().await;
    let greet = async |input: Dict| dict! { "hello": input["name"].clone() };
    let _worker = connect(&node, Worker::builder().service("greet.hello", greet)).await;
    let answer = invoke(&node, "greet.hello", dict! { "name": "Ann" }).await;
    assert_eq!(answer.unwrap(), Value::Dict(dict! { "hello": "Ann" }));
    // In the background, and from a service in the node.
    let call = Call::new("greet.hello", dict! { "name": "Bob" });
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    assert_eq!(
        names(&node.events(follow(cid)).await),
        ["accepted", "started", "succeeded"]
    );
    let caller = async |ctx: Context| {
        let response = ctx.invoke("greet.hello", dict! { "name": "Eve" }).await?;
        response.at::<String>("hello")
    };
    let definition = Definition::new("in.node", caller).unwrap();
    node.handle.invoker().add_service(definition).unwrap();
    assert_eq!(
        invoke(&node, "in.node", dict! {}).await.unwrap(),
        Value::from("Eve")
    );
}

/// Inputs and outputs are checked against the declaration of the worker.
#[tokio::test]
async fn inputs_and_outputs_are_checked_and_every_type_is_carried() {
    let node = node().await;
    let sio = Sio::new()
        .input(Int("n"))
        .input(cidery::sio::Bytes("raw"))
        .output(Int("n"))
        .output(cidery::sio::Bytes("raw"))
        .output(cidery::sio::Float("x"))
        .response_elem("wrapped");
    let echo = async |mut input: Dict| {
        input.insert("x", 1.0);
        input
    };
    let service = Definition::new("typed.echo", echo).unwrap().sio(sio);
    let broken = Definition::new("typed.broken", async |_: Dict| dict! { "n": "none" });
    let broken = broken.unwrap().sio(Sio::new().output(Int("n")));
    let builder = Worker::builder().define(service).define(broken);
    let _worker = connect(&node, builder).await;
    let raw = Value::Bytes(vec![0, 255].into());
    let input = dict! { "n": i64::MAX, "raw": raw.clone() };
    let client = crate::support::dynamic::Dynamic::discover(node.address(), "typed.Service").await;
    let message = serde_json::json!({ "n": i64::MAX.to_string(), "raw": "AP8=" });
    let (typed, _) = client
        .call_with("typed.Service/Echo", message, &[])
        .await
        .unwrap();
    assert_eq!(typed["wrapped"]["n"], i64::MAX.to_string());
    assert_eq!(typed["wrapped"]["raw"], "AP8=");
    let answer = invoke(&node, "typed.echo", input).await.unwrap();
    assert_eq!(answer["wrapped"]["n"], Value::from(i64::MAX.to_string()));
    let error = invoke(&node, "typed.echo", dict! { "raw": 1 })
        .await
        .unwrap_err();
    assert_eq!(paths(&error), ["/n", "/raw"]);
    let error = invoke(&node, "typed.broken", dict! {}).await.unwrap_err();
    assert_eq!(error.reason(), "OUTPUT_INVALID");
    invoke(&node, "typed.echo", dict! { "n": 1, "raw": raw })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_handler_in_a_worker_has_the_same_context_as_in_a_node() {
    #[derive(Default)]
    struct Count(Arc<AtomicUsize>);
    impl Hooks for Count {
        async fn before(&self, _: &Context, _: &mut Payload) -> Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
        async fn finally(&self, _: &Context) {
            self.0.fetch_add(10, Ordering::Relaxed);
        }
    }
    async fn shows(ctx: Context) -> Result<Dict> {
        for n in 0..3 {
            ctx.emit(dict! { "n": n }).await?;
        }
        ctx.progress(Progress::at(0.5).message("half"));
        let nested = ctx.invoke("customer.get", dict! { "cust_id": 1 }).await?;
        let child = ctx
            .invoke_async("customer.get", dict! { "cust_id": 2 })
            .await?;
        let with_outcome = ctx.invoke_async("customer.get", dict! { "cust_id": 3 });
        let with_outcome = with_outcome.with_outcome().await?;
        let services = ctx.services().await?;
        Ok(dict! {
            "name": nested.at::<String>("cust_name")?,
            "child": child.to_string(),
            "with_outcome": with_outcome.to_string(),
            "mine": ctx.metadata().get("mine").unwrap_or_default(),
            "attempt": ctx.attempt(),
            "knows": services.iter().any(|service| service.name.as_str() == "a.shows"),
        })
    }
    let (node, runs) = (node().await, Arc::new(AtomicUsize::new(0)));
    let builder = Worker::builder().hooks(Count(Arc::clone(&runs)));
    let worker = connect(&node, builder.service("a.shows", shows)).await;
    let mut call = Call::new("a.shows", ());
    let metadata = cidery::Metadata::from_iter([("mine", "yes")]);
    call.metadata = Some(Arc::new(metadata));
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    let events = node.events(follow(cid)).await;
    let explained = node.client.explain(cid).await.unwrap();
    let place = &explained.attempts[0].worker;
    assert!(place.starts_with("worker-") && place.contains(&worker.id()));
    let expected = ["accepted", "started", "item", "item", "item", "succeeded"];
    assert_eq!(names(&events), expected);
    let found = ended(&node.client, cid).await;
    let Some(v1::outcome::Outcome::Payload(answer)) = found.outcome.unwrap().outcome else {
        panic!("no dict");
    };
    let answer = cidery::codec::struct_pb::decode_dict(&answer).unwrap();
    assert_eq!(answer["name"], Value::from("Alexis Smith"));
    assert_eq!(answer["mine"], Value::from("yes"));
    assert_eq!(
        (&answer["attempt"], &answer["knows"]),
        (&Value::from(1), &Value::from(true))
    );
    for key in ["child", "with_outcome"] {
        let child: Cid = answer[key].as_text().unwrap().parse().unwrap();
        assert_eq!(
            ended(&node.client, child).await.parent_cid,
            cid.to_string(),
            "{key}"
        );
    }
    assert_eq!(runs.load(Ordering::Relaxed), 11);
}

#[tokio::test]
async fn failures_keep_their_code_reason_and_details() {
    async fn fails() -> Result<()> {
        let violation = cidery::Violation::new("/a", "WRONG", "is wrong");
        Err(Error::aborted("LOST_RACE", "another request won the race")
            .with_retryable(false)
            .with_violation(violation))
    }
    async fn panics() {
        panic!("on purpose")
    }
    let node = node().await;
    let builder = Worker::builder()
        .service("a.fails", fails)
        .service("a.panics", panics);
    let _worker = connect(&node, builder).await;
    let error = invoke(&node, "a.fails", dict! {}).await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (Kind::Aborted, "LOST_RACE"));
    assert_eq!(error.field_violations()[0].path, "/a");
    let error = invoke(&node, "a.panics", dict! {}).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Internal, "HANDLER_PANICKED")
    );
}

#[tokio::test]
async fn a_handler_is_cancelled_when_its_caller_goes_away() {
    let stopped = Arc::new(Semaphore::new(0));
    let counter = Arc::clone(&stopped);
    let waits = move |ctx: Context| {
        let counter = Arc::clone(&counter);
        async move {
            ctx.cancelled().await;
            counter.add_permits(1);
        }
    };
    let node = node().await;
    let worker = connect(&node, Worker::builder().service("a.waits", waits)).await;
    tokio::select! {
        outcome = invoke(&node, "a.waits", dict! {}) => panic!("{outcome:?}"),
        () = until("it runs", || worker.in_flight() == 1) => {}
    }
    let stop = tokio::time::timeout(PATIENCE, stopped.acquire()).await;
    stop.unwrap().unwrap().forget();
    // An operator cancels it in the background.
    let cid = node
        .client
        .invoke_async(Call::new("a.waits", ()))
        .await
        .unwrap()
        .cid;
    until("it runs", || worker.in_flight() == 1).await;
    node.client.cancel(&[cid], false).await.unwrap();
    let stop = tokio::time::timeout(PATIENCE, stopped.acquire()).await;
    stop.unwrap().unwrap().forget();
    assert!(ended(&node.client, cid).await.state >= i32::from(v1::State::Succeeded));
}

/// At most ten run at once. A handler that waits for a nested call does not count.
#[tokio::test]
async fn chains_on_a_small_worker_do_not_deadlock() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let (n, m, g) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
    let last = move || {
        let (now, most, gate) = (Arc::clone(&n), Arc::clone(&m), Arc::clone(&g));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            now.fetch_sub(1, Ordering::SeqCst);
            "end"
        }
    };
    async fn first(ctx: Context) -> Result<String> {
        ctx.invoke("chain.b", ()).await?.parse()
    }
    async fn second(ctx: Context) -> Result<String> {
        ctx.invoke("chain.c", ()).await?.parse()
    }
    let node = node().await;
    let builder = Worker::builder()
        .max_in_flight(10)
        .service("chain.a", first)
        .service("chain.b", second)
        .service("chain.c", last);
    let _worker = connect(&node, builder).await;
    let mut chains = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let client = node.client.clone();
        chains.spawn(async move { client.invoke(Call::new("chain.a", ())).await.map(drop) });
    }
    until("ten run", || now.load(Ordering::SeqCst) == 10).await;
    gate.add_permits(200);
    let all = tokio::time::timeout(PATIENCE, chains.join_all()).await;
    all.unwrap().into_iter().collect::<Result<()>>().unwrap();
    assert!(most.load(Ordering::SeqCst) <= 10, "{most:?}");
}

#[tokio::test]
async fn work_without_a_worker_is_pending_and_its_service_is_remembered() {
    let node = node().await;
    let unknown = node.client.invoke_async(Call::new("later.come", ())).await;
    assert_eq!(unknown.unwrap_err().reason(), "SERVICE_UNKNOWN");
    let come = async || "here";
    let worker = connect(&node, Worker::builder().service("later.come", come)).await;
    worker.stop().await;
    let error = invoke(&node, "later.come", dict! {}).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Unavailable, "NO_WORKER")
    );
    let cid = node
        .client
        .invoke_async(Call::new("later.come", ()))
        .await
        .unwrap()
        .cid;
    let found = node.client.invocation(cid, Duration::ZERO).await.unwrap();
    assert_eq!(found.pending_reason, i32::from(v1::PendingReason::NoWorker));
    let described = node.client.describe("later.come").await.unwrap();
    assert_eq!(described.health, i32::from(v1::ServiceHealth::NoWorker));
    let _worker = connect(&node, Worker::builder().service("later.come", come)).await;
    assert_eq!(
        ended(&node.client, cid).await.state,
        i32::from(v1::State::Succeeded)
    );
}

#[tokio::test]
async fn an_invalid_hello_is_refused_with_its_violations() {
    let node = node().await;
    let address = node.address().to_string();
    let taken = Worker::builder().service("cidery.ping", async || "mine");
    let error = taken.connect(&address).await.unwrap_err();
    assert_eq!(error.reason(), "SERVICE_EXISTS");
    let error = Worker::builder().connect(&address).await.unwrap_err();
    assert_eq!(error.reason(), "DECLARATION_INVALID");
    assert_eq!(error.field_violations()[0].path, "/services");
    // Demo services are replaced.
    let mine = Worker::builder().service("customer.get", async || "mine");
    let _worker = connect(&node, mine).await;
    assert_eq!(
        invoke(&node, "customer.get", dict! {}).await.unwrap(),
        Value::from("mine")
    );
    node.assert_healthy().await;
}

/// A call goes to the worker with the most free credit.
#[tokio::test]
async fn several_workers_share_the_work() {
    let node = node().await;
    let gate = Arc::new(Semaphore::new(0));
    let builder = |name: &'static str| {
        let gate = Arc::clone(&gate);
        let waits = move || {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                name
            }
        };
        Worker::builder().name(name).service("a.waits", waits)
    };
    let (one, two) = (
        connect(&node, builder("one")).await,
        connect(&node, builder("two")).await,
    );
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = node.client.clone();
        calls.spawn(async move { client.invoke(Call::new("a.waits", ())).await.map(drop) });
    }
    until("all run", || one.in_flight() + two.in_flight() == 20).await;
    assert_eq!((one.in_flight(), two.in_flight()), (10, 10));
    let described = node.client.describe("a.waits").await.unwrap();
    let names: Vec<_> = described
        .locations
        .iter()
        .map(|place| place.worker_name.as_str())
        .collect();
    assert_eq!(names, ["one", "two"]);
    gate.add_permits(20);
    calls
        .join_all()
        .await
        .into_iter()
        .collect::<Result<()>>()
        .unwrap();
}

/// An invocation that waits for a permit of a worker is pending.
#[tokio::test]
async fn an_invocation_that_waits_for_a_worker_is_pending() {
    let node = node().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let waits = move || {
        let gate = Arc::clone(&held);
        async move { gate.acquire().await.unwrap().forget() }
    };
    let builder = Worker::builder().service("a.waits", waits);
    let worker = connect(&node, builder.max_in_flight(1)).await;
    let mut cids = Vec::new();
    for _ in 0..3 {
        let call = Call::new("a.waits", ());
        cids.push(node.client.invoke_async(call).await.unwrap().cid);
    }
    until("one runs", || worker.in_flight() == 1).await;
    let services = node.client.services("a.waits").await.unwrap();
    assert_eq!((services[0].running, services[0].pending), (1, 2));
    gate.add_permits(3);
    for cid in cids {
        ended(&node.client, cid).await;
    }
}

/// The worker gets no new dispatches, and another worker runs the ones that it does not finish.
#[tokio::test]
async fn a_worker_that_stops_hands_back_its_dispatches() {
    let node = node().await;
    let forever = async || std::future::pending::<()>().await;
    let builder = Worker::builder().drain(Duration::ZERO);
    let first = connect(&node, builder.service("a.task", forever)).await;
    let cid = node
        .client
        .invoke_async(Call::new("a.task", ()))
        .await
        .unwrap()
        .cid;
    let client = node.client.clone();
    let waiting =
        crate::support::raw::spawn(async move { client.invoke(Call::new("a.task", ())).await });
    let client = node.client.clone();
    let keyed = crate::support::raw::spawn(async move {
        let mut call = Call::new("a.task", ());
        call.durable().idempotency_key = Some("k".to_owned());
        client.invoke(call).await
    });
    until("all run", || first.in_flight() == 3).await;
    let second = Worker::builder().service("a.task", async || "done");
    let _second = connect(&node, second).await;
    first.stop().await;
    let found = ended(&node.client, cid).await;
    assert_eq!(
        (found.state, found.attempt),
        (i32::from(v1::State::Succeeded), 1)
    );
    // They may have started: the callers get a failure, and the call with a key is not attempted again.
    for answer in [waiting, keyed] {
        let error = answer.await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind(), error.reason()),
            (Kind::Unknown, "WORKER_LOST")
        );
    }
}

#[tokio::test]
async fn an_idempotent_call_that_is_handed_back_runs_on_another_worker() {
    let node = node().await;
    let idempotent = || ServiceOptions {
        idempotent: true,
        ..ServiceOptions::default()
    };
    let forever = async || std::future::pending::<()>().await;
    let forever = Definition::new("a.task", forever).unwrap();
    let first = Worker::builder().drain(Duration::ZERO);
    let first = connect(&node, first.define(forever.options(idempotent()))).await;
    let client = node.client.clone();
    let waiting =
        crate::support::raw::spawn(async move { client.invoke(Call::new("a.task", ())).await });
    until("it runs", || first.in_flight() == 1).await;
    let done = Definition::new("a.task", async || "done").unwrap();
    let second = Worker::builder().define(done.options(idempotent()));
    let _second = connect(&node, second).await;
    first.stop().await;
    waiting.await.unwrap().unwrap();
}

/// The connection is cut while handlers run and end: no handler runs twice, and no result is lost.
#[tokio::test]
async fn a_cut_connection_repeats_no_work() {
    let node = node().await;
    let proxy = crate::support::proxy::Proxy::to(node.address()).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let gate = Arc::new(Semaphore::new(0));
    let open = Arc::clone(&gate);
    let task = move |ctx: Context| {
        let (runs, gate) = (Arc::clone(&counted), Arc::clone(&gate));
        async move {
            runs.fetch_add(1, Ordering::SeqCst);
            ctx.emit(dict! { "item": "before" }).await?;
            gate.acquire().await.unwrap().forget();
            ctx.emit(dict! { "item": "after" }).await?;
            Ok::<_, Error>("done")
        }
    };
    let builder = Worker::builder().service("a.task", task);
    let worker = builder.connect(&proxy.address.to_string()).await.unwrap();
    let id = worker.id();
    let mut cids = Vec::new();
    for _ in 0..20 {
        let accepted = node.client.invoke_async(Call::new("a.task", ()));
        cids.push(accepted.await.unwrap().cid);
    }
    let client = node.client.clone();
    let waiting =
        crate::support::raw::spawn(async move { client.invoke(Call::new("a.task", ())).await });
    until("all run", || runs.load(Ordering::SeqCst) == 21).await;
    proxy.cut();
    // Half of them end while there is no connection.
    open.add_permits(10);
    until("half have ended", || worker.in_flight() == 11).await;
    while !node.client.workers().await.unwrap()[0].away {
        tokio::task::yield_now().await;
    }
    until("the worker reconnects", || proxy.refused() > 3).await;
    proxy.restore();
    open.add_permits(11);
    for cid in cids {
        let events = node.events(follow(cid)).await;
        let expected = ["accepted", "started", "item", "item", "succeeded"];
        assert_eq!(names(&events), expected);
    }
    waiting.await.unwrap().unwrap();
    assert_eq!((runs.load(Ordering::SeqCst), worker.id()), (21, id));
}

/// A handler that returns the failure of its nested call has run: the client does not retry the call.
#[tokio::test]
async fn a_client_does_not_retry_a_handler_that_has_run() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let calls = move |ctx: Context| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { ctx.invoke("a.gone", ()).await.map(drop) }
    };
    let builder = Node::builder().service("a.calls", calls);
    let node = TestNode::start(builder).await;
    let gone = connect(&node, Worker::builder().service("a.gone", async || {})).await;
    gone.stop().await;
    let error = node.client.invoke(Call::new("a.calls", ())).await;
    assert_eq!(error.unwrap_err().reason(), "NO_WORKER");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_refused_hello_stores_no_declaration() {
    let builder = Node::builder().service("a.own", async || {});
    let node = TestNode::start(builder).await;
    let worker = Worker::builder().service("a.new", async || {});
    let worker = worker.service("a.own", async || {});
    let error = worker.connect(&node.address().to_string()).await;
    assert_eq!(error.unwrap_err().reason(), "SERVICE_EXISTS");
    let announced = node.handle.invoker().store().declarations().await.unwrap();
    assert!(announced.is_empty(), "{announced:?}");
}

/// A call waits while the only worker is away, until it resumes or its lease expires.
#[tokio::test]
async fn calls_wait_for_a_worker_that_is_away() {
    let node = node().await;
    let proxy = crate::support::proxy::Proxy::to(node.address()).await;
    let builder = Worker::builder().service("a.echo", async |input: Dict| input);
    let worker = builder.connect(&proxy.address.to_string()).await.unwrap();
    proxy.cut();
    let call = |timeout| Call {
        timeout: Some(timeout),
        ..Call::new("a.echo", dict! { "n": 1 })
    };
    // The node may detect the cut only after the first of these calls.
    for _ in 0..20 {
        let error = node.client.invoke(call(Duration::from_millis(20))).await;
        assert_eq!(error.unwrap_err().kind(), Kind::DeadlineExceeded);
    }
    let client = node.client.clone();
    let waiting = crate::support::raw::spawn(async move { client.invoke(call(PATIENCE)).await });
    proxy.restore();
    let (_, reply) = waiting.await.unwrap().unwrap();
    let answer = payload::decode(reply.payload).unwrap();
    assert_eq!(answer["n"], Value::from(1));
    worker.stop().await;
}

#[tokio::test]
async fn retries_and_callbacks_work_for_services_of_workers() {
    let node = node().await;
    let flaky = async |ctx: Context| match ctx.attempt() {
        1 => Err(Error::unavailable("NOT_YET", "the first attempt fails")),
        attempt => Ok(dict! { "attempt": attempt }),
    };
    let _worker = connect(&node, Worker::builder().service("a.flaky", flaky)).await;
    let mut call = Call::new("a.flaky", ());
    call.durable = Some(Box::new(DurableOptions {
        callbacks: vec!["cidery.echo".to_owned()],
        ..DurableOptions::default()
    }));
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    let events = node.events(follow(cid)).await;
    let expected = [
        "accepted",
        "started",
        "retry_scheduled",
        "started",
        "succeeded",
    ];
    assert_eq!(names(&events), expected);
}
