//! Forms, over HTTP and over gRPC.

use cidery::codec::proto::v1;
use cidery::model::call::Call;
use cidery::sio::{Int, List, Sio, Text};
use cidery::{Format, Node, Value, dict};

use super::client::Client;
use crate::support::{TestNode, document, echo};

const FORM: &str = "content-type: application/x-www-form-urlencoded";

async fn node() -> TestNode {
    let sio = Sio::new()
        .input(Int("id"))
        .input(List("tags").of(Text("")))
        .input(Text("name").optional());
    let builder = Node::builder()
        .register(echo("declared", sio))
        .service("any", async |input: Value| input);
    TestNode::start(builder).await
}

#[tokio::test]
async fn a_form_has_the_declared_types() {
    let node = node().await;
    let mut client = Client::connect(node.address()).await;
    let answer = client
        .call("POST /invoke/declared", &[FORM], "id=7&tags=a&name=A+B%26C")
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body, r#"{"id":7,"tags":["a"],"name":"A B&C"}"#);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let answer = client
        .call("POST /invoke/any", &[FORM], "a=1&b=x&b=y")
        .await;
    assert_eq!(answer.body, r#"{"a":"1","b":["x","y"]}"#);
    let answer = client
        .call("POST /invoke/declared", &[FORM], "id=x&name=%FF")
        .await;
    assert_eq!(answer.reason(), "DOCUMENT_MALFORMED");
    let answer = client.call("POST /invoke/declared", &[FORM], "id=x").await;
    assert_eq!(answer.reason(), "INPUT_INVALID");
    assert_eq!(answer.paths(), ["/id", "/tags"]);
    let accept = "accept: application/x-www-form-urlencoded";
    let answer = client
        .call(
            "POST /invoke/declared",
            &[FORM, accept],
            "id=7&tags=a&tags=b",
        )
        .await;
    assert_eq!(answer.body, "id=7&tags=a&tags=b");
}

/// `curl -d` without a header.
#[tokio::test]
async fn json_that_is_sent_as_a_form_is_told_apart() {
    let node = node().await;
    let mut client = Client::connect(node.address()).await;
    let answer = client.call("POST /invoke/any", &[FORM], r#"{"a":1}"#).await;
    assert_eq!(answer.reason(), "DOCUMENT_MALFORMED");
    assert!(answer.body.contains("curl --json"), "{answer:?}");
}

#[tokio::test]
async fn a_form_is_a_document_over_grpc_and_in_the_background() {
    let node = node().await;
    let input = document("id=7&tags=a", Format::Form);
    let expected = Value::from(dict! { "id": 7, "tags": vec!["a"] });
    let reply = node
        .client
        .invoke(Call::new("declared", input.clone()))
        .await
        .unwrap();
    let value = cidery::codec::payload::decode(reply.1.payload).unwrap();
    assert_eq!(value, expected);
    let request = v1::InvokeAsyncRequest {
        service: "any".to_owned(),
        input: Some(v1::invoke_async_request::Input::Document("a=1".into())),
        data_format: v1::DataFormat::Form.into(),
        ..v1::InvokeAsyncRequest::default()
    };
    let accepted = node
        .stub
        .clone()
        .invoke_async(request)
        .await
        .unwrap()
        .into_inner();
    let cid = cidery::Cid::parse(&accepted.cid).unwrap();
    let found = crate::support::ended(&node.client, cid).await;
    let outcome = cidery::codec::convert::invocation_outcome_from_proto(found).unwrap();
    let payload = outcome.unwrap().unwrap().payload;
    let value = cidery::codec::payload::decode(payload).unwrap();
    assert_eq!(value, dict! { "a": "1" }.into());
}
