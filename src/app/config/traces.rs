//! Traces of a node, as they are configured.

use http::Uri;

use super::settings::TraceConfig;
use crate::app::config::together::missing;
use crate::model::error::{Error, Result, Violation, reason};
use crate::remote::ClientTls;
use crate::remote::collector::{Collector, CollectorOptions, Headers};

/// The port of collectors.
const DEFAULT_PORT: u16 = 4317;
/// The longest name, and the longest value, of an attribute, in bytes.
const MAX_ATTRIBUTE_BYTES: usize = 255;

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

/// Reads a share: `0.01`, or `1%`.
///
/// # Errors
///
/// What to write instead.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let read = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|it| it / 100.0),
        None => text.parse(),
    };
    let read = read.ok().filter(|share| (0.0..=1.0).contains(share));
    read.ok_or_else(|| "use a share from `0` to `1`, such as `0.01` or `1%`".to_owned())
}

/// Reads the address of a collector, and adds what is left out: `http://` and the port 4317.
///
/// # Errors
///
/// What to write instead.
pub(super) fn collector(text: &str) -> Result<String, String> {
    let full = match text.contains("://") {
        true => text.to_owned(),
        false => format!("http://{text}"),
    };
    let read = || {
        let uri: Uri = full.parse().ok()?;
        let scheme = uri
            .scheme_str()
            .filter(|it| matches!(*it, "http" | "https"))?;
        let authority = uri.authority()?;
        let has_path = !matches!(uri.path(), "" | "/") || uri.query().is_some();
        if has_path || authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        let (host, port) = (authority.host(), authority.port_u16());
        Some(format!(
            "{scheme}://{host}:{}",
            port.unwrap_or(DEFAULT_PORT)
        ))
    };
    read().ok_or_else(|| {
        "use `http://HOST:PORT`, or `https://HOST:PORT` for TLS: OTLP over gRPC".to_owned()
    })
}

/// Reads an attribute: `NAME=VALUE`, whose value is percent-encoded.
///
/// # Errors
///
/// What to write instead.
pub(super) fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("use `NAME=VALUE`")?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || name.len().max(value.len()) > MAX_ATTRIBUTE_BYTES {
        let message = "a name has 1 to 255 bytes, and a value at most 255";
        return Err(message.to_owned());
    }
    let value = percent_encoding::percent_decode_str(value).decode_utf8();
    let value = value.map_err(|_| "the value is not UTF-8".to_owned())?;
    Ok((name.to_owned(), value.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_or_a_percentage() {
        for (text, expected) in [
            ("0", 0.0),
            ("1", 1.0),
            ("0.25", 0.25),
            ("25%", 0.25),
            ("1e-2", 0.01),
        ] {
            assert_eq!(share(text), Ok(expected), "{text}");
        }
        for text in ["", "2", "-0.1", "101%", "NaN", "inf", "half"] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_address_of_a_collector_needs_neither_scheme_nor_port() {
        for (text, expected) in [
            ("collector", "http://collector:4317"),
            ("127.0.0.1:9", "http://127.0.0.1:9"),
            ("http://collector/", "http://collector:4317"),
            (
                "https://collector.example",
                "https://collector.example:4317",
            ),
            ("http://[::1]:4317", "http://[::1]:4317"),
        ] {
            assert_eq!(collector(text).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "ftp://a",
            "http://",
            "http://a/v1/traces",
            "http://me:pw@a",
            "a b",
        ] {
            assert!(collector(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_attribute_has_a_name_and_a_value() {
        let read = attribute("deployment.environment=a%20b=c").unwrap();
        assert_eq!(
            read,
            ("deployment.environment".to_owned(), "a b=c".to_owned())
        );
        for text in ["a", "=b", "a=%ff"] {
            assert!(attribute(text).is_err(), "{text}");
        }
    }
}
