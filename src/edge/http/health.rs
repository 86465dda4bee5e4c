//! `/healthz` and `/readyz`: the health of the node for load balancers and probes that do not call gRPC.

use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::accept::prefers;
use crate::edge::grpc::HealthApi;
use crate::edge::plain_text::plain_text;
use crate::engine::Invoker;

/// Answers `/healthz`: 200 `ok` while the node serves; 503 while it starts, while its store fails, and on connections
/// that are open when it drains. New ones are refused then.
pub(super) fn health(headers: &HeaderMap, health: &HealthApi) -> Response<Body> {
    match health.is_node_serving() {
        true => answer(headers, "SERVING", "ok"),
        false => answer(headers, "NOT_SERVING", "not serving"),
    }
}

/// Answers `/readyz`: as [`health`], and 503 while the node is on hold: it accepts work and starts none.
pub(super) fn readiness(
    headers: &HeaderMap,
    health: &HealthApi,
    invoker: &Invoker,
) -> Response<Body> {
    let (status, text) = if invoker.check_accepting().is_err() {
        ("DRAINING", "draining")
    } else if !health.is_node_serving() {
        ("NOT_SERVING", "not serving")
    } else if invoker.is_held() {
        ("HELD", "held")
    } else {
        ("READY", "ready")
    };
    answer(headers, status, text)
}

/// A line of text, or an object where the caller prefers JSON.
fn answer(headers: &HeaderMap, status: &'static str, text: &str) -> Response<Body> {
    let code = match status {
        "SERVING" | "READY" => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = plain_text(code, text);
    if prefers(headers, ("application", "json"), ("text", "plain")) {
        *response.body_mut() = Body::from(format!("{{\"status\":\"{status}\"}}"));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}
