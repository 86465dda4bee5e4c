//! The span of a request of plain HTTP, by the conventions of OpenTelemetry for HTTP.

use axum::body::Body;
use http::{HeaderMap, Response};

use super::problem::Problem;
use super::route::Route;
use crate::codec::status::CID_HEADER;
use crate::edge::server_span::begin_span;
use crate::engine::trace::{Span, Tracer};
use crate::model::id::ServiceName;

/// Begins the span of a request, if its trace is recorded. What the request causes has it as its parent. `name` is the
/// part of the path that names a service or an invocation.
pub(super) fn begin(
    tracer: &Tracer,
    route: Route,
    name: &str,
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
    if route == Route::Invoke && ServiceName::parse(name).is_ok() {
        span.set_text("cidery.service", name.to_owned());
    }
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
    let cid = match answered {
        Ok(response) => response
            .headers()
            .get(CID_HEADER)
            .and_then(|cid| Some(cid.to_str().ok()?.to_owned())),
        Err(problem) => problem.error().cid().map(|cid| cid.to_string()),
    };
    if let Some(cid) = cid {
        span.set_text("cidery.cid", cid);
    }
}
