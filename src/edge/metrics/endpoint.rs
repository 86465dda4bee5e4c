//! The endpoint itself: who may read it, and in which format.

use std::sync::Arc;

use axum::body::Body;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;

use super::exposition;
use super::port_metrics::PortMetrics;
use super::process::ProcessStats;
use super::text::Format;
use crate::edge::caller::on_behalf_of_caller;
use crate::edge::plain_text::plain_text;
use crate::engine::Invoker;
use crate::model::error::{Error, Kind, Result};
use crate::remote::worker_registry::WorkerRegistry;

/// The path of the metrics. A route of the host at this path replaces it.
pub(in crate::edge) const METRICS_PATH: &str = "/metrics";
/// How many responses are made at once. With many services, each has some megabytes.
const MAX_AT_ONCE: usize = 2;

/// Answers requests for metrics.
#[derive(Clone, Debug)]
pub(in crate::edge) struct MetricsApi {
    invoker: Invoker,
    workers: WorkerRegistry,
    port: Arc<PortMetrics>,
    permits: Arc<Semaphore>,
}

impl MetricsApi {
    pub(in crate::edge) fn new(
        invoker: Invoker,
        workers: WorkerRegistry,
        port: Arc<PortMetrics>,
    ) -> Self {
        Self {
            invoker,
            workers,
            port,
            permits: Arc::new(Semaphore::new(MAX_AT_ONCE)),
        }
    }

    /// Answers a request: 200 with all metrics, in the format of Prometheus, or as `OpenMetrics` where that is
    /// accepted. 401 and 403 for callers that may not read what the node counts.
    pub(in crate::edge) async fn respond(self, request: Request<Body>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            let mut response = plain_text(status, "the metrics accept GET and HEAD");
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            return response;
        }
        let format = format_of(request.headers());
        let invoker = on_behalf_of_caller(&self.invoker, request.extensions());
        drop(request);
        match self.text(&invoker, format).await {
            Ok(text) => {
                let mut response = Response::new(Body::from(text));
                let content_type = HeaderValue::from_static(format.content_type());
                response.headers_mut().insert(CONTENT_TYPE, content_type);
                response
            }
            Err(error) => refusal(&error),
        }
    }

    async fn text(&self, invoker: &Invoker, format: Format) -> Result<String> {
        invoker.check_read_all()?;
        // It is never closed.
        let _permit = self.permits.acquire().await;
        let node = invoker.metrics(self.workers.counts()).await?;
        Ok(exposition::write(
            node,
            &self.port,
            &ProcessStats::read(),
            format,
        ))
    }
}

/// The answer to a caller that may not read metrics.
pub(in crate::edge) fn refusal(error: &Error) -> Response<Body> {
    let status = StatusCode::from_u16(error.kind().http_status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = plain_text(status, error.message());
    if error.kind() == Kind::Unauthenticated {
        let bearer = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    }
    response
}

/// `OpenMetrics` where the client names it and does not refuse it. Other types, and weights, are left to the client.
fn format_of(headers: &HeaderMap) -> Format {
    let accepted = headers.get_all(ACCEPT).into_iter();
    let accepted = accepted.filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(','));
    let is_open_metrics = types.any(|media| {
        let mut parts = media.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let is_named = essence.eq_ignore_ascii_case("application/openmetrics-text");
        is_named && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "version=0.0.1"))
    });
    match is_open_metrics {
        true => Format::OpenMetrics,
        false => Format::Prometheus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_sent_to_who_accepts_it() {
        let format = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            format_of(&headers)
        };
        // What Prometheus sends.
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(format(prometheus), Format::OpenMetrics);
        for accept in [
            "*/*",
            "text/plain;version=0.0.4",
            "application/openmetrics-text; q=0, */*",
            "application/openmetrics-text;version=0.0.1",
        ] {
            assert_eq!(format(accept), Format::Prometheus, "{accept}");
        }
        assert_eq!(format_of(&HeaderMap::new()), Format::Prometheus);
    }
}
