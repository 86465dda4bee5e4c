//! The span of a request of plain HTTP, by the conventions of OpenTelemetry for HTTP.

use axum::body::Body;
use http::{HeaderMap, Response};

use super::problem::Problem;
use super::route::Route;
use crate::codec::status::CID_HEADER;
use crate::edge::server_span::begin_span;
use crate::engine::trace::{Span, Tracer};

/// Begins the span of a request, if its trace is recorded. What the request causes has it as its parent.
pub(super) fn begin(
    tracer: &Tracer,
    route: Route,
    method: &str,
    headers: &mut HeaderMap,
) -> Option<Span> {
    if !tracer.is_on() || route.is_of_operators() {
        return None;
    }
    let pattern = route.pattern();
    let mut span = begin_span(tracer, headers, || format!("{method} {pattern}"))?;
    span.set_text("http.request.method", method.to_owned());
    span.set_text("http.route", pattern);
    Some(span)
}

/// Ends the span of a request with its answer. Of a stream, that is its beginning.
pub(super) fn end(mut span: Span, answered: &Result<Response<Body>, Problem>) {
    let status = match answered {
        Ok(response) => response.status(),
        Err(problem) => {
            span.fail(problem.error());
            problem.status()
        }
    };
    span.set_number("http.response.status_code", i64::from(status.as_u16()));
    let headers = answered.as_ref().ok().map(Response::headers);
    let cid = headers.and_then(|headers| headers.get(CID_HEADER)?.to_str().ok());
    if let Some(cid) = cid {
        span.set_text("cidery.cid", cid.to_owned());
    }
}
