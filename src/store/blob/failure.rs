//! Failures: why an attempt, or an invocation, failed.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use super::scalars::{PairBlob, cid, damaged, duration_nanos};
use crate::model::error::{Detail, Error, Kind, Result, Violation};
use crate::model::id::Cid;
use crate::store::cipher::{BlobCipher, Column, Place};

#[derive(Clone, PartialEq, Message)]
pub(super) struct FailureBlob {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(string, tag = "2")]
    reason: String,
    #[prost(string, tag = "3")]
    message: String,
    #[prost(bool, optional, tag = "4")]
    retryable: Option<bool>,
    /// Nanoseconds.
    #[prost(uint64, optional, tag = "5")]
    retry_after: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "6")]
    cid: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "7")]
    violations: Vec<ViolationBlob>,
    #[prost(message, repeated, tag = "8")]
    facts: Vec<PairBlob>,
    #[prost(message, repeated, tag = "9")]
    details: Vec<DetailBlob>,
    #[prost(string, optional, tag = "10")]
    trace: Option<String>,
    /// Of the last failure of a pending invocation: whether it is deferred.
    #[prost(bool, tag = "11")]
    deferred: bool,
    /// Of an invocation whose cancellation was requested while its handler ran: the reason that was given. The other
    /// fields are unset where no attempt has failed before.
    #[prost(string, optional, tag = "12")]
    cancel_reason: Option<String>,
}

/// What the column `last_failure` has.
#[derive(Debug, Default)]
pub(in crate::store) struct LastFailure {
    pub(in crate::store) error: Option<Error>,
    /// Whether the invocation is deferred.
    pub(in crate::store) deferred: bool,
    /// Why it is cancelled.
    pub(in crate::store) cancel_reason: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ViolationBlob {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, tag = "2")]
    code: String,
    #[prost(string, tag = "3")]
    message: String,
}

#[derive(Clone, PartialEq, Message)]
struct DetailBlob {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// Where the column `last_failure` of an invocation is sealed for.
fn place(cid: Cid) -> Place {
    Place::of(cid, Column::LastFailure)
}

/// Encodes and seals the last failure of a pending invocation, and whether the invocation is deferred.
pub(in crate::store) fn encode_last_failure(
    cid: Cid,
    error: &Error,
    deferred: bool,
    cipher: &BlobCipher,
) -> Result<Vec<u8>> {
    let failure = FailureBlob {
        deferred,
        ..to_failure(error)
    };
    cipher.seal(place(cid), failure.encode_to_vec())
}

/// Adds the reason of a cancellation to a last failure, unless it has one. A blob that cannot be read stays as it is.
pub(in crate::store) fn with_cancel_reason(
    cid: Cid,
    blob: Option<Vec<u8>>,
    text: &str,
    cipher: &BlobCipher,
) -> Result<Vec<u8>> {
    let blob = blob.unwrap_or_default();
    let decoded = cipher
        .open(place(cid), &blob)
        .and_then(|plain| FailureBlob::decode(&*plain).map_err(damaged));
    match decoded {
        Ok(failure) if failure.cancel_reason.is_none() => {
            let failure = FailureBlob {
                cancel_reason: Some(text.to_owned()),
                ..failure
            };
            cipher.seal(place(cid), failure.encode_to_vec())
        }
        Ok(_) | Err(_) => Ok(blob),
    }
}

/// Decodes the column `last_failure`.
pub(in crate::store) fn decode_last_failure(
    cid: Cid,
    blob: Option<&[u8]>,
    cipher: &BlobCipher,
) -> Result<LastFailure> {
    let Some(blob) = blob else {
        return Ok(LastFailure::default());
    };
    let blob = cipher.open(place(cid), blob)?;
    let mut failure = FailureBlob::decode(&*blob).map_err(damaged)?;
    Ok(LastFailure {
        deferred: failure.deferred,
        cancel_reason: failure.cancel_reason.take(),
        // Code 0 is success.
        error: match failure.code {
            0 => None,
            _ => Some(from_failure(Some(failure))?),
        },
    })
}

/// The message of a failure: the rest is skipped, not decoded.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FailureMessageBlob {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(string, tag = "3")]
    pub(super) message: String,
}

/// Decodes the message of the column `last_failure`; `None` if it has no failure.
pub(super) fn decode_last_failure_message(
    cid: Cid,
    blob: &[u8],
    cipher: &BlobCipher,
) -> Result<Option<String>> {
    let blob = cipher.open(place(cid), blob)?;
    let failure = FailureMessageBlob::decode(&*blob).map_err(damaged)?;
    Ok((failure.code != 0).then_some(failure.message))
}

pub(super) fn to_failure(error: &Error) -> FailureBlob {
    let violation = |violation: &Violation| ViolationBlob {
        path: violation.path.clone(),
        code: violation.code.to_string(),
        message: violation.message.clone(),
    };
    let detail = |detail: &Detail| DetailBlob {
        type_url: detail.type_url.clone(),
        value: detail.value.clone(),
    };
    let fact = |(key, value): &(Cow<'static, str>, String)| PairBlob {
        key: key.to_string(),
        value: value.clone(),
    };
    FailureBlob {
        code: error.kind().grpc_code().into(),
        reason: error.reason().to_owned(),
        message: error.truncated_message().into_owned(),
        retryable: error.retryable_override(),
        retry_after: error.retry_after().map(duration_nanos),
        cid: error.cid().map(|cid| cid.as_bytes().to_vec()),
        violations: error.field_violations().iter().map(violation).collect(),
        facts: error.info().iter().map(fact).collect(),
        details: error.details().iter().map(detail).collect(),
        trace: error.trace(),
        deferred: false,
        cancel_reason: None,
    }
}

pub(super) fn from_failure(failure: Option<FailureBlob>) -> Result<Error> {
    let failure = failure.ok_or_else(|| damaged("no failure"))?;
    let code = i32::try_from(failure.code).unwrap_or_default();
    let kind = Kind::from_grpc_code(code).unwrap_or(Kind::Unknown);
    let mut error = Error::new(kind, failure.reason, failure.message)
        .without_location()
        .with_retryable(failure.retryable);
    if let Some(delay) = failure.retry_after {
        error = error.with_retry_after(Duration::from_nanos(delay));
    }
    if let Some(bytes) = failure.cid {
        error = error.with_cid(cid(&bytes)?);
    }
    for violation in failure.violations {
        error = error.with_violation(Violation::new(
            violation.path,
            violation.code,
            violation.message,
        ));
    }
    for fact in failure.facts {
        error = error.with_info(fact.key, fact.value);
    }
    for DetailBlob { type_url, value } in failure.details {
        error = error.with_detail(Detail { type_url, value });
    }
    Ok(match failure.trace {
        Some(trace) => error.with_trace(trace),
        None => error,
    })
}
