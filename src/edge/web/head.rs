//! The headers of a request as those of gRPC.

use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Version};

use super::protocol::{Protocol, Shape};
use crate::edge::compression::accepts_gzip;
use crate::edge::http_headers::is_of_http;
use crate::model::error::{Error, Result, Violation, reason};

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const CONNECT_VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");
const CONNECT_TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");
const CONNECT_ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");
const CONNECT_ACCEPT: HeaderName = HeaderName::from_static("connect-accept-encoding");
const GZIP: &str = "gzip";
const IDENTITY: &str = "identity";
/// The largest number in a `grpc-timeout`: eight digits.
const MAX_GRPC_TIMEOUT: u64 = 99_999_999;
/// The most digits of a `connect-timeout-ms`.
const MAX_TIMEOUT_DIGITS: usize = 10;

/// How the bodies of a call are encoded, and what is wrong with its headers.
#[derive(Debug)]
pub(super) struct Encodings {
    /// Whether the request is compressed, or its messages may be.
    pub(super) is_gzipped: bool,
    /// Whether the response may be.
    pub(super) accepts_gzip: bool,
    invalid: Option<Error>,
}

impl Encodings {
    /// Checks the headers that do not stay in the request.
    ///
    /// # Errors
    ///
    /// `REQUEST_INVALID` for those that are malformed; `NOT_SUPPORTED` for an unknown compression.
    pub(super) fn check(&mut self) -> Result<()> {
        self.invalid.take().map_or(Ok(()), Err)
    }
}

/// Replaces the headers of a request by those of a gRPC request. What is wrong with them is told later, to a caller
/// that is authenticated.
pub(super) fn translate<B>(protocol: Protocol, request: &mut Request<B>) -> Encodings {
    let headers = request.headers_mut();
    let encodings = match protocol {
        Protocol::GrpcWeb { .. } => Encodings {
            is_gzipped: false,
            accepts_gzip: false,
            invalid: None,
        },
        Protocol::Connect { shape, .. } => {
            let (sent, accepted) = match shape {
                Shape::Unary => (CONTENT_ENCODING, ACCEPT_ENCODING),
                Shape::Stream => (CONNECT_ENCODING, CONNECT_ACCEPT),
            };
            headers.remove(TIMEOUT);
            let mut invalid = version(headers).err();
            let mut noted = |error| {
                invalid.get_or_insert(error);
            };
            let is_gzipped = is_gzipped(headers, &sent).unwrap_or_else(|error| {
                noted(error);
                false
            });
            let timeout = timeout(headers).unwrap_or_else(|error| {
                noted(error);
                None
            });
            let encodings = Encodings {
                is_gzipped,
                accepts_gzip: accepts_gzip(headers, &accepted),
                invalid,
            };
            if let Some(timeout) = timeout {
                headers.insert(TIMEOUT, timeout);
            }
            encodings
        }
    };
    // A handler would get them as metadata of its call.
    let of_http: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_of_http(name.as_str()))
        .cloned()
        .collect();
    for name in of_http {
        headers.remove(name);
    }
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    *request.version_mut() = Version::HTTP_2;
    encodings
}

fn version(headers: &HeaderMap) -> Result<()> {
    match headers.get(CONNECT_VERSION).map(HeaderValue::as_bytes) {
        None | Some(b"1") => Ok(()),
        Some(_) => Err(malformed(&CONNECT_VERSION, "is not 1")),
    }
}

/// The timeout of a Connect request as that of gRPC.
fn timeout(headers: &HeaderMap) -> Result<Option<HeaderValue>> {
    let Some(value) = headers.get(CONNECT_TIMEOUT) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let is_number =
        text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= MAX_TIMEOUT_DIGITS;
    let ms = text.parse::<u64>().ok().filter(|_| is_number);
    let ms = ms.ok_or_else(|| {
        malformed(
            &CONNECT_TIMEOUT,
            "is not a number of milliseconds with at most ten digits",
        )
    })?;
    let text = match ms <= MAX_GRPC_TIMEOUT {
        true => format!("{ms}m"),
        false => format!("{}S", Duration::from_millis(ms).as_secs()),
    };
    Ok(HeaderValue::try_from(text).ok())
}

fn is_gzipped(headers: &HeaderMap, name: &HeaderName) -> Result<bool> {
    let mut values = headers.get_all(name).iter();
    let value = values
        .next()
        .map(|value| value.to_str().unwrap_or_default().trim());
    match (value, values.next()) {
        (None, _) | (Some("" | IDENTITY), None) => Ok(false),
        (Some(GZIP), None) => Ok(true),
        (Some(_), _) => {
            let message = format!("`{name}` is not supported: use `{GZIP}` or `{IDENTITY}`");
            Err(Error::unimplemented(reason::NOT_SUPPORTED, message))
        }
    }
}

fn malformed(name: &HeaderName, message: &str) -> Error {
    let violation = Violation::new(format!("/{name}"), "MALFORMED", message);
    Error::violations(reason::REQUEST_INVALID, vec![violation])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::web::protocol::Codec;

    const UNARY: Protocol = Protocol::Connect {
        shape: Shape::Unary,
        codec: Codec::Json,
    };

    fn translated(headers: &[(&str, &str)]) -> (Encodings, HeaderMap) {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        let encodings = translate(UNARY, &mut request);
        (encodings, request.into_parts().0.headers)
    }

    #[test]
    fn only_what_the_caller_means_stays() {
        let (_, headers) = translated(&[
            ("content-type", "application/json"),
            ("content-length", "2"),
            ("accept", "*/*"),
            ("sec-ch-ua", "x"),
            ("origin", "http://localhost"),
            ("grpc-timeout", "1n"),
            ("authorization", "Bearer x"),
            ("cidery-timeout", "2s"),
            ("tenant", "a"),
        ]);
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "authorization",
                "cidery-timeout",
                "content-type",
                "te",
                "tenant"
            ]
        );
        assert_eq!(headers[CONTENT_TYPE], "application/grpc");
    }

    #[test]
    fn timeouts_are_those_of_grpc() {
        for (given, expected) in [
            ("0", Some("0m")),
            ("5000", Some("5000m")),
            ("99999999", Some("99999999m")),
            ("9999999999", Some("9999999S")),
            ("", None),
            ("12345678901", None),
            ("-1", None),
            ("1.5", None),
        ] {
            let (mut encodings, headers) = translated(&[("connect-timeout-ms", given)]);
            let timeout = headers.get(TIMEOUT).map(|value| value.to_str().unwrap());
            assert_eq!(timeout, expected, "{given}");
            assert_eq!(encodings.check().is_ok(), expected.is_some(), "{given}");
        }
    }

    #[test]
    fn gzip_is_the_only_compression() {
        for (given, expected) in [
            ("gzip", Some(true)),
            ("identity", Some(false)),
            ("br", None),
        ] {
            let (mut encodings, _) = translated(&[("content-encoding", given)]);
            let checked = encodings.check().ok().map(|()| encodings.is_gzipped);
            assert_eq!(checked, expected, "{given}");
        }
        for (given, expected) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("br", false),
            ("*", false),
        ] {
            let (encodings, _) = translated(&[("accept-encoding", given)]);
            assert_eq!(encodings.accepts_gzip, expected, "{given}");
        }
    }
}
