//! Typed methods: served by reflection, called with generated types, compatible across versions of a service.

use std::time::Duration;

use cidery::sio::{
    Bytes, Csv, DateTime, Decimal, DictList, Int, List, Secret, Sio, Text, Type, UnknownKeys,
};
use cidery::{
    Cid, Context, Definition, Dict, Format, Input, Kind, Metadata, Node, Payload, Reply, Value,
    dict,
};
use serde_json::json;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::dynamic::{Dynamic, reflect};
use crate::support::{PATIENCE, TestNode, echo, error_of, paths};

async fn node(definitions: impl IntoIterator<Item = Definition>) -> TestNode {
    let builder = definitions
        .into_iter()
        .fold(Node::builder(), cidery::NodeBuilder::register);
    TestNode::start(builder).await
}

#[tokio::test]
async fn a_service_has_a_synchronous_and_an_asynchronous_method() {
    let node = TestNode::demo().await;
    let client = Dynamic::discover(node.address(), "customer.Service").await;
    let (customer, metadata) = client
        .call_with("customer.Service/Get", json!({ "cust_id": 1 }), &[])
        .await
        .unwrap();
    assert_eq!(
        customer,
        json!({ "cust_id": "1", "cust_name": "Alexis Smith" })
    );
    Cid::parse(metadata.get("cidery-cid").unwrap().to_str().unwrap()).unwrap();

    let (accepted, metadata) = client
        .call_with("customer.Service/GetAsync", json!({ "cust_id": 2 }), &[])
        .await
        .unwrap();
    let cid = Cid::parse(accepted["cid"].as_str().unwrap()).unwrap();
    assert_eq!(
        metadata.get("cidery-cid").unwrap().to_str().unwrap(),
        cid.to_string()
    );
    let found = node.handle.invoker().find(cid, PATIENCE).await.unwrap();
    let outcome = found.invocation.outcome().unwrap().unwrap();
    let value = cidery::codec::payload::decode(outcome.payload).unwrap();
    assert_eq!(value["cust_id"], Value::Int(2));
}

#[tokio::test]
async fn options_of_asynchronous_methods_are_metadata() {
    let node = TestNode::demo().await;
    let client = Dynamic::discover(node.address(), "customer.Service").await;
    let get = async |metadata: &[(&'static str, &str)]| {
        let input = json!({ "cust_id": 2 });
        client
            .call_with("customer.Service/GetAsync", input, metadata)
            .await
    };
    let keyed = [("cidery-idempotency-key", "k"), ("cidery-delay", "1h")];
    let (first, _) = get(&keyed).await.unwrap();
    let (again, _) = get(&keyed).await.unwrap();
    assert_eq!(first["cid"], again["cid"]);
    assert_eq!(again["already_accepted"], json!(true));
    let cid = Cid::parse(first["cid"].as_str().unwrap()).unwrap();
    let found = node.handle.invoker().find(cid, Duration::ZERO).await;
    let found = found.unwrap().invocation;
    assert_eq!(found.request.terms.idempotency_key.as_deref(), Some("k"));
    let delay = found.due.duration_since(found.request.accept_time);
    assert_eq!(delay.as_hours(), 1);
    for wrong in [("cidery-idempotency-key", ""), ("cidery-delay", "soon")] {
        let error = error_of(&get(&[wrong]).await.unwrap_err());
        assert_eq!(error.field_violations()[0].path, format!("/{}", wrong.0));
    }
}

#[tokio::test]
async fn failures_are_the_same_as_of_invoke() {
    let node = TestNode::demo().await;
    let client = Dynamic::discover(node.address(), "demo.Service").await;
    let cid = Cid::new().to_string();
    for path in ["demo.Service/Sleep", "demo.Service/SleepAsync"] {
        let metadata = [("cidery-cid", cid.as_str())];
        let status = client
            .call_with(path, json!({}), &metadata)
            .await
            .unwrap_err();
        let error = error_of(&status);
        assert_eq!(
            (error.kind(), error.reason()),
            (Kind::InvalidArgument, "INPUT_INVALID")
        );
        assert_eq!(error.field_violations()[0].path, "/seconds");
        assert_eq!(error.cid().unwrap().to_string(), cid);
    }
    let failing = json!({ "code": "NOT_FOUND", "message": "gone" });
    let error = error_of(&client.call("demo.Service/Fail", failing).await.unwrap_err());
    assert_eq!(
        (error.kind(), error.reason(), error.message()),
        (Kind::NotFound, "DEMO_FAILED", "gone")
    );
    assert!(error.cid().is_some());
    let slow = client
        .call_with(
            "demo.Service/Sleep",
            json!({ "seconds": 60 }),
            &[("cidery-timeout", "20ms")],
        )
        .await;
    assert_eq!(error_of(&slow.unwrap_err()).reason(), "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn options_are_metadata_and_unknown_ones_are_refused() {
    let seen = Definition::new("see.metadata", async |ctx: Context| {
        let seen = ctx
            .metadata()
            .iter()
            .map(|(k, v)| (k.to_owned(), v.into()))
            .collect::<Dict>();
        let metadata =
            Metadata::from_iter([("x-answer", "yes"), ("grpc-status", "5"), ("Ä", "no")]);
        let payload = Payload::from(dict! { "seen": seen });
        Reply { payload, metadata }
    });
    let sio = Sio::new().output(cidery::sio::Dict("seen"));
    let node = node([seen.unwrap().sio(sio)]).await;
    let client = Dynamic::discover(node.address(), "see.Service").await;
    let cid = Cid::new().to_string();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let metadata = [
        ("cidery-cid", cid.as_str()),
        ("x-mine", "1"),
        ("traceparent", trace),
        ("cidery-timeout", "5s"),
    ];
    let (answer, headers) = client
        .call_with("see.Service/Metadata", json!({}), &metadata)
        .await
        .unwrap();
    assert_eq!(
        answer["seen"],
        json!({ "x-mine": "1", "traceparent": trace })
    );
    assert_eq!(headers.get("cidery-cid").unwrap(), cid.as_str());
    assert_eq!(headers.get("x-answer").unwrap(), "yes");
    for (key, value, reason) in [
        ("cidery-tiemout", "5s", "REQUEST_INVALID"),
        ("cidery-timeout", "5", "REQUEST_INVALID"),
        ("cidery-cid", "x", "CID_INVALID"),
        ("cidery-delay", "5s", "REQUEST_INVALID"),
        ("cidery-idempotency-key", "", "REQUEST_INVALID"),
        ("cidery-on-deadline", "never", "REQUEST_INVALID"),
    ] {
        let refused = client
            .call_with("see.Service/Metadata", json!({}), &[(key, value)])
            .await;
        let error = error_of(&refused.unwrap_err());
        assert_eq!(error.reason(), reason, "{key}");
        assert_eq!(error.field_violations()[0].path, format!("/{key}"));
    }
    // Credentials are not stored, shown or forwarded.
    let credentials = [
        ("authorization", "Bearer x"),
        ("cookie", "y=1"),
        ("x-api-key", "z"),
        ("x-auth-token", "z"),
    ];
    let (answer, _) = client
        .call_with("see.Service/Metadata", json!({}), &credentials)
        .await
        .unwrap();
    assert_eq!(answer["seen"], json!({}));
    let large = "x".repeat(9_000);
    let refused = client
        .call_with("see.Service/Metadata", json!({}), &[("x-large", &large)])
        .await;
    assert_eq!(
        error_of(&refused.unwrap_err()).reason(),
        "METADATA_TOO_LARGE"
    );
}

#[tokio::test]
async fn added_services_are_available_at_once() {
    let node = TestNode::demo().await;
    let listed =
        async || match reflect(node.address(), MessageRequest::ListServices(String::new())).await {
            MessageResponse::ListServicesResponse(list) => {
                list.service.into_iter().map(|s| s.name).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
    assert!(!listed().await.contains(&"later.Service".to_owned()));
    let add = |definition| node.handle.invoker().add_service(definition).unwrap();
    add(echo(
        "later.one",
        Sio::new().input(Int("n")).output(Int("n")),
    ));
    assert!(listed().await.contains(&"later.Service".to_owned()));
    let client = Dynamic::discover(node.address(), "later.Service").await;
    assert_eq!(
        client
            .call("later.Service/One", json!({ "n": 1 }))
            .await
            .unwrap(),
        json!({ "n": "1" })
    );
    add(echo(
        "later.two",
        Sio::new().input(Text("t")).output(Text("t")),
    ));
    let client = Dynamic::discover(node.address(), "later.Service").await;
    assert_eq!(
        client
            .call("later.Service/Two", json!({ "t": "x" }))
            .await
            .unwrap(),
        json!({ "t": "x" })
    );
    // A name clash removes the method, with a note. Calls do not wait for it.
    add(echo("later.two-", Sio::new().input(Int("n"))));
    let removed = async {
        loop {
            let answer = client.call("later.Service/Two", json!({ "t": "x" })).await;
            if let Err(status) = answer {
                return error_of(&status);
            }
        }
    };
    let error = tokio::time::timeout(PATIENCE, removed).await.unwrap();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Unimplemented, "NO_TYPED_METHOD")
    );
    let note = node
        .client
        .describe("later.two")
        .await
        .unwrap()
        .typed_method_note;
    assert_eq!(
        note,
        "`later.two` and `later.two-` would both be `later.Service/Two`"
    );
    let response = node
        .handle
        .invoke("later.two", dict! { "t": "x" })
        .await
        .unwrap();
    assert_eq!(response["t"], Value::from("x"));
}

#[tokio::test]
async fn a_clash_of_field_numbers_names_both_elements_and_keeps_the_service() {
    let clash = Sio::new()
        .input(Int("a").number(7))
        .input(Text("b").number(8))
        .input(Int("c").number(9));
    let mut same = clash.clone();
    // Two declared equal numbers are refused at declaration; a hashed number can still clash.
    same.input.as_mut().unwrap().elements[1].number = None;
    let number = cidery::codec::typed::number("b", "string");
    same.input.as_mut().unwrap().elements[2].number = Some(number);
    let node = node([echo("fine", clash), echo("clash", same)]).await;
    assert_eq!(
        node.client.describe("fine").await.unwrap().typed_method,
        "fine.Service/Invoke"
    );
    let clash = node.client.describe("clash").await.unwrap();
    assert_eq!(clash.typed_method, "");
    let note = clash.typed_method_note;
    assert!(
        note.contains("`b` and `c` of the input would both have the field number"),
        "{note}"
    );
    let input = dict! { "a": 1, "b": "x", "c": 2 };
    assert_eq!(
        node.handle
            .invoke("clash", input.clone())
            .await
            .unwrap()
            .value(),
        &input.into()
    );
}

/// A client that was generated before a service changed: the fields that it knows keep their meaning.
#[tokio::test]
async fn old_clients_call_new_services() {
    let before = Sio::new()
        .input(Int("cust_id"))
        .optional_input(Text("gone"))
        .optional_input(Text("retyped"))
        .optional_input(List("roles").of(Type::Text))
        .output(Int("cust_id"))
        .optional_output(Text("gone"))
        .optional_output(Text("retyped"))
        .optional_output(Text("new"));
    let after = Sio::new()
        .optional_input(Text("new"))
        .optional_input(List("roles").of(Type::Text))
        .optional_input(Int("retyped"))
        .input(Int("cust_id"))
        .optional_output(Int("retyped"))
        .optional_output(Text("inserted").default("here"))
        .output(Int("cust_id"))
        .optional_output(List("roles").of(Type::Text));
    let old = node([echo("shop.order", before)]).await;
    let new = node([echo("shop.order", after.clone())]).await;
    let stub = Dynamic::discover(old.address(), "shop.Service").await;
    let sent = json!({ "cust_id": "7", "gone": "g", "retyped": "12", "roles": ["a"] });
    let answered = stub.call("shop.Service/Order", sent.clone()).await.unwrap();
    assert_eq!(
        answered,
        json!({ "cust_id": "7", "gone": "g", "retyped": "12" })
    );

    let moved = stub.of_node(new.address()).await;
    let (answered, metadata) = moved
        .call_with("shop.Service/Order", sent.clone(), &[])
        .await
        .unwrap();
    // The old client does not know `roles` of the response; `retyped` has a new field number.
    assert_eq!(answered, json!({ "cust_id": "7" }));
    let mut ignored: Vec<&str> = metadata
        .get("cidery-ignored")
        .unwrap()
        .to_str()
        .unwrap()
        .split(',')
        .collect();
    let number = |name, kind| format!("#{}", cidery::codec::typed::number(name, kind));
    let mut expected = [number("gone", "string"), number("retyped", "string")];
    ignored.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ignored, expected);
    let fresh = Dynamic::discover(new.address(), "shop.Service").await;
    let answered = fresh
        .call(
            "shop.Service/Order",
            json!({ "cust_id": 7, "roles": ["a"] }),
        )
        .await
        .unwrap();
    assert_eq!(
        answered,
        json!({ "cust_id": "7", "inserted": "here", "roles": ["a"] })
    );

    let strict = node([echo("shop.order", after.unknown_keys(UnknownKeys::Refuse))]).await;
    let moved = stub.of_node(strict.address()).await;
    let error = error_of(&moved.call("shop.Service/Order", sent).await.unwrap_err());
    assert_eq!(error.field_violations().len(), 2);
    assert_eq!(error.field_violations()[0].code, "UNKNOWN_KEY");
}

#[tokio::test]
async fn numbers_keep_every_digit_that_their_type_can_hold() {
    let sio = Sio::new()
        .input(Int("int"))
        .input(Decimal("decimal"))
        .output(Int("int"))
        .output(Decimal("decimal"));
    let node = node([echo("digits.of", sio)]).await;
    let client = Dynamic::discover(node.address(), "digits.Service").await;
    let sent = json!({ "int": "9007199254740993", "decimal": "123456789012345678901234567890.1234567890123456789" });
    assert_eq!(
        client
            .call("digits.Service/Of", sent.clone())
            .await
            .unwrap(),
        sent
    );
    // Wider than int64: exact with `Invoke`, a violation as a typed response, never a wrapped value.
    const WIDE: &str = "123456789012345678901234567890";
    let wide_answer = Definition::new("digits.wide", async || dict! { "n": WIDE }).unwrap();
    node.handle
        .invoker()
        .add_service(wide_answer.sio(Sio::new().output(Int("n"))))
        .unwrap();
    let response = node.handle.invoke("digits.wide", ()).await.unwrap();
    assert_eq!(response["n"], Value::number(WIDE).unwrap());
    let client = Dynamic::discover(node.address(), "digits.Service").await;
    let error = error_of(
        &client
            .call("digits.Service/Wide", json!({}))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Internal, "OUTPUT_INVALID")
    );
    assert_eq!(
        (
            &*error.field_violations()[0].path,
            &*error.field_violations()[0].code
        ),
        ("/n", "OUT_OF_RANGE")
    );
}

#[tokio::test]
async fn every_shape_is_called_through_reflection_only() {
    let row = || DictList("rows").with([Int("n"), Text("-t")]);
    let wrapped = Sio::new()
        .input(row())
        .output(row())
        .response_elem("my-response");
    let list = Sio::new()
        .input(Int("n"))
        .list_input()
        .output(Int("n"))
        .list_output();
    let open = Sio::new().output(Int("n"));
    let types = Sio::new()
        .input(DateTime("at"))
        .input(Bytes("raw"))
        .input(Csv("csv"))
        .input(Secret("key"))
        .output(DateTime("at"))
        .output(Bytes("raw"))
        .output(Csv("csv"));
    let node = node([
        echo("a.wrapped", wrapped),
        echo("a.list", list),
        echo("a.open", open),
        echo("a.types", types),
    ])
    .await;
    let client = Dynamic::discover(node.address(), "a.Service").await;
    let rows = json!({ "rows": [{ "n": "1", "t": "x" }, { "n": "2" }] });
    let answer = client
        .call("a.Service/Wrapped", rows.clone())
        .await
        .unwrap();
    assert_eq!(answer, json!({ "my-response": rows }));
    let items = json!({ "items": [{ "n": "1" }, { "n": "2" }] });
    assert_eq!(
        client.call("a.Service/List", items.clone()).await.unwrap(),
        items
    );
    assert_eq!(
        client
            .call("a.Service/Open", json!({ "payload": { "n": "7" } }))
            .await
            .unwrap(),
        json!({ "n": "7" })
    );
    let sent =
        json!({ "at": "2026-01-31T12:00:00.500Z", "raw": "AP8=", "csv": ["a", "b"], "key": "k" });
    let mut expected = sent.clone();
    expected.as_object_mut().unwrap().remove("key");
    assert_eq!(
        client.call("a.Service/Types", sent).await.unwrap(),
        expected
    );
    let key = client
        .pool()
        .get_message_by_name("a.TypesRequest")
        .unwrap()
        .get_field_by_name("key")
        .unwrap();
    assert!(key.supports_presence());
    // All violations at once, with the declared paths.
    let bad = json!({ "rows": [{}, { "n": "2" }, { "t": "x" }] });
    let error = error_of(&client.call("a.Service/Wrapped", bad).await.unwrap_err());
    assert_eq!(paths(&error), ["/rows/0/n", "/rows/2/n"]);
}

/// A value that is not a dict is the only field, and is checked as an element is.
#[tokio::test]
async fn values_that_are_not_dicts_have_typed_methods() {
    let wrapped = Definition::new("v.wrapped", async |Input(n): Input<i64>| n);
    let node = node([
        Definition::new("v.double", async |Input(n): Input<u8>| i64::from(n) * 2).unwrap(),
        Definition::new("v.maybe", async |Input(n): Input<Option<i64>>| n).unwrap(),
        Definition::new("v.sum", async |Input(n): Input<Vec<i64>>| {
            n.iter().sum::<i64>()
        })
        .unwrap(),
        Definition::new("v.nothing", async || {}).unwrap(),
        wrapped.unwrap().response_elem("answer"),
    ])
    .await;
    let client = Dynamic::discover(node.address(), "v.Service").await;
    for (method, sent, expected) in [
        ("Double", json!({ "value": "21" }), json!({ "value": "42" })),
        ("Maybe", json!({ "value": "1" }), json!({ "value": "1" })),
        ("Maybe", json!({}), json!({})),
        (
            "Sum",
            json!({ "value": ["1", "2"] }),
            json!({ "value": "3" }),
        ),
        ("Sum", json!({}), json!({ "value": "0" })),
        ("Nothing", json!({}), json!({})),
        ("Wrapped", json!({ "value": "7" }), json!({ "answer": "7" })),
    ] {
        let answer = client.call(&format!("v.Service/{method}"), sent).await;
        assert_eq!(answer.unwrap(), expected, "{method}");
    }
    for (input, code) in [
        (Value::from("x"), "WRONG_TYPE"),
        (Value::Int(256), "OUT_OF_RANGE"),
        (dict! {}.into(), "MISSING"),
    ] {
        let error = node.handle.invoke("v.double", input).await.unwrap_err();
        assert_eq!(error.reason(), "INPUT_INVALID");
        let violation = &error.field_violations()[0];
        assert_eq!((&*violation.path, &*violation.code), ("", code));
    }
    let text = node
        .handle
        .invoke("v.double", "21")
        .data_format(Format::Text);
    assert_eq!(text.await.unwrap().into_value(), Value::from("42"));
    let described = node.client.describe("v.double").await.unwrap();
    let schema: serde_json::Value = serde_json::from_str(&described.input_schema).unwrap();
    assert_eq!(
        (&schema["type"], &schema["maximum"]),
        (&json!("integer"), &json!(255))
    );
    // No response is the empty dict for callers by name, and `()` for typed calls.
    let nothing = node.handle.invoke("v.nothing", ()).await.unwrap();
    assert_eq!(nothing.value(), &Value::from(dict! {}));
    nothing.parse::<()>().unwrap();
}

#[tokio::test]
async fn a_wrapped_router_serves_typed_methods() {
    let builder = Node::builder().demo().wrap(|router| router);
    let node = TestNode::start(builder).await;
    let client = Dynamic::discover(node.address(), "customer.Service").await;
    client
        .call("customer.Service/Get", json!({ "cust_id": 1 }))
        .await
        .unwrap();
}

#[tokio::test]
async fn oversized_requests_and_responses_are_refused() {
    let large =
        Definition::new("large.answer", async || dict! { "t": "x".repeat(100_000) }).unwrap();
    let large = large
        .sio(Sio::new().optional_input(Text("t")).output(Text("t")))
        .timeout(Duration::from_secs(5));
    let node = TestNode::start(
        Node::builder()
            .register(large)
            .limits(|limits| limits.message_bytes = 50_000),
    )
    .await;
    let client = Dynamic::discover(node.address(), "large.Service").await;
    for message in [json!({}), json!({ "t": "x".repeat(60_000) })] {
        let error = error_of(
            &client
                .call("large.Service/Answer", message)
                .await
                .unwrap_err(),
        );
        assert_eq!(
            (error.kind(), error.reason()),
            (Kind::ResourceExhausted, "MESSAGE_TOO_LARGE")
        );
    }
    node.assert_healthy().await;
}
