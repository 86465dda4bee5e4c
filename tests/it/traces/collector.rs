//! A double of a collector: takes spans over OTLP/gRPC, and may refuse them or take its time.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use cidery::codec::proto::otlp::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use cidery::codec::proto::otlp::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use cidery::codec::proto::otlp::common::v1::any_value::Value;
use cidery::codec::proto::otlp::common::v1::{AnyValue, KeyValue};
use cidery::codec::proto::otlp::trace::v1::span::SpanKind;
use cidery::codec::proto::otlp::trace::v1::{Span, status::StatusCode};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::support::PATIENCE;
use crate::support::raw::spawn;

/// What a collector does with a request.
#[derive(Clone, Debug)]
pub(super) enum Mood {
    Takes,
    /// Refuses it with this code.
    Refuses(tonic::Code),
    /// Never answers.
    Sleeps,
}

/// A span as the tests look at it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// The `service.name` of the program that has sent it.
    pub(super) program: String,
    pub(super) name: String,
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) parent: String,
    pub(super) kind: SpanKind,
    pub(super) links: Vec<String>,
    pub(super) attributes: HashMap<String, String>,
    pub(super) is_error: bool,
    pub(super) events: Vec<String>,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) tracestate: String,
}

#[derive(Debug)]
struct State {
    mood: watch::Sender<Mood>,
    spans: watch::Sender<Vec<Seen>>,
    requests: watch::Sender<Vec<(MetadataMap, ExportTraceServiceRequest)>>,
}

/// A running collector.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    state: Arc<State>,
    pub(super) address: SocketAddr,
}

impl Collector {
    pub(super) async fn start() -> Self {
        Self::start_as(Mood::Takes).await
    }

    pub(super) async fn start_as(mood: Mood) -> Self {
        let listener = TcpListener::bind(crate::support::any_port()).await.unwrap();
        Self::start_on(listener, mood)
    }

    pub(super) fn start_on(listener: TcpListener, mood: Mood) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            mood: watch::channel(mood).0,
            spans: watch::channel(Vec::new()).0,
            requests: watch::channel(Vec::new()).0,
        });
        let collector = Self { state, address };
        let service = TraceServiceServer::new(collector.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        let incoming = TcpListenerStream::new(listener);
        drop(spawn(async move {
            server.serve_with_incoming(incoming).await.unwrap();
        }));
        collector
    }

    /// The address as an option of the node.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn set_mood(&self, mood: Mood) {
        self.state.mood.send_replace(mood);
    }

    pub(super) fn spans(&self) -> Vec<Seen> {
        self.state.spans.borrow().clone()
    }

    /// All requests so far, with their headers.
    pub(super) fn requests(&self) -> Vec<(MetadataMap, ExportTraceServiceRequest)> {
        self.state.requests.borrow().clone()
    }

    /// Waits until the spans so far are as expected, and returns them.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let mut spans = self.state.spans.subscribe();
        let seen = spans.wait_for(|spans| holds(spans));
        let Ok(seen) = tokio::time::timeout(PATIENCE, seen).await else {
            panic!("timeout: {what}: {:#?}", self.spans());
        };
        seen.unwrap().clone()
    }

    /// Waits until so many requests have arrived.
    pub(super) async fn until_requests(&self, count: usize) {
        let mut requests = self.state.requests.subscribe();
        let wait = requests.wait_for(|requests| requests.len() >= count);
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.expect("the collector is never asked").unwrap();
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (headers, _, message) = request.into_parts();
        let mood = self.state.mood.borrow().clone();
        self.state
            .requests
            .send_modify(|requests| requests.push((headers, message.clone())));
        match mood {
            Mood::Takes => {}
            Mood::Refuses(code) => return Err(Status::new(code, "not now")),
            Mood::Sleeps => std::future::pending().await,
        }
        let spans = message.resource_spans.into_iter().flat_map(|resource| {
            let attributes = resource.resource.unwrap_or_default().attributes;
            let program = texts(&attributes)
                .remove("service.name")
                .unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|it| it.spans);
            spans.map(move |span| seen(&program, span))
        });
        self.state.spans.send_modify(|seen| seen.extend(spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn seen(program: &str, span: Span) -> Seen {
    let is_error = span
        .status
        .as_ref()
        .is_some_and(|status| status.code() == StatusCode::Error);
    Seen {
        program: program.to_owned(),
        is_error,
        kind: span.kind(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
        events: span.events.iter().map(|event| event.name.clone()).collect(),
        attributes: texts(&span.attributes),
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        tracestate: span.trace_state,
        name: span.name,
    }
}

/// Attributes as texts.
pub(super) fn texts(attributes: &[KeyValue]) -> HashMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|it| it.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    };
    let attributes = attributes.iter();
    attributes
        .map(|attribute| (attribute.key.clone(), text(&attribute.value)))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
