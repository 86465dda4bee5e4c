//! Checks of inputs and outputs: violations, secrets, undeclared keys, and limits of memory.

use cidery::codec::{json, struct_pb};
use cidery::model::call::Call;
use cidery::sio::{Bool, Date, Int, Secret, Sio, Text};
use cidery::{Definition, Dict, Format, Kind, Node, Payload, Value, dict};

use crate::support::{TestNode, document, echo};

#[tokio::test]
async fn dropped_keys_are_listed_and_secrets_are_masked() {
    let sio = Sio::new()
        .input(Secret("token"))
        .optional_input(Text("note"));
    let node = TestNode::start(Node::builder().register(echo("keeps.secret", sio))).await;
    let input = dict! { "token": "hunter2", "extra": 1, "ä": 2 };
    let mut stub = node.stub.clone();
    let request = cidery::codec::proto::v1::InvokeRequest {
        service: "keeps.secret".to_owned(),
        input: Some(cidery::codec::proto::v1::invoke_request::Input::Payload(
            struct_pb::encode_dict(&input).unwrap(),
        )),
        ..Default::default()
    };
    let response = stub.invoke(request).await.unwrap();
    assert_eq!(
        response.metadata().get("cidery-ignored").unwrap(),
        "extra,%C3%A4"
    );
    assert_eq!(
        response.get_ref().metadata["cidery-ignored"],
        "extra,%C3%A4"
    );
    let accepted = node
        .client
        .invoke_async(Call::new("keeps.secret", input))
        .await
        .unwrap();
    assert_eq!(accepted.ignored.to_text(), "extra,%C3%A4");
    let request = cidery::codec::proto::v1::GetInvocationRequest {
        cid: accepted.cid.to_string(),
        view: cidery::codec::proto::v1::InvocationView::Full.into(),
        wait: Some(prost_types::Duration {
            seconds: 30,
            nanos: 0,
        }),
        ..Default::default()
    };
    let found = stub
        .get_invocation(request)
        .await
        .unwrap()
        .into_inner()
        .invocation
        .unwrap();
    let printed = format!("{:?}", found.input);
    assert!(
        !printed.contains("hunter2") && printed.contains("***"),
        "{printed}"
    );
    let error = node
        .handle
        .invoke("keeps.secret", dict! { "token": vec!["hunter2"] })
        .await
        .unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn an_invalid_output_fails_with_all_violations() {
    let sio = Sio::new()
        .output(Int("a"))
        .output(Date("b"))
        .optional_output(Bool("c"))
        .response_elem("out");
    let broken = Definition::new("broken", async || dict! { "a": "x", "c": 7, "d": 1 })
        .unwrap()
        .sio(sio.clone());
    let good = Definition::new(
        "good",
        async || dict! { "d": 1, "b": "2026-01-31", "a": "07" },
    )
    .unwrap()
    .sio(sio);
    let node = TestNode::start(Node::builder().register(broken).register(good)).await;
    let error = node.handle.invoke("broken", ()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Internal, "OUTPUT_INVALID")
    );
    assert!(!error.is_retryable());
    let found: Vec<_> = error
        .field_violations()
        .iter()
        .map(|v| (v.path.as_str(), &*v.code))
        .collect();
    assert_eq!(
        found,
        [
            ("/a", "WRONG_TYPE"),
            ("/b", "MISSING"),
            ("/c", "WRONG_TYPE")
        ]
    );
    let response = node.handle.invoke("good", ()).await.unwrap();
    assert_eq!(
        json::write(response.value()).unwrap(),
        r#"{"out":{"a":7,"b":"2026-01-31"}}"#
    );
}

#[tokio::test]
async fn violations_are_limited_and_the_rest_is_counted() {
    let sio = (0..100).fold(Sio::new(), |sio, n| {
        sio.input(Int(format!("element_{n:03}")))
    });
    let node = TestNode::start(Node::builder().register(echo("wide", sio))).await;
    let error = node.client.invoke(Call::new("wide", ())).await.unwrap_err();
    let omitted: usize = error.fact("violations_omitted").unwrap().parse().unwrap();
    assert_eq!(error.field_violations().len() + omitted, 100);
    assert!(
        error.field_violations().len() >= 40,
        "{}",
        error.field_violations().len()
    );
    // Thousands of rows: the kept violations are limited, their count is not.
    let rows = (0..3_000).map(|_| Dict::new()).collect::<Vec<_>>();
    let list = echo("list", Sio::new().input(Int("a")).list_input());
    node.handle.invoker().add_service(list).unwrap();
    let error = node
        .client
        .invoke(Call::new("list", Value::from(rows)))
        .await
        .unwrap_err();
    let omitted: usize = error.fact("violations_omitted").unwrap().parse().unwrap();
    assert_eq!(error.field_violations().len() + omitted, 3_000);
}

/// A small input takes little memory with every declaration.
#[tokio::test]
async fn small_inputs_take_little_memory() {
    let wide = (0..1_000)
        .fold(Sio::new(), |sio, n| {
            sio.optional_input(Int(format!("e{n}")))
        })
        .list_input();
    let strict = wide.clone().unknown_keys(cidery::sio::UnknownKeys::Refuse);
    let node = TestNode::start(
        Node::builder()
            .register(echo("wide", wide))
            .register(echo("strict", strict)),
    )
    .await;
    // A long header over many short rows.
    let header: Vec<String> = (0..2_000).map(|n| format!("c{n}")).collect();
    let csv = format!("{}\n{}", header.join(","), "x\n".repeat(3_000));
    let response = node
        .handle
        .invoke("cidery.echo", document(csv, Format::Json))
        .await;
    assert_eq!(response.unwrap_err().reason(), "DOCUMENT_MALFORMED");
    let csv = format!("{}\n{}", header.join(","), "x\n".repeat(3_000));
    let mut call = Call::new("cidery.echo", document(csv, Format::Csv));
    call.response_format = Some(Format::Dict);
    let (_, reply) = node.client.invoke(call).await.unwrap();
    assert!(
        reply.payload.weight() < 100_000,
        "{}",
        reply.payload.weight()
    );
    // A thousand elements are looked up in each of many empty dicts.
    let rows = Value::List(vec![Dict::new().into(); 30_000]);
    let error = node
        .handle
        .invoke("wide", Payload::Value(rows))
        .await
        .unwrap_err();
    assert_eq!(error.field_violations()[0].code, "TOO_MANY_KEYS");
    // More invalid keys than are reported.
    let keys = (0..200_000)
        .map(|n| (format!("unknown{n}"), Value::Null))
        .collect::<Dict>();
    let error = node
        .handle
        .invoke("strict", Value::from(vec![keys]))
        .await
        .unwrap_err();
    let omitted: usize = error.fact("violations_omitted").unwrap().parse().unwrap();
    assert_eq!(error.field_violations().len() + omitted, 200_000);
}

#[tokio::test]
async fn errors_never_quote_secrets() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Login {
        #[schemars(with = "cidery::sio::rust::Secret")]
        pin: u32,
    }
    let nested = Sio::new().input(cidery::sio::Dict("login").with([Secret("pin")]));
    let typed = Definition::new(
        "typed",
        async |cidery::Input(login): cidery::Input<Login>| dict! { "pin": login.pin },
    );
    let node = TestNode::start(
        Node::builder()
            .register(echo("nested", nested))
            .register(typed.unwrap()),
    )
    .await;
    let hunter = Value::from("{\"pin\":\"hunter2\"}");
    for (service, input) in [
        ("nested", dict! { "login": hunter.clone() }.into()),
        (
            "nested",
            document("login\n\"{\"\"pin\"\": hunter2\"\n", Format::Csv),
        ),
        ("nested", hunter.into()),
        ("typed", dict! { "pin": "hunter2" }.into()),
    ] {
        let error = node
            .client
            .invoke(Call::new(service, input))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), "INPUT_INVALID");
        assert!(
            !format!("{error:?} {error}").contains("hunter2"),
            "{service}: {error:?}"
        );
    }
    assert_eq!(
        node.handle
            .invoke("typed", dict! { "pin": "7" })
            .await
            .unwrap()["pin"],
        Value::Int(7)
    );
}

#[tokio::test]
async fn invalid_declarations_prevent_the_start() {
    let wrong = echo("wrong", Sio::new().input(Int("a").default("x")).input("a"));
    let error = Node::builder()
        .register(wrong.clone())
        .no_listener()
        .start()
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "DECLARATION_INVALID");
    assert!(error.message().contains("`wrong`"), "{error}");
    assert_eq!(error.field_violations().len(), 2);
    let node = Node::builder().no_listener().start().await.unwrap();
    assert!(node.invoker().add_service(wrong).is_err());
    node.stop().await;
}
