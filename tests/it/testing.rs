//! The test kit: a node with a manual clock, and a handler without a node.

use std::time::Duration;

use cidery::model::call::{Call, DurableOptions, Start};
use cidery::model::invocation::Progress;
use cidery::sio::{Int, Sio};
use cidery::testing::{PlatformCall, Run, TestNode};
use cidery::{
    Cid, Context, Definition, Dict, Error, Later, Node, Result, RetryPolicy, State, Value, dict,
};

const HOUR: Duration = Duration::from_secs(3_600);

async fn in_background(node: &TestNode, service: &'static str, options: DurableOptions) -> Cid {
    let mut call = Call::new(service, dict! { "cust_id": 1, "failures": 1 });
    call.durable = Some(Box::new(options));
    let client = node.client().contract();
    client.invoke_async(call).await.unwrap().cid
}

#[tokio::test]
async fn advancing_the_clock_starts_delayed_invocations() {
    let node = TestNode::start(Node::builder().demo()).await.unwrap();
    let later = DurableOptions {
        start: Some(Start::After(HOUR)),
        ..DurableOptions::default()
    };
    let cid = in_background(&node, "customer.get", later).await;
    node.clock().advance(HOUR - Duration::from_secs(1));
    let found = node
        .node()
        .invoker()
        .find(cid, Duration::ZERO)
        .await
        .unwrap();
    assert!(!found.due, "{found:?}");
    node.clock().advance(Duration::from_secs(1));
    let response = node.outcome(cid).await.unwrap();
    assert_eq!(response["cust_name"], Value::from("Alexis Smith"));
    // Retries and expirations follow the clock too.
    let hourly = DurableOptions {
        retry_policy: Some(RetryPolicy {
            max_attempts: 2,
            initial_interval: HOUR,
            max_interval: HOUR,
            ..RetryPolicy::default()
        }),
        ..DurableOptions::default()
    };
    let cid = in_background(&node, "demo.flaky", hourly).await;
    while node
        .node()
        .invoker()
        .find(cid, Duration::ZERO)
        .await
        .unwrap()
        .invocation
        .last_failure
        .is_none()
    {
        tokio::task::yield_now().await;
    }
    node.clock().advance(HOUR);
    assert_eq!(node.outcome(cid).await.unwrap()["attempt"], Value::from(2));
    let expires = DurableOptions {
        start: Some(Start::After(2 * HOUR)),
        expiration: Some(HOUR),
        ..DurableOptions::default()
    };
    let cid = in_background(&node, "customer.get", expires).await;
    node.clock().advance(HOUR);
    assert_eq!(node.outcome(cid).await.unwrap_err().reason(), "EXPIRED");
    node.stop().await;
}

#[tokio::test]
async fn a_handler_runs_without_a_node() {
    let handler = async |ctx: Context, State(rate): State<i64>, input: Dict| {
        let found = ctx
            .invoke("crm.lookup", dict! { "id": input["id"].clone() })
            .await?;
        ctx.progress(Progress::note("half"));
        ctx.emit(dict! { "n": 1 }).await?;
        ctx.invoke_async("audit.record", dict! {})
            .delay(HOUR)
            .await?;
        let n = found.at::<i64>("n")? * rate * i64::from(ctx.attempt());
        Ok::<_, Error>(dict! { "n": n, "who": ctx.metadata().get("who").unwrap_or("") })
    };
    let definition = || {
        let sio = Sio::new().input(Int("id")).output(Int("n")).output("who");
        Definition::new("a.handler", handler).unwrap().sio(sio)
    };
    let run = || {
        Run::definition(definition())
            .unwrap()
            .state(2_i64)
            .attempt(3)
    };
    let answered = run().metadata("who", "Ann").answer("crm.lookup", |calls| {
        assert_eq!(calls, Value::Dict(dict! { "id": 7 }));
        Ok(dict! { "n": 10 }.into())
    });
    let ran = answered.run(dict! { "id": "7" }).await;
    let response = ran.response().unwrap();
    assert_eq!(
        (&response["n"], &response["who"]),
        (&60.into(), &"Ann".into())
    );
    assert_eq!(ran.items(), [Value::Dict(dict! { "n": 1 })]);
    let names = ran.calls().into_iter().map(|calls| match calls {
        PlatformCall::Invoke(call) | PlatformCall::InvokeAsync(call) => call.service.into_owned(),
        PlatformCall::InvokeBatch(_) => "batch".to_owned(),
        PlatformCall::Item(_) => "item".to_owned(),
        PlatformCall::Progress(_) => "progress".to_owned(),
    });
    let names: Vec<_> = names.collect();
    assert_eq!(names, ["crm.lookup", "progress", "item", "audit.record"]);
    let error = run().run(dict! { "id": "x" }).await.response().unwrap_err();
    assert_eq!(error.reason(), "INPUT_INVALID");
    let error = run().run(dict! { "id": 1 }).await.response().unwrap_err();
    assert_eq!(error.reason(), "SERVICE_UNKNOWN");
    let wrong = run().answer("crm.lookup", |_| Ok(dict! { "n": 1.5 }.into()));
    assert!(wrong.run(dict! { "id": 1 }).await.response().is_err());
    let stateless = Run::definition(definition())
        .unwrap()
        .run(dict! { "id": 1 })
        .await;
    assert_eq!(stateless.response().unwrap_err().reason(), "STATE_MISSING");
}

#[tokio::test]
async fn panics_and_async_completions_are_distinguished() {
    let panics = async |input: Dict| -> Result<Dict> { panic!("{input:?}") };
    let ran = Run::of(panics).unwrap().run(dict! {}).await;
    assert_eq!(ran.response().unwrap_err().reason(), "HANDLER_PANICKED");
    let later = async |ctx: Context| -> Result<Later> { ctx.later() };
    let ran = Run::of(later).unwrap().run(dict! {}).await;
    assert!(ran.answers_later() && ran.response().is_ok());
}

/// A test has no log, and its clock stands still.
#[tokio::test]
async fn an_outcome_that_waits_for_the_clock_says_why_at_once() {
    let reads = async |ctx: Context| -> std::io::Result<u32> {
        match ctx.attempt() {
            1 => Err(std::io::Error::other("disk on fire")),
            attempt => Ok(attempt),
        }
    };
    let fails = async || -> std::io::Result<()> { Err(std::io::Error::other("no such disk")) };
    let builder = Node::builder()
        .service("a.reads", reads)
        .service("a.fails", fails);
    let node = TestNode::start(builder).await.unwrap();
    let cid = node
        .client()
        .invoke_async("a.reads", ())
        .delay(HOUR)
        .await
        .unwrap();
    let waits = node.outcome(cid).await.unwrap_err();
    assert_eq!(waits.reason(), "DEADLINE_EXCEEDED");
    assert!(
        waits.message().contains("it is due in 3600000 ms"),
        "{waits}"
    );
    node.clock().advance(HOUR);
    let waits = node.outcome(cid).await.unwrap_err();
    for part in ["attempt 1 failed", "disk on fire", "node.clock().advance("] {
        assert!(waits.message().contains(part), "{waits}");
    }
    node.clock().advance(HOUR);
    assert_eq!(node.outcome(cid).await.unwrap().parse::<u32>().unwrap(), 2);
    // Synchronous calls, and invocations whose attempts are used up.
    let error = node.client().invoke("a.fails", ()).await.unwrap_err();
    assert_eq!(error.reason(), "HANDLER_FAILED");
    assert!(error.message().contains("no such disk"), "{error}");
    let once = node.client().invoke_async("a.fails", ());
    let once = once.retry_policy(RetryPolicy {
        max_attempts: 1,
        ..RetryPolicy::default()
    });
    let error = node.outcome(once.await.unwrap()).await.unwrap_err();
    assert!(error.message().contains("no such disk"), "{error}");
    node.stop().await;
}
