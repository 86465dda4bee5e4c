//! `GetInvocation` with `typed`: the outcome of a background call as the response message of its typed method.

use cidery::codec::proto::v1;
use cidery::sio::{AsIs, Bytes, DateTime, Int, Sio};
use cidery::{Definition, Dict, Node, Value};
use prost_reflect::DynamicMessage;
use serde_json::{Value as Json, json};
use tonic::Status;

use crate::support::dynamic::Dynamic;
use crate::support::{PATIENCE, TestNode, echo, error_of};

/// The outcome of an invocation, once it has ended.
async fn outcome(node: &TestNode, cid: &str) -> Result<v1::outcome::Outcome, Status> {
    let request = v1::GetInvocationRequest {
        cid: cid.to_owned(),
        wait: Some(prost_types::Duration::try_from(PATIENCE).unwrap()),
        typed: true,
        ..Default::default()
    };
    let found = node.stub.clone().get_invocation(request).await?;
    let outcome = found.into_inner().invocation.unwrap().outcome.unwrap();
    Ok(outcome.outcome.unwrap())
}

async fn accepted(client: &Dynamic, method: &str, request: Json) -> String {
    let path = format!("{method}Async");
    let accepted = client.call(&path, request).await.unwrap();
    accepted["cid"].as_str().unwrap().to_owned()
}

/// The message in a typed outcome, as JSON.
fn message(client: &Dynamic, outcome: v1::outcome::Outcome) -> Json {
    let v1::outcome::Outcome::Typed(typed) = outcome else {
        panic!("not typed: {outcome:?}");
    };
    let name = typed.type_url.strip_prefix("type.googleapis.com/").unwrap();
    let descriptor = client.pool().get_message_by_name(name).unwrap();
    let message = DynamicMessage::decode(descriptor, &*typed.value).unwrap();
    serde_json::to_value(&message).unwrap()
}

/// Dicts, times, lists, and outputs that are not declared.
#[tokio::test]
async fn a_typed_outcome_is_the_response_of_the_synchronous_call() {
    let times = Sio::new()
        .input(DateTime("at"))
        .input(Bytes("raw"))
        .input(Int("n"))
        .output(DateTime("at"))
        .output(Bytes("raw"))
        .output(Int("n"));
    let anything = Sio::new().input(AsIs("any"));
    let builder = Node::builder().demo();
    let builder = builder.register(echo("demo.times", times));
    let node = TestNode::start(builder.register(echo("demo.anything", anything))).await;
    let demos = Dynamic::discover(node.address(), "demo.Service").await;
    let customers = Dynamic::discover(node.address(), "customer.Service").await;
    let rows = json!({ "items": [{ "cust_id": 1, "cust_name": "Ann" }] });
    for (client, method, request) in [
        (&customers, "customer.Service/Get", json!({ "cust_id": 1 })),
        (&customers, "customer.Service/Import", rows),
        (&customers, "customer.Service/Import", json!({})),
        (
            &demos,
            "demo.Service/Times",
            json!({ "at": "2026-01-31T10:00:00.500Z", "raw": "AP8=", "n": "9007199254740993" }),
        ),
        (
            &demos,
            "demo.Service/Anything",
            json!({ "any": { "payload": [1, null] } }),
        ),
    ] {
        let expected = client.call(method, request.clone()).await.unwrap();
        let cid = accepted(client, method, request).await;
        let typed = message(client, outcome(&node, &cid).await.unwrap());
        assert_eq!(typed, expected, "{method}");
    }
}

#[tokio::test]
async fn a_failure_is_the_same_and_a_service_without_a_typed_method_is_named() {
    let undeclared = Definition::new("plain.echo", async |input: Dict| Value::from(input)).unwrap();
    let node = TestNode::start(Node::builder().demo().register(undeclared)).await;
    let demos = Dynamic::discover(node.address(), "demo.Service").await;
    let request = json!({ "code": "NOT_FOUND", "message": "gone" });
    let cid = accepted(&demos, "demo.Service/Fail", request).await;
    let v1::outcome::Outcome::Failure(failure) = outcome(&node, &cid).await.unwrap() else {
        panic!("it succeeded");
    };
    assert_eq!(failure.message, "gone");

    let request = v1::InvokeAsyncRequest {
        service: "plain.echo".to_owned(),
        ..Default::default()
    };
    let accepted = node.stub.clone().invoke_async(request).await.unwrap();
    let refused = outcome(&node, &accepted.into_inner().cid).await;
    let error = error_of(&refused.unwrap_err());
    assert_eq!(error.reason(), "NO_TYPED_METHOD");
    let expected = "`plain.echo` has no typed method: neither its input nor its output is declared";
    assert!(error.message().starts_with(expected), "{error}");
}

/// The input of a call by name may be a document, and so is its stored outcome.
#[tokio::test]
async fn an_outcome_in_json_is_typed_and_one_in_csv_is_refused() {
    let node = TestNode::demo().await;
    let customers = Dynamic::discover(node.address(), "customer.Service").await;
    let import = async |document: &'static str, format: v1::DataFormat| {
        let request = v1::InvokeAsyncRequest {
            service: "customer.import".to_owned(),
            input: Some(v1::invoke_async_request::Input::Document(document.into())),
            data_format: format.into(),
            ..Default::default()
        };
        let accepted = node.stub.clone().invoke_async(request).await.unwrap();
        outcome(&node, &accepted.into_inner().cid).await
    };
    let json = import(
        r#"[{"cust_id": 1, "cust_name": "Ann"}]"#,
        v1::DataFormat::Json,
    )
    .await;
    let typed = message(&customers, json.unwrap());
    assert_eq!(typed["items"][0]["cust_name"], json!("Ann"), "{typed}");
    let csv = import("cust_id,cust_name\n1,Ann\n", v1::DataFormat::Csv).await;
    assert_eq!(error_of(&csv.unwrap_err()).reason(), "FORMAT_INVALID");
}
