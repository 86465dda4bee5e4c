//! The transport of requests: gRPC metadata, `grpc-timeout`, the token of nested calls, and headers of responses.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method, Request, Version};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Extensions, Response, Status};

use crate::codec::convert::{DISPATCH_KEY, TraceHeaders};
use crate::codec::status::{CID_HEADER, cid_value, to_status};
use crate::engine::Invoker;
use crate::model::call::ALREADY_ACCEPTED_KEY;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::Cid;
use crate::model::metadata::{TRACEPARENT, TRACESTATE};
use crate::model::sio::IGNORED_KEY;

// Names that are looked up in each request: as constants, they are not parsed each time.
const DISPATCH_HEADER: HeaderName = HeaderName::from_static(DISPATCH_KEY);
const TRACEPARENT_HEADER: HeaderName = HeaderName::from_static(TRACEPARENT);
const TRACESTATE_HEADER: HeaderName = HeaderName::from_static(TRACESTATE);
const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("grpc-timeout");

/// Why a request is no gRPC call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) enum NotGrpc {
    /// Its method is not POST.
    Method,
    /// Its content type is not that of gRPC.
    ContentType,
    /// It is not over HTTP/2.
    Version,
}

/// Why a request is no gRPC call; `None` for gRPC calls.
pub(in crate::edge) fn not_grpc<B>(request: &Request<B>) -> Option<NotGrpc> {
    let content_type = request.headers().get(CONTENT_TYPE);
    if request.method() != Method::POST {
        Some(NotGrpc::Method)
    } else if !content_type.is_some_and(|value| is_grpc_content_type(value.as_bytes())) {
        Some(NotGrpc::ContentType)
    } else if request.version() != Version::HTTP_2 {
        Some(NotGrpc::Version)
    } else {
        None
    }
}

/// Messages are Protocol Buffers; other encodings (`application/grpc+json`) and gRPC-Web are not supported.
fn is_grpc_content_type(value: &[u8]) -> bool {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii();
    essence.eq_ignore_ascii_case(b"application/grpc")
        || essence.eq_ignore_ascii_case(b"application/grpc+proto")
}

/// The token of the dispatch whose handler, in a worker, makes this call.
pub(super) fn dispatch_token(transport: &MetadataMap) -> Option<&str> {
    let value = transport.as_ref().get(DISPATCH_HEADER)?;
    // An invalid value is the token of no dispatch.
    Some(value.to_str().unwrap_or_default())
}

/// The failure of a page token that no response had.
pub(super) fn malformed_page_token() -> Error {
    let message = "is not a `next_page_token` of this node";
    let violation = Violation::new("/page_token", "MALFORMED", message);
    Error::violations(reason::REQUEST_INVALID, vec![violation])
}

/// The status of an RPC that this version does not implement.
pub(super) fn unimplemented(rpc: &str) -> Status {
    let message = format!("`{rpc}` is not supported by this version yet");
    to_status(&Error::unimplemented(reason::NOT_SUPPORTED, message))
}

/// The trace context of the transport.
pub(super) fn trace(transport: &MetadataMap) -> TraceHeaders<'_> {
    trace_headers(transport.as_ref())
}

/// The trace context of the headers of a request.
pub(in crate::edge) fn trace_headers(headers: &HeaderMap) -> TraceHeaders<'_> {
    let text = |name| headers.get(name)?.to_str().ok();
    let traceparent = text(TRACEPARENT_HEADER);
    TraceHeaders {
        traceparent,
        // Most requests have neither.
        tracestate: traceparent.and_then(|_| text(TRACESTATE_HEADER)),
    }
}

/// The smaller of the timeout of the message and `grpc-timeout`.
pub(super) fn timeout(
    message: Option<Duration>,
    transport: &MetadataMap,
) -> Result<Option<Duration>> {
    timeout_of_headers(message, transport.as_ref())
}

/// As [`timeout`].
pub(super) fn timeout_of_headers(
    message: Option<Duration>,
    headers: &HeaderMap,
) -> Result<Option<Duration>> {
    let header = match headers.get(TIMEOUT_HEADER) {
        None => None,
        Some(value) => Some(value.to_str().ok().and_then(grpc_timeout).ok_or_else(|| {
            let message = "is not at most eight digits and a unit, such as `500m` for 500 ms";
            let violation = Violation::new("/grpc-timeout", "MALFORMED", message);
            Error::violations(reason::REQUEST_INVALID, vec![violation])
        })?),
    };
    Ok(match (message, header) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    })
}

/// The timeout of a synchronous call of a service: the [smaller one](timeout), of what the message and the transport
/// give.
///
/// A worker sends the rest of its own deadline as `grpc-timeout` of a nested call. Unless the handler itself gives a
/// timeout, that of the service holds, within this rest.
pub(super) fn call_timeout(
    invoker: &Invoker,
    service: &str,
    given: Option<Duration>,
    transport: &MetadataMap,
) -> Result<Option<Duration>> {
    let smallest = timeout(given, transport)?;
    if given.is_some() || smallest.is_none() || dispatch_token(transport).is_none() {
        return Ok(smallest);
    }
    let definition = invoker.definition(service).ok();
    let own = definition.and_then(|definition| definition.service_options().timeout);
    Ok(smallest.into_iter().chain(own).min())
}

/// Parses a `grpc-timeout`: at most eight digits and a unit (gRPC over HTTP/2, `Timeout`).
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_hours(n),
        "M" => Duration::from_mins(n),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

/// A response with the header of its CID.
pub(super) fn with_cid<T>(cid: Cid, message: T) -> Response<T> {
    // Most responses have three headers: the CID, the content type and the date.
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(CID_HEADER, cid_value(cid));
    let metadata = MetadataMap::from_headers(headers);
    Response::from_parts(metadata, message, Extensions::default())
}

/// Adds the header of a call that repeats an accepted one.
pub(super) fn with_already_accepted<T>(response: &mut Response<T>, already_accepted: bool) {
    if already_accepted {
        let value = MetadataValue::from_static("true");
        response.metadata_mut().insert(ALREADY_ACCEPTED_KEY, value);
    }
}

/// Adds the header that names the input keys that were dropped, if there are any.
pub(super) fn with_ignored(metadata: &mut MetadataMap, ignored: Option<&str>) {
    if let Some(value) = ignored.and_then(|names| names.parse().ok()) {
        metadata.insert(IGNORED_KEY, value);
    }
}

/// `RESOURCE_EXHAUSTED` / `MESSAGE_TOO_LARGE`.
pub(super) fn too_large(bytes: usize, limit: usize) -> Error {
    let message = format!("the response has {bytes} bytes; the limit is {limit}");
    Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message)
        .with_retryable(false)
        .with_info("message_bytes", limit)
}

/// Converts an error to a status.
pub(super) fn into_status<T>(result: Result<T>) -> Result<T, Status> {
    result.map_err(|error| to_status(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts_are_parsed() {
        let cases = [
            ("1H", Some(Duration::from_hours(1))),
            ("2M", Some(Duration::from_mins(2))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("", None),
            ("S", None),
            ("123456789S", None),
            ("-1S", None),
            ("1s", None),
            ("1ä", None),
        ];
        for (text, expected) in cases {
            assert_eq!(grpc_timeout(text), expected, "{text}");
        }
    }

    #[test]
    fn content_types_of_grpc_are_exact() {
        for own in [
            "application/grpc",
            "application/grpc+proto",
            "Application/GRPC",
            "application/grpc;charset=utf-8",
            "application/grpc+proto ; a=b",
        ] {
            assert!(is_grpc_content_type(own.as_bytes()), "{own}");
        }
        for other in [
            "",
            "text/plain",
            "application/grpcfoo",
            "application/grpc+json",
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc, text/plain",
            "text/plain; application/grpc",
        ] {
            assert!(!is_grpc_content_type(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn the_smaller_timeout_is_used() {
        let mut transport = MetadataMap::new();
        transport.insert("grpc-timeout", "2S".parse().unwrap());
        let of = |message| timeout(message, &transport).unwrap();
        assert_eq!(of(None), Some(Duration::from_secs(2)));
        assert_eq!(
            of(Some(Duration::from_secs(1))),
            Some(Duration::from_secs(1))
        );
        assert_eq!(
            of(Some(Duration::from_secs(3))),
            Some(Duration::from_secs(2))
        );
        assert_eq!(timeout(None, &MetadataMap::new()).unwrap(), None);
    }
}
