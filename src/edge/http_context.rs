//! What the response to an HTTP request needs of its request.

use std::sync::Arc;

use axum::body::Body;
use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};
use http_body::Body as _;

use crate::edge::connection::Connection;
use crate::edge::cors::Cors;
use crate::edge::metrics::HttpRequest;
use crate::model::error::Kind;

/// What the response to an HTTP request needs of it.
#[derive(Debug)]
pub struct HttpContext {
    /// Until its response is there.
    begun: Option<HttpRequest>,
    connection: Arc<Connection>,
    cors: Cors,
}

impl HttpContext {
    pub(super) fn new(begun: HttpRequest, connection: Arc<Connection>, cors: Cors) -> Self {
        Self {
            begun: Some(begun),
            connection,
            cors,
        }
    }

    pub(super) fn respond<B>(&mut self, mut response: Response<B>) -> Response<B> {
        self.cors.apply(response.headers_mut());
        self.count(response.status());
        response
    }

    /// The response to a call that bypassed the router. It gets the length of its body here, as the router adds it:
    /// pages of allowed origins are told which headers there are.
    pub(super) fn respond_to_call(&mut self, mut response: Response<Body>) -> Response<Body> {
        if let Some(length) = response.body().size_hint().exact() {
            let headers = response.headers_mut();
            headers
                .entry(CONTENT_LENGTH)
                .or_insert_with(|| length.into());
        }
        self.respond(response)
    }

    fn count(&mut self, status: StatusCode) {
        if let Some(begun) = self.begun.take() {
            self.connection.metrics().http.end(begun, status);
        }
    }
}

impl Drop for HttpContext {
    /// A request whose response is not there yet belongs to a caller that left.
    fn drop(&mut self) {
        let status = Kind::Cancelled.http_status();
        self.count(StatusCode::from_u16(status).unwrap_or_default());
    }
}
