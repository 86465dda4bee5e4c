//! The spans of invocations that run in the background, by the conventions of OpenTelemetry for messages: the
//! acceptance publishes one, and its attempts process it. They are in one trace, and linked as well.

use std::sync::Arc;

use jiff::Timestamp;

use super::span::{Span, SpanKind};
use super::tracer::Tracer;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;
use crate::model::metadata::{Metadata, TRACEPARENT};
use crate::model::trace::is_same_trace;

/// The span that an accepted invocation is caused by.
pub(in crate::engine) fn publish(tracer: &Tracer, invocation: &mut Invocation) -> Option<Span> {
    if !tracer.is_on() {
        return None;
    }
    let request = &invocation.request;
    let service = request.service.as_str();
    let name = || Span::name_of("publish", service);
    let mut span = tracer.child(&request.metadata, SpanKind::Producer, name)?;
    describe(&mut span, "publish", "send", request.cid, service);
    span.set_invocation(request.cid, &request.service);
    put_context(invocation, &span);
    Some(span)
}

/// The spans of invocations that are accepted together, each for itself.
pub(in crate::engine) fn publish_each(
    tracer: &Tracer,
    invocations: &mut [Invocation],
) -> Vec<Span> {
    if !tracer.is_on() {
        return Vec::new();
    }
    let invocations = invocations.iter_mut();
    invocations
        .filter_map(|invocation| publish(tracer, invocation))
        .collect()
}

/// The one span that a group and its members are caused by. A member that has a trace of its own stays in that.
pub(in crate::engine) fn publish_group(
    tracer: &Tracer,
    group: &mut Invocation,
    members: &mut [Invocation],
) -> Option<Span> {
    if !tracer.is_on() {
        return None;
    }
    let name = || "publish batch".to_owned();
    let metadata = group.request.metadata.clone();
    let mut span = tracer.child(&metadata, SpanKind::Producer, name)?;
    describe(&mut span, "publish", "send", group.request.cid, "batch");
    span.set_invocation(group.request.cid, &group.request.service);
    let count = i64::try_from(members.len()).unwrap_or(i64::MAX);
    span.set_number("messaging.batch.message_count", count);
    let own = metadata.get(TRACEPARENT).unwrap_or_default();
    for invocation in members.iter_mut().chain([group]) {
        let trace = invocation.request.metadata.get(TRACEPARENT);
        if trace.is_some_and(|trace| is_same_trace(trace, own)) {
            put_context(invocation, &span);
        }
    }
    Some(span)
}

/// Describes an attempt, and links it to what it processes.
pub(super) fn process(attempt: &mut Span, cid: Cid, service: &str) {
    describe(attempt, "process", "process", cid, service);
    attempt.link_parent();
}

/// The span of a call that waits for its turn. `since` an earlier time, if it has waited until now.
pub(in crate::engine) fn queued(
    tracer: &Tracer,
    metadata: &Metadata,
    cid: Cid,
    service: &ServiceName,
    since: Option<Timestamp>,
) -> Option<Span> {
    let name = || Span::name_of("queue", service.as_str());
    let mut span = tracer.child(metadata, SpanKind::Internal, name)?;
    span.set_invocation(cid, service);
    if let Some(since) = since {
        span.set_start(since);
    }
    Some(span)
}

fn describe(span: &mut Span, name: &'static str, kind: &'static str, cid: Cid, service: &str) {
    span.set_text("messaging.system", "cidery");
    span.set_text("messaging.operation.name", name);
    span.set_text("messaging.operation.type", kind);
    span.set_text("messaging.destination.name", service.to_owned());
    span.set_text("messaging.message.id", cid.to_string());
}

/// Makes an invocation a consequence of a span.
fn put_context(invocation: &mut Invocation, span: &Span) {
    let request = Arc::make_mut(&mut invocation.request);
    let context = span.context().to_string();
    request.metadata.insert(TRACEPARENT, context);
}
