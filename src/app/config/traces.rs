//! Traces of a node, as they are configured.

use super::settings::TraceConfig;
use super::trace_text::{attribute, collector, share};
use crate::app::config::together::missing;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::Cid;
use crate::remote::ClientTls;
use crate::remote::collector::{Collector, CollectorOptions, Headers};

/// The attribute that tells one process of a service from another.
const INSTANCE: &str = "service.instance.id";

impl TraceConfig {
    /// What does not fit together.
    pub(super) fn check(&self) -> Vec<Violation> {
        let is_off = self.otlp_endpoint.is_none();
        let needs = |key| (is_off, key, "otlp_endpoint");
        let options = [
            (self.otlp_headers.is_some(), needs("otlp_headers")),
            (self.otlp_ca.is_some(), needs("otlp_ca")),
        ];
        let given = options.into_iter().filter(|(is_given, _)| *is_given);
        missing(&given.map(|(_, needs)| needs).collect::<Vec<_>>())
    }

    /// Begins to send spans, if there is a collector.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `CONFIG_INVALID` for headers that
    /// cannot be sent; `TLS_INVALID` for a file that cannot be used.
    pub(in crate::app) fn start_collector(&self) -> Result<Option<Collector>> {
        let Some(endpoint) = &self.otlp_endpoint else {
            return Ok(None);
        };
        let headers = self
            .otlp_headers
            .as_ref()
            .map(|it| Headers::parse(it.expose()));
        let headers = headers.transpose().map_err(|what| {
            let violation = Violation::new("/otlp_headers", "INVALID", what);
            Error::violations(reason::CONFIG_INVALID, vec![violation])
        })?;
        let mut resource = vec![
            ("service.name".to_owned(), self.otlp_service_name.clone()),
            (
                "service.version".to_owned(),
                env!("CARGO_PKG_VERSION").to_owned(),
            ),
        ];
        for text in &self.otlp_resource {
            let Ok((name, value)) = attribute(text.as_ref()) else {
                continue;
            };
            // The name of the service has an option of its own.
            if !resource.iter().any(|(known, _)| *known == name) {
                resource.push((name, value));
            }
        }
        if !resource.iter().any(|(known, _)| known == INSTANCE) {
            resource.push((INSTANCE.to_owned(), Cid::new().to_string()));
        }
        let tls = self.otlp_ca.as_ref().map(|ca| ClientTls::new().ca_file(ca));
        let options = CollectorOptions {
            endpoint: collector(endpoint.as_ref()).unwrap_or_default(),
            headers: headers.unwrap_or_default(),
            tls,
            resource,
        };
        Collector::start(&options).map(Some)
    }

    /// The share of new traces that are recorded.
    pub(in crate::app) fn share(&self) -> f64 {
        share(self.trace_sample.as_ref()).unwrap_or_default()
    }
}
