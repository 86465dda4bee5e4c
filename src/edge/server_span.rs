//! The span of a request, by the conventions of OpenTelemetry for RPCs. It ends with the response.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::codec::convert::DISPATCH_KEY;
use crate::codec::status::{CID_HEADER, from_status};
use crate::edge::grpc::{LONG_LIVED_STREAMS, trace_headers};
use crate::engine::trace::{Span, SpanKind, Tracer};
use crate::model::error::{Error, Kind, reason};
use crate::model::metadata::{TRACEPARENT, TRACESTATE};
use crate::model::trace::TraceContext;

const TRACEPARENT_HEADER: HeaderName = HeaderName::from_static(TRACEPARENT);
const TRACESTATE_HEADER: HeaderName = HeaderName::from_static(TRACESTATE);
const DISPATCH_HEADER: HeaderName = HeaderName::from_static(DISPATCH_KEY);
/// Probes ask often, and mean no work.
const HEALTH_PREFIX: &str = "/grpc.health.v1.";
/// The longest name of a method that is a name of a span.
const MAX_METHOD_BYTES: usize = 128;

/// The span of a request that is answered. Dropped before its response has ended, the request was cancelled.
#[derive(Debug)]
pub(super) struct ServerSpan {
    /// `None` once it has ended.
    span: Option<Span>,
}

impl ServerSpan {
    /// Begins the span of a gRPC request, if its trace is recorded. What the request causes has it as its parent.
    #[inline]
    pub(super) fn begin<B>(tracer: &Tracer, request: &mut Request<B>) -> Option<Self> {
        match tracer.is_on() {
            false => None,
            true => Self::begin_recorded(tracer, request),
        }
    }

    fn begin_recorded<B>(tracer: &Tracer, request: &mut Request<B>) -> Option<Self> {
        let path = request.uri().path();
        // A stream of a worker lasts for days: its dispatches have spans of their own.
        if path.starts_with(HEALTH_PREFIX) || LONG_LIVED_STREAMS.contains(&path) {
            return None;
        }
        let headers = request.headers();
        // A call of a worker's handler is part of the trace of that handler, or of none.
        if headers.contains_key(DISPATCH_HEADER) && caller_of(headers).is_none() {
            return None;
        }
        // It shares its text: a call that is not recorded allocates nothing.
        let uri = request.uri().clone();
        let method = Method::of(uri.path());
        let mut span = begin_span(tracer, request.headers_mut(), || method.to_string())?;
        span.set_text("rpc.system", "grpc");
        span.set_text("rpc.service", method.service.to_owned());
        span.set_text("rpc.method", method.name.to_owned());
        Some(Self { span: Some(span) })
    }

    /// Ends the span with the response, once that has ended.
    pub(super) fn follow(mut self, response: Response<Body>) -> Response<Body> {
        let headers = response.headers();
        let cid = headers.get(CID_HEADER).and_then(|cid| cid.to_str().ok());
        if let (Some(cid), Some(span)) = (cid, &mut self.span) {
            span.set_text("cidery.cid", cid.to_owned());
        }
        if headers.contains_key(Status::GRPC_STATUS) {
            self.end(headers);
            return response;
        }
        response.map(|inner| Body::new(Followed { inner, span: self }))
    }

    /// Ends the span with the status that headers or trailers have.
    fn end(&mut self, headers: &HeaderMap) {
        let status = headers.get(Status::GRPC_STATUS);
        let code = status.map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()));
        let error = (code != Code::Ok)
            .then(|| Status::from_header_map(headers))
            .flatten();
        self.end_as(code, error.map(|status| from_status(&status)).as_ref());
    }

    fn end_as(&mut self, code: Code, error: Option<&Error>) {
        let Some(mut span) = self.span.take() else {
            return;
        };
        span.set_number("rpc.grpc.status_code", i64::from(code as i32));
        if let Some(error) = error {
            span.fail(error);
        }
    }
}

/// Begins the span of a request, if its trace is recorded, and makes it the parent of what the request causes.
pub(super) fn begin_span(
    tracer: &Tracer,
    headers: &mut HeaderMap,
    name: impl FnOnce() -> String,
) -> Option<Span> {
    let caller = caller_of(headers);
    let mut span = tracer.request(caller, SpanKind::Server, name)?;
    match trace_headers(headers)
        .tracestate
        .filter(|_| caller.is_some())
    {
        Some(tracestate) => span.set_tracestate(tracestate),
        // That of another trace.
        None => drop(headers.remove(TRACESTATE_HEADER)),
    }
    if let Ok(context) = HeaderValue::try_from(span.context().to_string()) {
        headers.insert(TRACEPARENT_HEADER, context);
    }
    Some(span)
}

/// The trace context of the caller.
fn caller_of(headers: &HeaderMap) -> Option<TraceContext> {
    trace_headers(headers)
        .traceparent
        .and_then(TraceContext::parse)
}

impl Drop for ServerSpan {
    fn drop(&mut self) {
        if self.span.is_some() {
            let error = Error::new(Kind::Cancelled, reason::CANCELLED, "the caller has left");
            self.end_as(Code::Cancelled, Some(&error));
        }
    }
}

/// The method that a path names.
#[derive(Clone, Copy)]
struct Method<'a> {
    service: &'a str,
    name: &'a str,
}

impl<'a> Method<'a> {
    /// Paths that can be no method have one name: anybody can make up others.
    fn of(path: &'a str) -> Self {
        let is_name = |text: &str| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !text.is_empty() && text.bytes().all(is_part)
        };
        let known = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        let known = known.filter(|(service, name)| {
            path.len() <= MAX_METHOD_BYTES && is_name(service) && is_name(name)
        });
        let (service, name) = known.unwrap_or(("unknown", "unknown"));
        Self { service, name }
    }
}

impl std::fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.service, self.name)
    }
}

/// A body whose trailers, or whose end, end the span.
struct Followed {
    inner: Body,
    span: ServerSpan,
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            self.span.end(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_method_has_one_name() {
        let name = |path: &str| Method::of(path).to_string();
        let invoke = "/cidery.v1.InvocationService/Invoke";
        assert_eq!(name(invoke), "cidery.v1.InvocationService/Invoke");
        assert_eq!(name("/customer.Service/Get"), "customer.Service/Get");
        let long = format!("/a/{}", "b".repeat(MAX_METHOD_BYTES));
        for path in [
            "", "/", "/a", "/a/", "//b", "/a/b/c", "/a/%20", "/ä/b", &long,
        ] {
            assert_eq!(name(path), "unknown/unknown", "{path}");
        }
    }
}
