//! The endpoint itself: who may read it, and in which format.

use std::sync::Arc;

use http::HeaderMap;
use http::header::ACCEPT;
use tokio::sync::Semaphore;

use super::exposition;
use super::port_metrics::PortMetrics;
use super::process::ProcessStats;
use super::text::Format;
use crate::engine::Invoker;
use crate::model::error::Result;
use crate::remote::worker_registry::WorkerRegistry;

/// How many responses are made at once. With many services, each has some megabytes.
const MAX_AT_ONCE: usize = 2;

/// Answers requests for metrics. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::edge) struct MetricsApi {
    workers: WorkerRegistry,
    port: Arc<PortMetrics>,
    permits: Arc<Semaphore>,
}

/// All metrics, as text.
#[derive(Debug)]
pub(in crate::edge) struct Exposition {
    pub(in crate::edge) text: String,
    pub(in crate::edge) content_type: &'static str,
}

impl MetricsApi {
    pub(in crate::edge) fn new(workers: WorkerRegistry, port: Arc<PortMetrics>) -> Self {
        Self {
            workers,
            port,
            permits: Arc::new(Semaphore::new(MAX_AT_ONCE)),
        }
    }

    /// All metrics, in the format of Prometheus, or as `OpenMetrics` where the request accepts that.
    ///
    /// # Errors
    ///
    /// `UNAUTHENTICATED`, `PERMISSION_DENIED`: the caller may not read what the node counts. Errors of the store.
    pub(in crate::edge) async fn read(
        &self,
        invoker: &Invoker,
        headers: &HeaderMap,
    ) -> Result<Exposition> {
        invoker.check_read_all()?;
        let format = format_of(headers);
        // It is never closed.
        let _permit = self.permits.acquire().await;
        let node = invoker.metrics(self.workers.counts()).await?;
        Ok(Exposition {
            text: exposition::write(node, &self.port, &ProcessStats::read(), format),
            content_type: format.content_type(),
        })
    }
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
