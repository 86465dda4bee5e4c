//! The span of a commit: what the store takes of an invocation, until it is durable.

use super::span::{Span, SpanKind};
use super::tracer::Tracer;
use crate::model::invocation::Request;

/// Begins the span of a commit that an accepted invocation, or the outcome of its attempt, waits for.
#[inline]
pub(in crate::engine) fn commit(tracer: &Tracer, request: &Request) -> Option<Span> {
    match tracer.is_on() {
        false => None,
        true => commit_recorded(tracer, request),
    }
}

fn commit_recorded(tracer: &Tracer, request: &Request) -> Option<Span> {
    let name = || "commit".to_owned();
    let mut span = tracer.child(&request.metadata, SpanKind::Internal, name)?;
    span.set_invocation(request.cid, &request.service);
    Some(span)
}
