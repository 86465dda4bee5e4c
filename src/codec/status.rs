//! Errors to gRPC statuses with rich details (`google.rpc`, AIP-193), and back.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use prost::Message as _;
use prost_types::Any;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::model::call::{ALREADY_ACCEPTED, ALREADY_ACCEPTED_KEY};
use crate::model::error::{Detail, Error, IGNORED, Kind, Violation, reason};
use crate::model::id::Cid;
use crate::model::sio::IGNORED_KEY;

/// The domain of the reasons.
pub const DOMAIN: &str = "cidery";
/// The metadata key with the CID of every response.
pub const CID_KEY: &str = "cidery-cid";
/// The same, as the name of a header.
pub const CID_HEADER: HeaderName = HeaderName::from_static(CID_KEY);
/// The trailer that tells gRPC clients with a retry policy how many milliseconds to wait (gRFC A6); -1: not to retry.
const PUSHBACK_KEY: &str = "grpc-retry-pushback-ms";
/// The metadata key of a hint: what may be wrong with a request.
pub const HINT_KEY: &str = "cidery-hint";
/// The `ErrorInfo` entry of a hint.
pub const HINT: &str = "hint";

/// Clients reject trailers above 8 KiB, and base64 turns three bytes into four: this many bytes fit with the rest.
const MAX_DETAIL_BYTES: usize = 5 * 1024;
/// The details, the message and what repeats a part of them in a header of its own, encoded.
const MAX_HEADER_BYTES: usize = 7 * 1024;
/// The `ErrorInfo` entry that counts the omitted violations.
const OMITTED: &str = "violations_omitted";
const MAX_INFO_BYTES: usize = 1024;
const MAX_REASON_BYTES: usize = 64;
const MAX_STATUS_VIOLATIONS: usize = 50;
const MAX_VIOLATION_BYTES: usize = 4 * 1024;
/// A message is percent-encoded: one byte becomes up to three.
const MAX_STATUS_MESSAGE_BYTES: usize = 300;

/// The gRPC status code of a kind.
#[must_use]
pub fn code(kind: Kind) -> Code {
    Code::from_i32(i32::from(kind.grpc_code()))
}

/// Converts an error to a status, with the CID if the error has one.
#[must_use]
pub fn to_status(error: &Error) -> Status {
    let message = truncate(error.message(), MAX_STATUS_MESSAGE_BYTES);
    let details = pb::Status {
        code: i32::from(error.kind().grpc_code()),
        message: message.to_owned(),
        details: details(error),
    };
    let mut status = Status::with_details(
        code(error.kind()),
        message,
        Bytes::from(details.encode_to_vec()),
    );
    if let Some(cid) = error.cid()
        && let Ok(value) = cid.encode(&mut [0; 36]).parse()
    {
        status.metadata_mut().insert(CID_KEY, value);
    }
    if error.fact(ALREADY_ACCEPTED).is_some() {
        let value = MetadataValue::from_static("true");
        status.metadata_mut().insert(ALREADY_ACCEPTED_KEY, value);
    }
    if let Some(pushback) = pushback(error) {
        let value = MetadataValue::from(pushback);
        status.metadata_mut().insert(PUSHBACK_KEY, value);
    }
    let mut room = MAX_HEADER_BYTES
        .saturating_sub(status.details().len().div_ceil(3) * 4)
        .saturating_sub(message.len() * 3);
    for (fact, key) in [(HINT, HINT_KEY), (IGNORED, IGNORED_KEY)] {
        if let Some(text) = error.fact(fact)
            && text.len() <= room
            && let Ok(value) = text.parse()
        {
            room -= text.len();
            status.metadata_mut().insert(key, value);
        }
    }
    status
}

/// How many milliseconds a client waits before it retries, rounded up; -1 where a retry fails again. `None` where the
/// client knows best.
fn pushback(error: &Error) -> Option<i32> {
    match (error.retryable_override(), error.retry_after()) {
        (Some(false), _) => Some(-1),
        (_, Some(delay)) => {
            let millis = delay.as_nanos().div_ceil(1_000_000);
            Some(i32::try_from(millis).unwrap_or(i32::MAX))
        }
        (_, None) => None,
    }
}

/// The `google.rpc` messages that describe an error, within the metadata limit of clients.
#[must_use]
pub fn details(error: &Error) -> Vec<Any> {
    let (violations, omitted) = truncate_violations(error.field_violations());
    let mut info = pb::ErrorInfo {
        reason: truncate(error.reason(), MAX_REASON_BYTES).to_owned(),
        domain: DOMAIN.to_owned(),
        metadata: truncate_info(error),
    };
    if omitted > 0 {
        // Violations that were omitted earlier are counted as well.
        let before = error.fact(OMITTED).and_then(|n| n.parse::<usize>().ok());
        let omitted = omitted + before.unwrap_or_default();
        info.metadata
            .insert(OMITTED.to_owned(), omitted.to_string());
    }
    if let Some(retryable) = error.retryable_override() {
        info.metadata
            .insert("retryable".to_owned(), retryable.to_string());
    }
    let mut details = vec![any(&info)];
    if !violations.is_empty() {
        details.push(any(&pb::BadRequest {
            field_violations: violations,
        }));
    }
    if let Some(delay) = error.retry_after() {
        details.push(any(&pb::RetryInfo {
            retry_delay: prost_types::Duration::try_from(delay).ok(),
        }));
    }
    if let Some(cid) = error.cid() {
        details.push(any(&pb::RequestInfo {
            request_id: cid.to_string(),
            serving_data: String::new(),
        }));
    }
    let mut bytes: usize = details.iter().map(Any::encoded_len).sum();
    for Detail { type_url, value } in error.details() {
        let any = Any {
            type_url: type_url.clone(),
            value: value.to_vec(),
        };
        bytes += any.encoded_len();
        if bytes <= MAX_DETAIL_BYTES {
            details.push(any);
        }
    }
    details
}

/// The supported `google.rpc` messages and their type URLs.
trait Known: prost::Message + Default {
    const TYPE_URL: &'static str;
}

impl Known for pb::ErrorInfo {
    const TYPE_URL: &'static str = "type.googleapis.com/google.rpc.ErrorInfo";
}

impl Known for pb::BadRequest {
    const TYPE_URL: &'static str = "type.googleapis.com/google.rpc.BadRequest";
}

impl Known for pb::RetryInfo {
    const TYPE_URL: &'static str = "type.googleapis.com/google.rpc.RetryInfo";
}

impl Known for pb::RequestInfo {
    const TYPE_URL: &'static str = "type.googleapis.com/google.rpc.RequestInfo";
}

fn any<M: Known>(message: &M) -> Any {
    Any {
        type_url: M::TYPE_URL.to_owned(),
        value: message.encode_to_vec(),
    }
}

/// As many `ErrorInfo` entries as fit, in order of insertion.
fn truncate_info(error: &Error) -> HashMap<String, String> {
    let mut bytes = 0;
    let facts = error.info().iter();
    facts
        .map(|(key, value)| {
            (
                key.to_string(),
                truncate(value, MAX_STATUS_MESSAGE_BYTES).to_owned(),
            )
        })
        .take_while(|(key, value)| {
            bytes += key.len() + value.len() + 8;
            bytes <= MAX_INFO_BYTES
        })
        .collect()
}

fn truncate_violations(violations: &[Violation]) -> (Vec<pb::bad_request::FieldViolation>, usize) {
    let mut bytes = 0;
    let kept: Vec<_> = violations
        .iter()
        .take(MAX_STATUS_VIOLATIONS)
        .map(|violation| pb::bad_request::FieldViolation {
            field: truncate(&violation.path, 512).to_owned(),
            description: truncate(&violation.message, 512).to_owned(),
            reason: violation.code.to_string(),
            localized_message: None,
        })
        .take_while(|violation| {
            bytes += violation.encoded_len() + 4;
            bytes <= MAX_VIOLATION_BYTES
        })
        .collect();
    let omitted = violations.len() - kept.len();
    (kept, omitted)
}

/// The longest prefix of a text that has at most `max` bytes.
fn truncate(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}

/// Converts a status from a node or from the transport to an error.
#[must_use]
pub fn from_status(status: &Status) -> Error {
    let kind = Kind::from_grpc_code(status.code() as i32).unwrap_or(Kind::Unknown);
    let details = pb::Status::decode(status.details())
        .map(|status| status.details)
        .unwrap_or_default();
    let error = match status.details() {
        // The status comes from the connection or from another server, not from a node.
        [] => Error::new(kind, reason::TRANSPORT, status.message()).without_location(),
        _ => from_details(kind, status.message(), &details),
    };
    let cid = status
        .metadata()
        .get(CID_KEY)
        .and_then(|value| Cid::parse(value.to_str().ok()?).ok());
    match cid {
        Some(cid) => error.with_cid(cid),
        None => error,
    }
}

/// Restores an error from its kind, its message and its `google.rpc` messages.
#[must_use]
pub fn from_details(kind: Kind, message: &str, details: &[Any]) -> Error {
    let info: pb::ErrorInfo = find(details).unwrap_or_default();
    let reason = if info.reason.is_empty() {
        kind.name().to_owned()
    } else {
        info.reason
    };
    let mut error = Error::new(kind, reason, message).without_location();
    for (key, value) in info.metadata {
        if key == "retryable" {
            error = error.with_retryable(value.parse().ok());
        } else {
            error = error.with_info(key, value);
        }
    }
    for any in details {
        if any.type_url == pb::ErrorInfo::TYPE_URL {
            continue;
        }
        error = with_detail(error, any);
    }
    error
}

fn with_detail(error: Error, any: &Any) -> Error {
    if let Some(request) = unpack::<pb::BadRequest>(any) {
        return request
            .field_violations
            .into_iter()
            .fold(error, |error, violation| {
                let code = violation.reason;
                error.with_violation(Violation::new(violation.field, code, violation.description))
            });
    }
    if let Some(retry) = unpack::<pb::RetryInfo>(any) {
        let delay = retry
            .retry_delay
            .and_then(|delay| Duration::try_from(delay).ok());
        return error.with_retry_after(delay.unwrap_or_default());
    }
    if let Some(request) = unpack::<pb::RequestInfo>(any)
        && let Ok(cid) = Cid::parse(&request.request_id)
    {
        return error.with_cid(cid);
    }
    error.with_detail(Detail {
        type_url: any.type_url.clone(),
        value: any.value.clone().into(),
    })
}

fn find<M: Known>(details: &[Any]) -> Option<M> {
    details.iter().find_map(unpack)
}

fn unpack<M: Known>(any: &Any) -> Option<M> {
    (any.type_url == M::TYPE_URL)
        .then(|| M::decode(any.value.as_slice()).ok())
        .flatten()
}

/// A CID as a header value. It differs in every response, and is marked as sensitive so that HPACK does not add it to
/// its table, where it would evict repeated headers.
#[must_use]
pub fn cid_value(cid: Cid) -> HeaderValue {
    let mut value = HeaderValue::from_str(cid.encode(&mut [0; 36]))
        .unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_a_round_trip_through_a_status() {
        let cid = Cid::new();
        let error = Error::resource_exhausted("QUEUE_FULL", "too many: ä")
            .with_violation(Violation::new("/a/0", "WRONG", "is wrong"))
            .with_retry_after(Duration::from_millis(1_500))
            .with_retryable(false)
            .with_info("limit", 7)
            .with_cid(cid)
            .with_detail(Detail {
                type_url: "type.googleapis.com/x.Y".to_owned(),
                value: Bytes::from_static(b"\x08\x01"),
            });
        let again = from_status(&to_status(&error));
        assert_eq!(again.kind(), Kind::ResourceExhausted);
        assert_eq!(again.reason(), "QUEUE_FULL");
        assert_eq!(again.message(), "too many: ä");
        assert_eq!(again.field_violations(), error.field_violations());
        assert_eq!(again.retry_after(), error.retry_after());
        assert_eq!(again.retryable_override(), Some(false));
        assert_eq!(again.fact("limit"), Some("7"));
        assert_eq!(again.cid(), Some(cid));
        assert_eq!(again.details(), error.details());
    }

    #[test]
    fn clients_learn_when_to_retry() {
        let full = || Error::resource_exhausted("QUEUE_FULL", "too many");
        let after = |nanos| full().with_retry_after(Duration::from_nanos(nanos));
        for (error, expected) in [
            (full(), None),
            (full().with_retryable(false), Some("-1")),
            (after(1_500_000), Some("2")),
            (after(u64::MAX), Some("2147483647")),
            (after(1).with_retryable(false), Some("-1")),
        ] {
            let status = to_status(&error);
            let pushback = status.metadata().get(PUSHBACK_KEY);
            let pushback = pushback.map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(pushback.as_deref(), expected, "{error:?}");
        }
    }

    #[test]
    fn every_kind_maps_to_the_code_of_its_name() {
        for kind in Kind::ALL {
            let status = to_status(&Error::new(kind, "X", "x"));
            assert_eq!(from_status(&status).kind(), kind);
            assert_ne!(status.code(), Code::Ok);
        }
    }

    #[test]
    fn a_status_is_limited_in_size_and_counts_what_it_omits() {
        let violations = (0..1_000)
            .map(|i| Violation::new(format!("/{}/{i}", "ä".repeat(i)), "WRONG", "é".repeat(i)))
            .collect();
        let mut error = Error::violations("INPUT_INVALID", violations).with_cid(Cid::new());
        for n in 0..100 {
            error = error.with_info(format!("fact{n}"), "é".repeat(1_000));
            error = error.with_detail(Detail {
                type_url: "type.googleapis.com/x.Y".to_owned(),
                value: Bytes::from(vec![0; 200]),
            });
        }
        let status = to_status(&error);
        let header = status.details().len().div_ceil(3) * 4 + status.message().len() * 3;
        assert!(header < 8 * 1024 - 512, "{header}");
        let again = from_status(&status);
        let left: usize = again.fact("violations_omitted").unwrap().parse().unwrap();
        assert_eq!(left + again.field_violations().len(), 1_000);
    }
}
