//! `/healthz`: the health of the node over plain HTTP, for load balancers and probes that do not call gRPC.

use axum::body::Body;
use http::header::ALLOW;
use http::{HeaderValue, Method, Response, StatusCode};

use crate::edge::grpc::HealthApi;
use crate::edge::plain_text::plain_text;

/// The path of the health check. A route of the host at this path replaces it.
pub(super) const HEALTH_PATH: &str = "/healthz";

/// Answers a request for [`HEALTH_PATH`]: 200 `ok` while the node serves; 503 while it starts, while its store fails,
/// and on connections that are open when it drains. New ones are refused then.
pub(super) fn respond(method: &Method, health: &HealthApi) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = plain_text(
            StatusCode::METHOD_NOT_ALLOWED,
            "the health check accepts GET and HEAD",
        );
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    match health.is_node_serving() {
        true => plain_text(StatusCode::OK, "ok"),
        false => plain_text(StatusCode::SERVICE_UNAVAILABLE, "not serving"),
    }
}
