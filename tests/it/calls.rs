//! Calls have one shape: by name or by types, from a handler, a client and a node's handle.

use std::time::Duration;

use cidery::testing::Run;
use cidery::{
    Caller, Cid, Client, Context, Definition, Input, Kind, Node, NodeBuilder, NodeHandle,
    OnDeadline, Registry, Result, Service, Worker, dict,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::support::{PATIENCE, any_port};

#[derive(Deserialize, JsonSchema, Serialize)]
struct Place {
    item: String,
    count: u32,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
struct Order {
    id: u64,
    total: u32,
}

const PLACE: Service<Place, Order> = Service::new("order.place");

async fn place(Input(req): Input<Place>) -> Result<Order> {
    Ok(Order {
        id: 7,
        total: req.count * 10,
    })
}

async fn ping() -> String {
    "pong".to_owned()
}

fn pens(count: u32) -> Place {
    Place {
        item: "pen".to_owned(),
        count,
    }
}

/// Calls in each shape, through any caller.
async fn call_in_each_shape(caller: &impl Caller) -> Result<()> {
    let order = Order { id: 7, total: 20 };
    let response = caller.invoke("order.place", &pens(2)).await?;
    assert_eq!(response.at::<u32>("total")?, 20);
    let by_dict = caller.invoke("order.place", dict! { "item": "pen", "count": 2 });
    assert_eq!(by_dict.await?.parse::<Order>()?, order);
    assert_eq!(caller.call(PLACE, pens(2)).await?, order);
    let timed = caller.call(PLACE, pens(2)).timeout(PATIENCE);
    assert_eq!(timed.metadata("a", "b").await?, order);
    let cid = caller.invoke_async("order.place", &pens(1)).await?;
    let same = caller.call_async(PLACE, pens(1)).cid(cid).accept().await?;
    assert_eq!((same.cid, same.already_accepted), (cid, true));
    let not_text = std::collections::HashMap::from([(vec![1], 2)]);
    let error = caller.invoke("order.place", &not_text).await.unwrap_err();
    assert_eq!(error.reason(), "VALUE_INVALID");
    let error = caller.invoke_async("order.place", &not_text).await;
    assert_eq!(error.unwrap_err().reason(), "VALUE_INVALID");
    Ok(())
}

/// Calls handlers by function, through a caller in their process.
macro_rules! call_by_function {
    ($caller:expr) => {
        assert_eq!($caller.call(place, pens(3)).await?.total, 30);
        assert_eq!($caller.call(ping, ()).await?, "pong");
        $caller.call_async(place, pens(3)).await?;
    };
}

async fn node_calls_by_function(node: &NodeHandle) -> Result<()> {
    call_by_function!(node);
    Ok(())
}

async fn calls_all(ctx: Context) -> Result<()> {
    call_in_each_shape(&ctx).await?;
    call_by_function!(ctx);
    let label = ctx.call_async(place, pens(1)).once("one").await?;
    assert_eq!(ctx.call_async(PLACE, pens(1)).once("one").await?, label);
    let calls = [("order.place", &pens(1)), ("order.place", &pens(2))];
    let outcomes = ctx.fan_out(calls).join().await?;
    assert_eq!(outcomes.len(), 2);
    let not_text = std::collections::HashMap::from([(vec![1], 2)]);
    let error = ctx.fan_out([("order.place", &not_text)]).await.unwrap_err();
    assert_eq!(error.reason(), "VALUE_INVALID");
    let error = ctx.emit(&not_text).await.unwrap_err();
    assert_eq!(error.reason(), "OUTPUT_INVALID");
    Ok(())
}

fn builder() -> NodeBuilder {
    Node::builder()
        .service("order.place", place)
        .service("ops.ping", ping)
        .service("calls.all", calls_all)
}

async fn start(builder: NodeBuilder) -> (NodeHandle, Client) {
    let node = builder.listen(any_port()).start().await.unwrap();
    let address = node.address().unwrap().to_string();
    let client = Client::connect(&address).await.unwrap().max_attempts(2);
    (node, client)
}

#[tokio::test]
async fn handlers_clients_and_nodes_call_alike() {
    let (node, client) = start(builder()).await;
    call_in_each_shape(&node).await.unwrap();
    node_calls_by_function(&node).await.unwrap();
    call_in_each_shape(&client).await.unwrap();
    node.call(calls_all, ()).await.unwrap();
}

#[tokio::test]
async fn handlers_of_a_worker_call_alike() {
    let (node, _) = start(Node::builder()).await;
    let worker = Worker::builder()
        .service("order.place", place)
        .service("ops.ping", ping)
        .service("calls.all", calls_all);
    let address = node.address().unwrap().to_string();
    let worker = worker.connect(&address).await.unwrap();
    node.invoke("calls.all", ()).await.unwrap();
    // The node knows the functions of its own services only.
    let error = node.call(place, pens(1)).await.unwrap_err();
    assert_eq!(error.reason(), "HANDLER_UNKNOWN");
    worker.stop().await;
}

#[tokio::test]
async fn a_function_has_one_name_or_is_not_called() {
    let registered = builder().service("order.place.again", place);
    let (node, _) = start(registered).await;
    let error = node.call(place, pens(1)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::FailedPrecondition, "HANDLER_AMBIGUOUS")
    );
    assert!(error.message().contains("calls::place"), "{error}");
    let unknown = async || "not registered".to_owned();
    let error = node.call(unknown, ()).await.unwrap_err();
    assert_eq!(error.reason(), "HANDLER_UNKNOWN");
}

/// An output that does not fit the caller's type is the caller's error.
#[tokio::test]
async fn an_output_that_does_not_fit_is_an_error_of_the_caller() {
    const WRONG: Service<Place, Vec<Order>> = Service::new("order.place");
    let (node, _) = start(builder()).await;
    let error = node.call(WRONG, pens(1)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Internal, "RESPONSE_MISMATCH")
    );
    let error = node.call(PLACE, pens(u32::MAX)).await.unwrap_err();
    assert_eq!(error.reason(), "HANDLER_PANICKED");
}

#[tokio::test]
async fn calls_from_outside_choose_their_cid_and_are_recorded() {
    let (node, client) = start(builder()).await;
    let cid = Cid::new();
    let response = client.invoke("order.place", &pens(1)).cid(cid).await;
    assert_eq!(response.unwrap().cid(), cid);
    let call = |key: &str| client.call(PLACE, pens(1)).idempotency_key(key);
    assert_eq!(call("a").await.unwrap(), call("a").await.unwrap());
    let first = node.invoke("ops.ping", ()).idempotency_key("b").await;
    let again = node.invoke("ops.ping", ()).idempotency_key("b").await;
    assert_eq!(first.unwrap().cid(), again.unwrap().cid());
    let continued = node.invoke("ops.ping", ()).cid(Cid::new());
    let continued = continued.on_deadline(OnDeadline::Continue).await.unwrap();
    let outcome = client.outcome(continued.cid(), Duration::ZERO).await;
    assert_eq!(
        outcome
            .unwrap()
            .unwrap()
            .unwrap()
            .parse::<String>()
            .unwrap(),
        "pong"
    );
}

#[tokio::test]
async fn a_test_names_the_functions_that_a_handler_calls() {
    async fn buys(ctx: Context) -> Result<u64> {
        Ok(ctx.call(place, pens(1)).await?.id)
    }
    let run = Run::of(buys)
        .unwrap()
        .service("order.place", place)
        .unwrap();
    let order = |_| cidery::to_value(&Order { id: 9, total: 1 });
    let result = run.answer("order.place", order).run(()).await;
    assert_eq!(result.response().unwrap().parse::<u64>().unwrap(), 9);
    let result = Run::of(buys).unwrap().run(()).await;
    assert_eq!(result.response().unwrap_err().reason(), "HANDLER_UNKNOWN");
}

/// `service` and `add` are the ways to add services, to a registry, a node and a worker.
#[tokio::test]
async fn definitions_and_registries_are_added_alike() {
    let definition = |name| Definition::new(name, ping).unwrap();
    let mut registry = Registry::new();
    registry.service("a.one", ping).unwrap();
    registry.register(definition("a.two")).unwrap();
    registry
        .register([definition("a.three"), definition("a.four")])
        .unwrap();
    let (node, client) = start(Node::builder().register(registry.clone())).await;
    assert_eq!(client.services("a.").await.unwrap().len(), 4);
    let mut twice = Registry::new();
    twice.register(registry.clone()).unwrap();
    assert_eq!(
        twice.register(registry).unwrap_err().reason(),
        "SERVICE_EXISTS"
    );
    let worker = Worker::builder().register([definition("b.one"), definition("b.two")]);
    let address = node.address().unwrap().to_string();
    let worker = worker.connect(&address).await.unwrap();
    assert_eq!(client.services("b.").await.unwrap().len(), 2);
    worker.stop().await;
}

/// A handler retries and fans out by types, with a handle and with a function.
#[tokio::test]
async fn a_handler_retries_and_fans_out_by_types() {
    async fn totals(ctx: Context) -> Result<Vec<u32>> {
        let retried = ctx
            .call_with_retry(PLACE, pens(1))
            .timeout(PATIENCE)
            .await?;
        let group = ctx.fan_out_calls(place, [pens(2), pens(3)]).await?;
        let joined = group.clone().join().await?;
        let orders = ctx.fan_out_calls(PLACE, (4..6).map(pens)).join().await?;
        let totals = joined
            .into_iter()
            .chain(orders)
            .map(|order| Ok(order?.total));
        std::iter::once(Ok(retried.total)).chain(totals).collect()
    }
    let node = Node::builder().service("order.place", place);
    let node = node.service("order.totals", totals).no_listener();
    let node = node.start().await.unwrap();
    let found = node.call(totals, ()).await.unwrap();
    assert_eq!(found, [10, 20, 30, 40, 50]);
}
