//! What all requests have in common: their metadata, their CIDs, how long they wait.

use std::sync::Arc;
use std::time::Duration;

use tonic::metadata::MetadataMap;
use tonic::{Response, Status};

use crate::codec::convert::metadata_from_proto;
use crate::codec::status::{CID_KEY, cid_value, to_status};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::Cid;
use crate::model::metadata::{Metadata, TRACEPARENT};
use crate::model::sio::IGNORED_KEY;
pub(super) use crate::remote::wire::{input, known};

/// Names the dispatch of a nested call, in its metadata.
pub(super) const DISPATCH_KEY: &str = "cidery-dispatch";

/// How many there are on a page.
pub(super) fn page_size(asked: u32, default: usize, most: usize) -> Result<usize> {
    match usize::try_from(asked).unwrap_or(usize::MAX) {
        0 => Ok(default),
        size if size <= most => Ok(size),
        _ => {
            let message = format!("is at most {most}");
            let violation = Violation::new("/page_size", "TOO_LARGE", message);
            Err(Error::violations(reason::REQUEST_INVALID, vec![violation]))
        }
    }
}

/// The dispatch whose handler makes this call, where a worker's does.
pub(super) fn dispatch_token(transport: &MetadataMap) -> Option<&str> {
    let value = transport.get(DISPATCH_KEY)?;
    // What is no text names no dispatch.
    Some(value.to_str().unwrap_or_default())
}

/// The status of an RPC that this version does not do yet.
pub(super) fn unimplemented(rpc: &str) -> Status {
    let message = format!("`{rpc}` is not supported by this version yet");
    to_status(&Error::unimplemented(reason::NOT_SUPPORTED, message))
}

/// The CID that a caller brought, if any.
pub(super) fn parse_optional_cid(field: &str, text: &str) -> Result<Option<Cid>> {
    if text.is_empty() {
        return Ok(None);
    }
    Cid::parse(text).map(Some).map_err(|error| {
        let violation = Violation::new(format!("/{field}"), reason::CID_INVALID, error.message());
        error.with_violation(violation)
    })
}

/// A CID that a caller has to name.
pub(super) fn required_cid(field: &str, text: &str) -> Result<Cid> {
    parse_optional_cid(field, text)?.ok_or_else(|| {
        let violation = Violation::new(format!("/{field}"), "MISSING", "is required");
        Error::violations(reason::REQUEST_INVALID, vec![violation])
    })
}

/// The metadata that goes to the handler: what the message says, and the trace context of the transport.
pub(super) fn metadata(
    message: std::collections::HashMap<String, String>,
    transport: &MetadataMap,
) -> Result<Option<Arc<Metadata>>> {
    let mut metadata = metadata_from_proto(message)?;
    if let Some(trace) = transport
        .get(TRACEPARENT)
        .and_then(|value| value.to_str().ok())
        && metadata.get(TRACEPARENT).is_none()
    {
        metadata.insert(TRACEPARENT, trace);
    }
    Ok((!metadata.is_empty()).then(|| Arc::new(metadata)))
}

/// The smaller of what the caller gives: in the message, and as `grpc-timeout`.
pub(super) fn timeout(
    message: Option<Duration>,
    transport: &MetadataMap,
) -> Result<Option<Duration>> {
    let header = match transport.get("grpc-timeout") {
        None => None,
        Some(value) => Some(value.to_str().ok().and_then(grpc_timeout).ok_or_else(|| {
            let message = "`grpc-timeout` is not at most eight digits and a unit";
            Error::invalid_argument(reason::REQUEST_INVALID, message)
        })?),
    };
    Ok(match (message, header) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    })
}

/// At most eight digits and a unit (gRPC over HTTP/2, `Timeout`).
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

/// A response that carries its CID.
pub(super) fn with_cid<T>(cid: Cid, message: T) -> Response<T> {
    let mut response = Response::new(message);
    let headers = std::mem::take(response.metadata_mut());
    let mut headers = headers.into_headers();
    headers.insert(CID_KEY, cid_value(cid));
    *response.metadata_mut() = MetadataMap::from_headers(headers);
    response
}

/// Names the keys of the input that were dropped, if any were.
pub(super) fn with_ignored<T>(response: &mut Response<T>, ignored: Option<&str>) {
    if let Some(value) = ignored.and_then(|names| names.parse().ok()) {
        response.metadata_mut().insert(IGNORED_KEY, value);
    }
}

/// `RESOURCE_EXHAUSTED` / `MESSAGE_TOO_LARGE`.
pub(super) fn too_large(bytes: usize, limit: usize) -> Error {
    let message = format!("the response has {bytes} bytes; the limit is {limit}");
    Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message)
        .with_retryable(false)
        .with_info("message_bytes", limit)
}

/// Turns our failures into statuses.
pub(super) fn into_status<T>(result: Result<T>) -> Result<T, Status> {
    result.map_err(|error| to_status(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
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
    fn the_smaller_timeout_holds() {
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
