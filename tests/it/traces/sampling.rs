//! Which traces are recorded: those of callers that record theirs, and a share of those that begin at the node.

use std::path::Path;

use cidery::dict;
use cidery::remote::client::ContractClient;

use super::collector::Collector;
use super::{CALLER, TRACE, Traced, has, named};

const INVOKE: &str = "cidery.v1.InvocationService/Invoke";
const PING: &str = "cidery.ping";

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_its_caller_does_not_record_is_not_recorded_here() {
    let collector = Collector::start().await;
    let node = Traced::start_with(&collector, &["--trace-sample", "1"], &[]).await;
    let unrecorded = format!("00-{TRACE}-{CALLER}-00");
    let silent = node
        .client
        .clone()
        .trace_context(move || Some(unrecorded.clone()));
    silent.invoke(PING, dict! {}).await.unwrap();
    // A new trace begins, without a parent.
    node.client.invoke(PING, dict! {}).await.unwrap();
    let spans = collector
        .until("the call", |spans| has(spans, INVOKE))
        .await;
    let invoke = named(&spans, INVOKE);
    assert_ne!(invoke.trace, TRACE);
    assert_eq!(invoke.parent, "");
    assert_eq!(named(&spans, "attempt cidery.ping").parent, invoke.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_new_trace_is_recorded_where_none_is_to_be() {
    let collector = Collector::start().await;
    let node = Traced::start(&collector).await;
    node.client.invoke(PING, dict! {}).await.unwrap();
    node.recording().invoke(PING, dict! {}).await.unwrap();
    let spans = collector
        .until("the call", |spans| has(spans, INVOKE))
        .await;
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");
    assert_eq!(named(&spans, INVOKE).parent, CALLER);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_context_begins_a_trace_and_its_tracestate_is_dropped() {
    let collector = Collector::start().await;
    let node = Traced::start_with(&collector, &["--trace-sample", "100%"], &[]).await;
    let mut stub = stub(&node).await;
    let mut request = invoke_request("cidery.ping");
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", "00-nonsense".parse().unwrap());
    metadata.insert("tracestate", "a=b".parse().unwrap());
    stub.invoke(request).await.unwrap();
    let spans = collector
        .until("the call", |spans| has(spans, INVOKE))
        .await;
    assert_eq!(named(&spans, INVOKE).parent, "");
    assert!(
        spans.iter().all(|span| span.tracestate.is_empty()),
        "{spans:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracestate_is_handed_on_with_the_trace() {
    let collector = Collector::start().await;
    let node = Traced::start(&collector).await;
    let mut request = invoke_request("cidery.ping");
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", super::recorded().parse().unwrap());
    metadata.insert("tracestate", "vendor=opaque".parse().unwrap());
    stub(&node).await.invoke(request).await.unwrap();
    let spans = collector
        .until("the call", |spans| has(spans, INVOKE))
        .await;
    for name in [INVOKE, "attempt cidery.ping"] {
        assert_eq!(named(&spans, name).tracestate, "vendor=opaque");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_variables_of_opentelemetry_are_weaker_than_the_options() {
    let collector = Collector::start().await;
    let url = collector.url();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20swordfish",
        ),
        ("OTEL_SERVICE_NAME", "orders"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "team=a%20b,deployment.environment.name=test",
        ),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0"),
    ];
    let environment = environment.map(|(name, value)| (name, Path::new(value)));
    let options = ["--trace-sample", "1", "--log", "trace"];
    let mut server = crate::support::binary::Server::start_in(&options, &environment);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let call = cidery::model::call::Call::new(PING, dict! {});
    client.invoke(call).await.unwrap();
    collector
        .until("the call", |spans| has(spans, INVOKE))
        .await;
    let (headers, request) = collector.requests().remove(0);
    assert_eq!(headers.get("authorization").unwrap(), "Bearer swordfish");
    let resource = request.resource_spans[0].resource.clone().unwrap();
    let resource = super::collector::texts(&resource.attributes);
    for (key, value) in [
        ("service.name", "orders"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("team", "a b"),
        ("deployment.environment.name", "test"),
    ] {
        assert_eq!(resource[key], value, "{resource:?}");
    }
    let instance = resource["service.instance.id"].parse::<cidery::Cid>();
    assert!(instance.is_ok(), "{resource:?}");
    let (log, status) = server.terminate();
    assert!(status.success());
    assert!(!log.contains("swordfish"), "{log}");
}

async fn stub(
    node: &Traced,
) -> cidery::codec::proto::v1::invocation_service_client::InvocationServiceClient<
    tonic::transport::Channel,
> {
    let url = format!("http://{}", node.server.address);
    let connected =
        cidery::codec::proto::v1::invocation_service_client::InvocationServiceClient::connect(url);
    connected.await.unwrap()
}

fn invoke_request(service: &str) -> tonic::Request<cidery::codec::proto::v1::InvokeRequest> {
    tonic::Request::new(cidery::codec::proto::v1::InvokeRequest {
        service: service.to_owned(),
        ..Default::default()
    })
}
