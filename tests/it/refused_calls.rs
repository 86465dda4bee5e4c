//! A handler that calls a service wrongly is at fault itself, wherever it runs: its own caller sent a valid request.

use cidery::model::call::Call;
use cidery::{Context, Dict, Error, Input, Kind, Node, Result, Value, Worker, dict};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::support::TestNode;

#[derive(Deserialize, JsonSchema)]
struct Number {
    n: u8,
}

async fn takes(Input(input): Input<Number>) -> Result<u8> {
    match input.n {
        7 => Err(Error::invalid_argument("NO_SEVEN", "seven is not sold")),
        n => Ok(n),
    }
}

/// Calls the service that its input names, with the `n` of its input.
async fn calls(ctx: Context, input: Dict) -> Result<()> {
    let service = input.get("service").and_then(Value::as_text);
    let service = service.unwrap_or("t.takes").to_owned();
    let number = dict! { "n": input.get("n").cloned() };
    let called = match input.get("how").and_then(Value::as_text) {
        Some("async") => ctx.invoke_async(service, number).await.map(drop),
        Some("batch") => ctx.fan_out([(service, number)]).join().await.map(drop),
        _ => ctx.invoke(service, number).await.map(drop),
    };
    // The handler itself sees why.
    if let Err(error) = &called {
        assert_ne!(error.kind(), Kind::Internal, "{error:?}");
    }
    called
}

async fn outer(ctx: Context, input: Dict) -> Result<Value> {
    Ok(ctx.invoke("t.calls", input).await?.into_value())
}

/// A node that runs the handlers itself, and one whose worker runs them.
async fn nodes() -> [(TestNode, Option<cidery::WorkerHandle>); 2] {
    let builder = Node::builder().service("t.takes", takes);
    let builder = builder.service("t.calls", calls).service("t.outer", outer);
    let of_worker = TestNode::start(Node::builder()).await;
    let worker = Worker::builder().service("t.takes", takes);
    let worker = worker.service("t.calls", calls).service("t.outer", outer);
    let worker = worker.connect(&of_worker.address().to_string()).await;
    let in_node = TestNode::start(builder).await;
    [(in_node, None), (of_worker, Some(worker.unwrap()))]
}

#[tokio::test]
async fn a_refused_call_is_a_failure_of_the_handler_that_made_it() {
    for (node, _worker) in &nodes().await {
        for (input, service, refusal) in [
            (dict! { "n": "x" }, "t.takes", "INPUT_INVALID"),
            (dict! { "how": "async" }, "t.takes", "INPUT_INVALID"),
            (dict! { "how": "batch" }, "t.takes", "INPUT_INVALID"),
            (dict! { "service": "t.no" }, "t.no", "SERVICE_UNKNOWN"),
        ] {
            for caller in ["t.calls", "t.outer"] {
                let sent = format!("{caller} {input:?}");
                let call = Call::new(caller, input.clone());
                let error = node.client.invoke(call).await.unwrap_err();
                assert_eq!(
                    (error.kind(), error.reason(), error.is_retryable()),
                    (Kind::Internal, "NESTED_CALL_REFUSED", false),
                    "{sent}: {error:?}"
                );
                assert!(error.field_violations().is_empty(), "{sent}: {error:?}");
                assert_eq!(error.fact("service"), Some(service), "{sent}");
                assert_eq!(error.fact("refusal"), Some(refusal), "{sent}");
                assert!(error.message().starts_with("`t.calls` made"), "{error}");
                assert!(error.location().is_none(), "{error:#?}");
            }
        }
    }
}

#[tokio::test]
async fn an_input_of_the_caller_and_a_declared_failure_are_passed_on() {
    for (node, _worker) in &nodes().await {
        for caller in ["t.takes", "t.calls", "t.outer"] {
            let seven = Call::new(caller, dict! { "n": 7 });
            let error = node.client.invoke(seven).await.unwrap_err();
            assert_eq!(error.reason(), "NO_SEVEN", "{caller}");
        }
        let wrong = Call::new("t.takes", dict! { "n": "x" });
        let error = node.client.invoke(wrong).await.unwrap_err();
        assert_eq!(error.reason(), "INPUT_INVALID");
        assert_eq!(error.field_violations()[0].path, "/n");
    }
}
