//! Handlers: supported signatures, arguments and outputs.

use anyhow::Context as _;
use cidery::{
    BoxError, Cid, Context, Definition, Dict, Error, FromContext, Input, Kind, Metadata, Node,
    NodeHandle, Payload, Result, State, Value, dict,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct GetCustomer {
    cust_id: u64,
}

#[derive(Serialize, JsonSchema)]
struct Customer {
    cust_name: String,
}

#[derive(Clone)]
struct Greeting(&'static str);

/// A user-defined argument.
struct Caller(String);

impl FromContext for Caller {
    fn from_context(ctx: &Context) -> Result<Self> {
        let caller = ctx.metadata().get("caller").unwrap_or("nobody");
        Ok(Self(caller.to_owned()))
    }
}

async fn node() -> NodeHandle {
    async fn typed(Input(req): Input<GetCustomer>) -> Result<Customer> {
        Ok(Customer {
            cust_name: format!("customer {}", req.cust_id),
        })
    }
    async fn everything(
        ctx: Context,
        cid: Cid,
        metadata: Metadata,
        State(Greeting(greeting)): State<Greeting>,
        Caller(caller): Caller,
        input: Dict,
    ) -> Result<Dict, Error> {
        assert_eq!(ctx.cid(), cid);
        assert!(metadata.is_empty());
        Ok(dict! { "greeting": greeting, "caller": caller, "input": input })
    }
    Node::builder()
        .state(Greeting("hello"))
        .service("typed", typed)
        .service("everything", everything)
        .service("nothing", async || {})
        .service("closure", |n: Input<i64>| async move { n.0 * 2 })
        .service("raw", async |input: Payload| input)
        .service("value", async |input: Value| input)
        .service("cid.last", async |cid: Cid| cid.to_string())
        .service("any.error", async || {
            Err::<(), _>(Error::undeclared(std::io::Error::other("disk on fire")))
        })
        .service("nan", async || f64::NAN)
        .no_listener()
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn functions_and_closures_are_handlers() {
    let node = node().await;
    let say = async |service: &'static str, input: Payload| {
        node.invoke(service, input)
            .await
            .map(|response| response.into_value())
    };
    let dict_in = || Payload::from(dict! { "cust_id": 7 });
    assert_eq!(
        say("typed", dict_in()).await.unwrap()["cust_name"],
        Value::from("customer 7")
    );
    assert_eq!(
        say("closure", Payload::Value(21.into())).await.unwrap(),
        Value::Int(42)
    );
    assert_eq!(
        say("nothing", Payload::empty()).await.unwrap(),
        Value::from(dict! {})
    );
    assert_eq!(
        say("raw", dict_in()).await.unwrap(),
        Value::from(dict! { "cust_id": 7 })
    );
    assert_eq!(
        say("value", Payload::Value(Value::Null)).await.unwrap(),
        Value::Null
    );
    let all = say("everything", dict_in()).await.unwrap();
    assert_eq!(
        (&all["greeting"], &all["caller"]),
        (&"hello".into(), &"nobody".into())
    );
    assert!(
        say("cid.last", Payload::empty())
            .await
            .unwrap()
            .as_text()
            .is_some()
    );
}

#[tokio::test]
async fn responses_are_accessed_by_index_by_path_or_as_a_type() {
    let node = node().await;
    let response = node
        .invoke("raw", dict! { "a": dict! { "b": vec![1, 2] } })
        .await
        .unwrap();
    assert_eq!(response["a"]["b"][1], Value::Int(2));
    assert_eq!(response.at::<u8>("a.b.0").unwrap(), 1);
    let error = response.at::<u8>("a.x").unwrap_err();
    assert_eq!(error.field_violations()[0].path, "/a/x");
    let parsed: std::collections::HashMap<String, std::collections::HashMap<String, Vec<i32>>> =
        response.parse().unwrap();
    assert_eq!(parsed["a"]["b"], [1, 2]);
}

#[tokio::test]
async fn an_invalid_input_is_rejected_before_the_handler_runs() {
    let node = node().await;
    let error = node
        .invoke("typed", dict! { "cust_id": "many" })
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::InvalidArgument, "INPUT_INVALID")
    );
    let violation = &error.field_violations()[0];
    assert_eq!(
        (violation.path.as_str(), &*violation.code),
        ("/cust_id", "WRONG_TYPE")
    );
    let error = node.invoke("typed", ()).await.unwrap_err();
    assert_eq!(error.field_violations()[0].code, "MISSING");
}

#[tokio::test]
async fn an_undeclared_error_is_internal_and_hides_its_cause() {
    let node = node().await;
    let error = node.invoke("any.error", ()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Internal, "HANDLER_FAILED")
    );
    assert!(!error.message().contains("fire"));
}

/// Errors of other crates, and an error of this one that they hold.
#[tokio::test]
async fn handlers_return_errors_of_any_crate() {
    fn no_stock() -> Result<()> {
        Err(Error::failed_precondition("NO_STOCK", "nothing is left"))
    }
    async fn with_io() -> Result<(), std::io::Error> {
        std::fs::read("/does/not/exist").map(drop)
    }
    async fn with_question_mark() -> Result<()> {
        std::fs::read("/does/not/exist")?;
        Ok(())
    }
    async fn with_anyhow() -> anyhow::Result<()> {
        std::fs::read("/does/not/exist").context("reading the stock")?;
        Ok(())
    }
    async fn with_box(Input(wrong): Input<bool>) -> Result<(), BoxError> {
        match wrong {
            true => Err("disk on fire".into()),
            false => Ok(no_stock()?),
        }
    }
    async fn held_by_anyhow() -> anyhow::Result<()> {
        Ok(no_stock()?)
    }
    async fn below_anyhow() -> anyhow::Result<()> {
        no_stock().context("placing the order")
    }
    let node = Node::builder()
        .service("io", with_io)
        .service("question.mark", with_question_mark)
        .service("anyhow", with_anyhow)
        .service("box", with_box)
        .service("held", held_by_anyhow)
        .service("below", below_anyhow)
        .no_listener();
    let node = node.start().await.unwrap();
    for name in ["io", "question.mark", "anyhow"] {
        let error = node.invoke(name, ()).await.unwrap_err();
        assert_eq!(error.reason(), "HANDLER_FAILED", "{name}");
        assert_eq!(error.kind(), Kind::Internal, "{name}");
        assert!(!error.message().contains("No such file"), "{name}");
        let trace = error.trace().unwrap();
        assert!(trace.contains("No such file"), "{name}: {trace}");
    }
    let error = node.invoke("box", true).await.unwrap_err();
    assert_eq!(error.reason(), "HANDLER_FAILED");
    for name in ["held", "below"] {
        let error = node.invoke(name, ()).await.unwrap_err();
        assert_eq!(error.reason(), "NO_STOCK", "{name}");
        assert_eq!(error.message(), "nothing is left", "{name}");
    }
    let error = node.invoke("box", false).await.unwrap_err();
    assert_eq!(error.reason(), "NO_STOCK");
}

#[tokio::test]
async fn a_missing_state_prevents_the_start() {
    async fn needs(State(Greeting(greeting)): State<Greeting>) -> &'static str {
        greeting
    }
    let builder = Node::builder().service("needs", needs).no_listener();
    let error = builder.start().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::FailedPrecondition, "STATE_MISSING")
    );
    assert!(error.message().contains("Greeting") && error.message().contains("needs"));
}

#[tokio::test]
async fn names_are_unique_and_response_elem_wraps_responses() {
    let twice = Node::builder()
        .service("a", async || 1)
        .service("a", async || 2)
        .no_listener();
    let error = twice.start().await.unwrap_err();
    assert_eq!(error.reason(), "SERVICE_EXISTS");
    let nameless = Node::builder()
        .service("not a name", async || 1)
        .no_listener();
    assert_eq!(
        nameless.start().await.unwrap_err().kind(),
        Kind::InvalidArgument
    );
    let wrapped = Definition::new("w", async || 1)
        .unwrap()
        .response_elem("elem");
    let node = Node::builder()
        .register(wrapped)
        .no_listener()
        .start()
        .await
        .unwrap();
    assert_eq!(node.invoke("w", ()).await.unwrap()["elem"], Value::Int(1));
}
