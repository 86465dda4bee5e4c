//! Spans as OTLP has them.

use jiff::Timestamp;

use crate::codec::proto::otlp::collector::trace::v1::ExportTraceServiceRequest;
use crate::codec::proto::otlp::common::v1::any_value::Value;
use crate::codec::proto::otlp::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use crate::codec::proto::otlp::resource::v1::Resource;
use crate::codec::proto::otlp::trace::v1::span::{Event, Link, SpanKind as Kind};
use crate::codec::proto::otlp::trace::v1::status::StatusCode;
use crate::codec::proto::otlp::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use crate::engine::trace::{AttributeValue, SpanData, SpanFailure, SpanKind};
use crate::model::trace::TraceContext;

/// The flags of a span: its trace is recorded, and it is known whether its parent is a span of another process.
const FLAGS: u32 = 0x101;
/// It is one.
const PARENT_IS_REMOTE: u32 = 0x200;

/// What the node is.
pub(super) fn resource_of(attributes: &[(String, String)]) -> Resource {
    let attributes = attributes.iter();
    Resource {
        attributes: attributes.map(|(key, value)| text(key, value)).collect(),
        ..Resource::default()
    }
}

/// The request that sends spans.
pub(super) fn request_of(spans: Vec<SpanData>, resource: &Resource) -> ExportTraceServiceRequest {
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = ScopeSpans {
        scope: Some(scope),
        spans: spans.into_iter().map(span).collect(),
        ..ScopeSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![spans],
            ..ResourceSpans::default()
        }],
    }
}

fn span(data: SpanData) -> Span {
    let parent = data.parent.map(|id| id.to_be_bytes().to_vec());
    let remote = u32::from(data.parent_is_remote) * PARENT_IS_REMOTE;
    let error = data.failure.filter(|failure| failure.is_error);
    let attributes = data.attributes.into_iter();
    Span {
        trace_id: data.context.trace_id.to_be_bytes().to_vec(),
        span_id: data.context.span_id.to_be_bytes().to_vec(),
        trace_state: data.tracestate,
        parent_span_id: parent.unwrap_or_default(),
        flags: FLAGS | remote,
        name: data.name,
        kind: kind(data.kind).into(),
        start_time_unix_nano: nanoseconds(data.start),
        end_time_unix_nano: nanoseconds(data.end),
        attributes: attributes
            .map(|(key, value)| attribute(key, value))
            .collect(),
        events: error.iter().map(exception).collect(),
        links: data.link.iter().map(link).collect(),
        status: error.map(|failure| Status {
            message: failure.reason,
            code: StatusCode::Error.into(),
        }),
        ..Span::default()
    }
}

fn kind(kind: SpanKind) -> Kind {
    match kind {
        SpanKind::Internal => Kind::Internal,
        SpanKind::Server => Kind::Server,
        SpanKind::Client => Kind::Client,
        SpanKind::Producer => Kind::Producer,
        SpanKind::Consumer => Kind::Consumer,
    }
}

/// The event of a failure. Its message stays here: it may quote what a caller sent.
fn exception(failure: &SpanFailure) -> Event {
    Event {
        time_unix_nano: nanoseconds(failure.time),
        name: "exception".to_owned(),
        attributes: vec![text("exception.type", &failure.reason)],
        ..Event::default()
    }
}

fn link(context: &TraceContext) -> Link {
    Link {
        trace_id: context.trace_id.to_be_bytes().to_vec(),
        span_id: context.span_id.to_be_bytes().to_vec(),
        flags: u32::from(context.sampled),
        ..Link::default()
    }
}

fn attribute(key: &str, value: AttributeValue) -> KeyValue {
    let value = match value {
        AttributeValue::Text(text) => Value::StringValue(text.into_owned()),
        AttributeValue::Number(number) => Value::IntValue(number),
    };
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, AttributeValue::Text(value.to_owned().into()))
}

fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or_default()
}
