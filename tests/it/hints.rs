//! Hints: what a caller probably meant by a request that arrived empty, or with other names.

use bytes::Bytes;
use cidery::codec::proto::v1;
use cidery::codec::struct_pb;
use cidery::model::call::Call;
use cidery::sio::{DateTime, Dict as Mapping, DictList, Int, Sio};
use cidery::{Definition, Dict, Error, Node, dict};
use prost::Message;
use serde_json::json;

use crate::support::dynamic::Dynamic;
use crate::support::raw::{Answer, INVOKE, Raw, framed};
use crate::support::{TestNode, echo, error_of};

const NODE: &[(&str, &str)] = &[("user-agent", "app grpc-node-js/1.14.0")];
const INVOKE_ASYNC: &str = "/cidery.v1.InvocationService/InvokeAsync";
const INVOKE_BATCH: &str = "/cidery.v1.InvocationService/InvokeBatch";

fn encoded(dict: &Dict) -> Bytes {
    struct_pb::encode_dict(dict).unwrap()
}

fn invoke(service: &str, input: v1::invoke_request::Input) -> Bytes {
    let request = v1::InvokeRequest {
        service: service.to_owned(),
        input: Some(input),
        ..v1::InvokeRequest::default()
    };
    framed(&request.encode_to_vec())
}

fn invoke_dict(service: &str, dict: &Dict) -> Bytes {
    invoke(service, v1::invoke_request::Input::Payload(encoded(dict)))
}

fn async_request(service: &str, dict: &Dict) -> v1::InvokeAsyncRequest {
    v1::InvokeAsyncRequest {
        service: service.to_owned(),
        input: Some(v1::invoke_async_request::Input::Payload(encoded(dict))),
        ..v1::InvokeAsyncRequest::default()
    }
}

fn batch(dicts: &[Dict]) -> Bytes {
    let requests = dicts.iter().map(|dict| async_request("cidery.echo", dict));
    let request = v1::InvokeBatchRequest {
        requests: requests.collect(),
        ..v1::InvokeBatchRequest::default()
    };
    framed(&request.encode_to_vec())
}

/// The hint of a response: its metadata, which a failure has in its details too, and not in its message.
fn hint(answer: &Answer) -> Option<&str> {
    let hint = answer.get("cidery-hint");
    if answer.get("grpc-status") != Some("0") {
        let error = answer.error();
        assert_eq!(error.fact("hint"), hint);
        assert!(!error.message().contains("JavaScript"), "{error}");
    }
    hint
}

const AS_STRUCT: &str = "write a Struct as {fields: {KEY: {stringValue: '...'}}}";

/// Calls, and the parts of the hint that a client in JavaScript gets. Other clients send what they mean.
async fn check_hints(node: &TestNode, calls: &[(&str, Bytes, [&str; 2])]) {
    let mut raw = Raw::connect(node.address()).await;
    for (path, body, parts) in calls {
        let answer = raw.call(path, NODE, body.clone()).await;
        let found = hint(&answer).unwrap_or_else(|| panic!("no hint: {parts:?}"));
        assert!(parts.iter().all(|part| found.contains(part)), "{found}");
        let other = raw.call(path, &[], body.clone()).await;
        assert_eq!(hint(&other), None);
    }
}

/// Generated code for JavaScript drops the keys of a plain object.
#[tokio::test]
async fn a_client_in_javascript_learns_which_payload_arrived_empty() {
    let node = TestNode::demo().await;
    let none = Dict::new;
    let dict = |dict| invoke_dict("cidery.echo", &dict);
    let no_kind = v1::invoke_request::Input::Value(Bytes::new());
    let background = async_request("cidery.echo", &none()).encode_to_vec();
    let cust_id = "the payload arrived empty; in JavaScript, write a Struct as {fields: {cust_id: {numberValue: 1}}}";
    let otherwise = "document: Buffer.from(JSON.stringify(...)) instead, or call the typed method";
    let calls = [
        (
            INVOKE,
            invoke_dict("customer.get", &none()),
            [cust_id, otherwise],
        ),
        (
            INVOKE,
            dict(none()),
            ["the payload arrived empty; ", AS_STRUCT],
        ),
        (
            INVOKE,
            dict(dict! { "a": 1, "extra": none() }),
            ["`/extra` arrived empty; ", AS_STRUCT],
        ),
        (
            INVOKE,
            dict(dict! { "list": Vec::<i64>::new() }),
            ["`/list` arrived empty; ", "write a ListValue as {values: ["],
        ),
        (
            INVOKE,
            invoke("cidery.echo", no_kind),
            [
                "the value arrived empty; ",
                "{structValue: {fields: {...}}}",
            ],
        ),
        (
            INVOKE_ASYNC,
            framed(&background),
            ["the payload arrived empty; ", AS_STRUCT],
        ),
        (
            INVOKE_BATCH,
            batch(&[dict! { "a": 1 }, none()]),
            ["`/requests/1/payload` arrived empty; ", AS_STRUCT],
        ),
    ];
    check_hints(&node, &calls).await;
    let without_input = v1::InvokeRequest {
        service: "cidery.echo".to_owned(),
        ..v1::InvokeRequest::default()
    };
    let mut raw = Raw::connect(node.address()).await;
    for body in [
        dict(dict! { "a": 1 }),
        framed(&without_input.encode_to_vec()),
        // It takes nothing.
        invoke_dict("cidery.ping", &none()),
    ] {
        let answer = raw.call(INVOKE, NODE, body).await;
        assert_eq!(
            (hint(&answer), answer.get("grpc-status")),
            (None, Some("0"))
        );
    }
}

#[tokio::test]
async fn a_client_in_javascript_learns_what_of_a_typed_message_arrived_empty() {
    let sio = Sio::new()
        .optional_input(Mapping("extra"))
        .optional_input(DateTime("since"))
        .optional_input(DictList("rows").with([Int("n")]));
    let builder = Node::builder().demo().register(echo("see.all", sio));
    let node = TestNode::start(builder).await;
    let client = Dynamic::discover(node.address(), "see.Service").await;
    let typed = |message| framed(&client.encoded("see.Service/All", message));
    let dropped = "the message arrived empty; in JavaScript, keys that are not fields are dropped";
    let date = json!({ "since": "1970-01-01T00:00:00Z" });
    let rows = json!({ "rows": [{ "n": 1 }, {}] });
    let calls = [
        (
            "/customer.Service/Get",
            framed(&[]),
            [dropped, "keepCase: true"],
        ),
        (
            "/see.Service/All",
            typed(json!({})),
            [dropped, "keepCase: true"],
        ),
        (
            "/see.Service/All",
            typed(json!({ "extra": {} })),
            ["`/extra` arrived empty; ", AS_STRUCT],
        ),
        (
            "/see.Service/AllAsync",
            typed(date),
            [
                "`/since` arrived empty; ",
                "write a Timestamp as {seconds: ",
            ],
        ),
        (
            "/see.Service/All",
            typed(rows),
            ["`/rows/*` arrived empty; ", "keepCase: true"],
        ),
    ];
    check_hints(&node, &calls).await;
    let mut raw = Raw::connect(node.address()).await;
    let full = typed(json!({ "extra": { "a": 1 } }));
    let answer = raw.call("/see.Service/All", NODE, full).await;
    assert_eq!(
        (hint(&answer), answer.get("grpc-status")),
        (None, Some("0"))
    );
}

#[tokio::test]
async fn an_option_without_its_prefix_is_metadata_and_the_response_says_so() {
    let node = TestNode::demo().await;
    let client = Dynamic::discover(node.address(), "customer.Service").await;
    let call = async |message, metadata: &[(&'static str, &str)]| {
        let called = client.call_with("customer.Service/Get", message, metadata);
        match called.await {
            Ok((_, metadata)) => metadata,
            Err(status) => status.metadata().clone(),
        }
    };
    for (name, option) in [
        ("cid", "cidery-cid"),
        ("timeout", "cidery-timeout"),
        ("idempotency-key", "cidery-idempotency-key"),
        ("cidery_idempotency_key", "cidery-idempotency-key"),
    ] {
        for message in [json!({ "cust_id": 1 }), json!({})] {
            let answer = call(message, &[("tenant", "a"), (name, "x")]).await;
            let hint = answer.get("cidery-hint").unwrap().to_str().unwrap();
            assert_eq!(
                hint,
                format!(
                    "`{name}` is metadata for the handler; the option of the call is `{option}`"
                )
            );
        }
    }
    let answer = call(json!({ "cust_id": 1 }), &[("tenant", "a")]).await;
    assert_eq!(answer.get("cidery-hint"), None);
}

/// A key that is dropped may be the name of an element that is missing.
#[tokio::test]
async fn a_refused_input_names_the_keys_that_were_ignored() {
    let fail = async || Err::<Dict, _>(Error::not_found("GONE", "gone"));
    let fail = Definition::new("see.fail", fail).unwrap();
    let node = TestNode::start(Node::builder().demo().register(fail)).await;
    let invoke = async |service: &str, dict: Dict| {
        let mut raw = Raw::connect(node.address()).await;
        let answer = raw.call(INVOKE, &[], invoke_dict(service, &dict)).await;
        let ignored = answer.get("cidery-ignored").map(str::to_owned);
        (answer.error(), ignored)
    };
    let (error, ignored) = invoke("customer.get", dict! { "custId": 1, "tenant": "a" }).await;
    assert_eq!(
        error.message(),
        "`/cust_id`: is required; `custId` is not declared: did you mean `cust_id`?"
    );
    assert_eq!(ignored.as_deref(), Some("custId,tenant"));
    assert_eq!(error.fact("ignored"), ignored.as_deref());
    let (error, ignored) = invoke("customer.get", dict! { "cust_id": "x", "custId": 1 }).await;
    assert!(!error.message().contains("did you mean"), "{error}");
    assert_eq!(ignored.as_deref(), Some("custId"));
    let (error, ignored) = invoke("customer.get", dict! {}).await;
    assert_eq!(
        (error.message(), ignored),
        ("`/cust_id`: is required", None)
    );
    // Whatever the failure is.
    let (error, ignored) = invoke("see.fail", dict! { "custId": 1 }).await;
    assert_eq!(
        (error.reason(), ignored.as_deref()),
        ("GONE", Some("custId"))
    );
    // A background call is refused by the same check.
    let call = Call::new("customer.get", dict! { "CustID": 1 });
    let refused = node.client.invoke_async(call).await.unwrap_err();
    assert!(
        refused.message().ends_with("did you mean `cust_id`?"),
        "{refused}"
    );
    assert_eq!(refused.fact("ignored"), Some("CustID"));
}

/// A typed method has a list as a field.
#[tokio::test]
async fn violations_of_a_typed_list_have_the_paths_of_the_message() {
    let sio = Sio::new().input(Int("n").range(0..=9)).list_input();
    let node = TestNode::start(Node::builder().register(echo("see.all", sio))).await;
    let client = Dynamic::discover(node.address(), "see.Service").await;
    let items = json!({ "items": [{ "n": 1 }, { "n": 10 }, {}] });
    for path in ["see.Service/All", "see.Service/AllAsync"] {
        let refused = client.call(path, items.clone()).await.unwrap_err();
        let error = error_of(&refused);
        let paths: Vec<_> = error
            .field_violations()
            .iter()
            .map(|it| &*it.path)
            .collect();
        assert_eq!(paths, ["/items/1/n", "/items/2/n"]);
        assert!(error.message().starts_with("`/items/1/n`: "), "{error}");
    }
}
