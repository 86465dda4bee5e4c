//! Calls of services of workers: as of services of the node, with the same context, checks and failures.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cidery::codec::proto::v1;
use cidery::model::call::{Call, DurableOptions};
use cidery::model::invocation::Progress;
use cidery::sio::{Int, Sio};
use cidery::{
    Cid, Context, Definition, Dict, Error, Hooks, Kind, Node, Payload, Result, Value, Worker, dict,
};
use tokio::sync::Semaphore;

use super::{connect, invoke, node};
use crate::support::{PATIENCE, TestNode, ended, follow, names, paths, until};

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
    let builder = Worker::builder().register(service).register(broken);
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
    let worker_name = &explained.attempts[0].worker;
    assert!(worker_name.starts_with("worker-") && worker_name.contains(&worker.id()));
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
