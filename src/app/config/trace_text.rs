//! The texts of traces: a share of them, the address of a collector, an attribute.

use http::Uri;

/// The port of collectors.
const DEFAULT_PORT: u16 = 4317;
/// The longest name, and the longest value, of an attribute, in bytes.
const MAX_ATTRIBUTE_BYTES: usize = 255;

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
