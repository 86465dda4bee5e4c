//! Tower layers of a service: they wrap its handler, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use cidery::{
    Context, Definition, Dict, Error, HandlerRequest, HandlerService, Input, Kind, Node, Payload,
    Registry, Reply, Result, Value, Worker, dict,
};
use tokio::sync::Semaphore;
use tower::Service;
use tower::layer::layer_fn;
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;

use crate::support::{TestNode, any_port, until};

/// Adds a letter to the input's `path` before the handler, and refuses an input that is marked.
#[derive(Clone)]
struct Marks<S> {
    inner: S,
    letter: &'static str,
}

impl<S: Service<HandlerRequest, Response = Reply, Error = Error>> Service<HandlerRequest>
    for Marks<S>
where
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = Error;
    type Future = futures_util::future::Either<std::future::Ready<Result<Reply>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: HandlerRequest) -> Self::Future {
        use futures_util::future::Either;
        let refused = request.context.metadata().get("refuse").is_some();
        if refused {
            let error = Error::new(Kind::PermissionDenied, "REFUSED", "refused");
            return Either::Left(std::future::ready(Err(error)));
        }
        let mut dict = match cidery::codec::payload::decode(request.input) {
            Ok(Value::Dict(dict)) => dict,
            other => panic!("{other:?}"),
        };
        let path = dict
            .get("path")
            .and_then(Value::as_text)
            .unwrap_or_default();
        dict.insert("path", format!("{path}{}", self.letter));
        request.input = Payload::from(dict);
        Either::Right(self.inner.call(request))
    }
}

fn marks<S>(letter: &'static str) -> impl Fn(S) -> Marks<S> + Clone {
    move |inner| Marks { inner, letter }
}

async fn returns(input: Dict) -> Dict {
    input
}

#[tokio::test]
async fn layers_nest_and_see_the_input_and_the_outcome() {
    let definition = Definition::new("a.marked", returns)
        .unwrap()
        .layer(layer_fn(marks::<HandlerService>("i")))
        .layer(layer_fn(marks("o")));
    let mut registry = Registry::new();
    registry.register(definition).unwrap();
    registry.service("a.plain", returns).unwrap();
    let registry = registry.layer(layer_fn(marks("r")));
    let node = Node::builder().register(registry.clone()).no_listener();
    let node = node.start().await.unwrap();
    let marked = node.invoke("a.marked", dict! {}).await.unwrap();
    assert_eq!(marked["path"], Value::from("roi"));
    let plain = node.invoke("a.plain", dict! {}).await.unwrap();
    assert_eq!(plain["path"], Value::from("r"));
    let refused = node.invoke("a.plain", dict! {}).metadata("refuse", "1");
    assert_eq!(refused.await.unwrap_err().reason(), "REFUSED");

    let node = Node::builder().listen(any_port()).start().await.unwrap();
    let address = node.address().unwrap().to_string();
    let worker = Worker::builder().register(registry).connect(&address);
    let worker = worker.await.unwrap();
    let marked = node.invoke("a.marked", dict! {}).await.unwrap();
    assert_eq!(marked["path"], Value::from("roi"));
    worker.stop().await;
}

/// Those that are added before and after the layer, in a node and in a worker.
#[tokio::test]
async fn a_layer_of_a_builder_wraps_all_services() {
    let node = Node::builder()
        .service("a.first", returns)
        .layer(layer_fn(marks::<HandlerService>("i")))
        .layer(layer_fn(marks("o")))
        .service("a.second", returns)
        .listen(any_port());
    let node = node.start().await.unwrap();
    let address = node.address().unwrap().to_string();
    let worker = Worker::builder()
        .layer(layer_fn(marks::<HandlerService>("i")))
        .layer(layer_fn(marks("o")))
        .service("a.third", returns);
    let worker = worker.connect(&address).await.unwrap();
    for service in ["a.first", "a.second", "a.third"] {
        let marked = node.invoke(service, dict! {}).await.unwrap();
        assert_eq!(marked["path"], Value::from("oi"), "{service}");
    }
    worker.stop().await;
}

/// The node checks the input before a layer sees it, also where the handler would check it later.
#[tokio::test]
async fn layers_see_only_inputs_that_were_checked() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let counts = layer_fn(move |inner: HandlerService| {
        let seen = Arc::clone(&counter);
        tower::util::MapRequest::new(inner, move |request: HandlerRequest| {
            seen.fetch_add(1, Ordering::SeqCst);
            request
        })
    });
    let definition = Definition::new("a.value", async |value: Value| value);
    let builder = Node::builder().register(definition.unwrap().layer(counts));
    let node = TestNode::start(builder).await;
    let malformed = Payload::Struct(b"\xff\xff".as_slice().into());
    let error = node.handle.invoke("a.value", malformed).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert_eq!(seen.load(Ordering::SeqCst), 0);
    node.handle.invoke("a.value", 1).await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn layers_of_tower_limit_and_time_out() {
    let (gate, running) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (opened, seen) = (Arc::clone(&gate), Arc::clone(&running));
    let waits = move |Input(n): Input<i64>| {
        let (gate, running) = (Arc::clone(&gate), Arc::clone(&running));
        async move {
            running.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            n
        }
    };
    let limited = Definition::new("a.limited", waits).unwrap();
    let never = Definition::new("a.never", async || std::future::pending::<()>().await).unwrap();
    let fails = async |ctx: Context| -> Result<()> {
        Err(Error::not_found(
            "NOTHING",
            format!("nothing for {}", ctx.service()),
        ))
    };
    let fails = Definition::new("a.fails", fails).unwrap();
    let full = Definition::new("a.full", async || {}).unwrap();
    let full = full.layer(
        tower::ServiceBuilder::new()
            .layer(LoadShedLayer::new())
            .layer(ConcurrencyLimitLayer::new(0)),
    );
    let node = Node::builder()
        .register(limited.layer(ConcurrencyLimitLayer::new(1)))
        .register(never.layer(TimeoutLayer::new(Duration::from_millis(1))))
        .register(full)
        .register(fails.layer(TimeoutLayer::new(crate::support::PATIENCE)));
    let node = node.no_listener().start().await.unwrap();
    let both = async {
        let calls = (node.invoke("a.limited", 1), node.invoke("a.limited", 2));
        tokio::join!(calls.0.into_future(), calls.1.into_future())
    };
    let opens = async {
        until("one runs", || seen.load(Ordering::SeqCst) == 1).await;
        opened.add_permits(1);
        until("the other one runs", || seen.load(Ordering::SeqCst) == 2).await;
        opened.add_permits(1);
    };
    let ((one, other), ()) = tokio::join!(both, opens);
    assert_eq!(one.unwrap().parse::<i64>().unwrap(), 1);
    assert_eq!(other.unwrap().parse::<i64>().unwrap(), 2);

    let error = node.invoke("a.never", ()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::DeadlineExceeded, "HANDLER_TIMEOUT")
    );
    let error = node.invoke("a.full", ()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::ResourceExhausted, "OVERLOADED")
    );
    // The error of the handler survives the boxed error of the layer.
    let error = node.invoke("a.fails", ()).await.unwrap_err();
    assert_eq!(error.reason(), "NOTHING");
}
