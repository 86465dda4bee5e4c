//! The options of typed methods, which are sent as metadata such as `cidery-timeout: 2s`, and the metadata of their
//! calls.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tonic::metadata::MetadataMap;

use super::request;
use crate::codec::convert::{DISPATCH_KEY, FieldErrors, parse_optional_cid};
use crate::codec::status::CID_KEY;
use crate::codec::typed::CallMode;
use crate::model::call::{Call, OnDeadline, Start};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::Cid;
use crate::model::invocation::Terms;
use crate::model::metadata::{Metadata, TRACEPARENT};

const TIMEOUT_KEY: &str = "cidery-timeout";
const IDEMPOTENCY_KEY: &str = "cidery-idempotency-key";
const DELAY_KEY: &str = "cidery-delay";
const ON_DEADLINE_KEY: &str = "cidery-on-deadline";
/// The prefix of reserved metadata keys: unknown keys with it are refused.
const RESERVED_PREFIX: &str = "cidery-";

/// The options of synchronous methods.
const SYNC_OPTIONS: [&str; 4] = [CID_KEY, TIMEOUT_KEY, IDEMPOTENCY_KEY, ON_DEADLINE_KEY];
/// The options of asynchronous methods.
const ASYNC_OPTIONS: [&str; 4] = [CID_KEY, TIMEOUT_KEY, IDEMPOTENCY_KEY, DELAY_KEY];

/// Headers of the transport: they are neither stored nor passed to the handler.
const TRANSPORT_HEADERS: [&str; 10] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "date",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "user-agent",
];

/// Headers with credentials: a store or a list that contained them would give them away.
const CREDENTIAL_HEADERS: [&str; 19] = [
    "api-key",
    "apikey",
    "authorization",
    "cookie",
    "private-token",
    "proxy-authorization",
    "set-cookie",
    "x-access-token",
    "x-amz-security-token",
    "x-api-key",
    "x-api-token",
    "x-auth-token",
    "x-csrf-token",
    "x-forwarded-access-token",
    "x-goog-api-key",
    "x-goog-iap-jwt-assertion",
    "x-id-token",
    "x-vault-token",
    "x-xsrf-token",
];

/// The CID that a caller brings in a header.
pub(super) fn requested_cid(transport: &MetadataMap) -> Result<Option<Cid>> {
    cid_in(transport.as_ref())
}

fn cid_in(headers: &HeaderMap) -> Result<Option<Cid>> {
    let Some(header) = single(headers, CID_KEY)? else {
        return Ok(None);
    };
    parse_optional_cid(CID_KEY, header.to_str().unwrap_or_default())
}

/// Applies the options in the metadata of a request to a call, and the metadata of the call itself.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations; where only one option is invalid, also `CID_INVALID` or
/// `METADATA_TOO_LARGE`.
pub(super) fn apply(call: &mut Call, transport: &MetadataMap, mode: CallMode) -> Result<()> {
    apply_headers(call, transport.as_ref(), mode, is_metadata)
}

/// As [`apply`]; `is_metadata` tells which headers are metadata of the call.
///
/// # Errors
///
/// As for [`apply`].
pub(in crate::edge) fn apply_headers(
    call: &mut Call,
    headers: &HeaderMap,
    mode: CallMode,
    is_metadata: fn(&str) -> bool,
) -> Result<()> {
    let mut errors = FieldErrors::default();
    let (options, others) = match mode {
        CallMode::Sync => (SYNC_OPTIONS, [DELAY_KEY]),
        CallMode::Async => (ASYNC_OPTIONS, [ON_DEADLINE_KEY]),
    };
    for name in headers.keys().map(http::HeaderName::as_str) {
        let is_known = options.contains(&name) || name == DISPATCH_KEY;
        if name.starts_with(RESERVED_PREFIX) && !is_known {
            errors.take(Err::<(), _>(unknown(name, mode, &options, &others)));
        }
    }
    call.cid = errors.take(cid_in(headers));
    let timeout = errors.take(duration(headers, TIMEOUT_KEY));
    call.timeout = match mode {
        CallMode::Sync => errors.take(request::timeout_of_headers(timeout, headers)),
        // It bounds an attempt, and `grpc-timeout` only the acceptance.
        CallMode::Async => timeout,
    };
    if headers.contains_key(IDEMPOTENCY_KEY) {
        call.durable().idempotency_key = errors.take(idempotency_key(headers));
    }
    if mode == CallMode::Async
        && let Some(delay) = errors.take(duration(headers, DELAY_KEY))
    {
        call.durable().start = Some(Start::After(delay));
    }
    if mode == CallMode::Sync && headers.contains_key(ON_DEADLINE_KEY) {
        call.durable().on_deadline = errors.take(on_deadline(headers));
    }
    let metadata = metadata(headers, is_metadata);
    errors.take(metadata.check());
    errors.finish()?;
    call.metadata = (!metadata.is_empty()).then(|| Arc::new(metadata));
    Ok(())
}

/// An option that is metadata of a call because its name has no prefix, or underscores: what the caller may have meant.
pub(super) fn misnamed(metadata: &Metadata) -> Option<String> {
    let mut names = metadata.iter().map(|(name, _)| name);
    let (name, option) = names.find_map(|name| {
        let option = match name {
            "cid" | "cidery_cid" => CID_KEY,
            "timeout" | "cidery_timeout" => TIMEOUT_KEY,
            "delay" | "cidery_delay" => DELAY_KEY,
            "idempotency-key" | "idempotency_key" | "cidery_idempotency_key" => IDEMPOTENCY_KEY,
            "on-deadline" | "on_deadline" | "cidery_on_deadline" => ON_DEADLINE_KEY,
            _ => return None,
        };
        Some((name, option))
    })?;
    Some(format!(
        "`{name}` is metadata for the handler; the option of the call is `{option}`"
    ))
}

/// The value of an option. A header that is sent twice has two.
fn single<'a>(headers: &'a HeaderMap, key: &str) -> Result<Option<&'a HeaderValue>> {
    let mut values = headers.get_all(key).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(invalid(key, "DUPLICATE", "is sent more than once")),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let key = single(headers, IDEMPOTENCY_KEY)?.and_then(|key| key.to_str().ok());
    let Some(key) = key.filter(|key| !key.is_empty()) else {
        return Err(malformed(IDEMPOTENCY_KEY, "must be non-empty ASCII text"));
    };
    if key.len() > Terms::MAX_KEY_BYTES {
        let message = format!("is longer than {} bytes", Terms::MAX_KEY_BYTES);
        return Err(invalid(IDEMPOTENCY_KEY, "TOO_LARGE", &message));
    }
    Ok(Some(key.to_owned()))
}

fn on_deadline(headers: &HeaderMap) -> Result<OnDeadline> {
    match single(headers, ON_DEADLINE_KEY)?.map(HeaderValue::as_bytes) {
        Some(b"cancel") => Ok(OnDeadline::Cancel),
        Some(b"continue") => Ok(OnDeadline::Continue),
        _ => Err(malformed(ON_DEADLINE_KEY, "must be `cancel` or `continue`")),
    }
}

/// The error of a reserved key that is no option of the method.
fn unknown(name: &str, mode: CallMode, options: &[&str], of_other_mode: &[&str]) -> Error {
    let listed: Vec<String> = options.iter().map(|option| format!("`{option}`")).collect();
    let listed = listed.join(", ");
    let (kind, other) = match mode {
        CallMode::Sync => (
            "a synchronous",
            "use the method whose name ends with `Async`",
        ),
        CallMode::Async => (
            "an asynchronous",
            "use the method whose name has no `Async`",
        ),
    };
    let (code, advice) = match of_other_mode.contains(&name) {
        true => ("NOT_ALLOWED", format!("; for it, {other}")),
        false => ("UNKNOWN_KEY", String::new()),
    };
    let message = format!("is not an option of {kind} call, which has {listed}{advice}");
    let violation = Violation::new(format!("/{name}"), code, message);
    Error::violations(reason::REQUEST_INVALID, vec![violation])
}

/// Parses a duration header: `500ms`, `2s`, `1m 30s`.
fn duration(headers: &HeaderMap, key: &str) -> Result<Option<Duration>> {
    let Some(value) = single(headers, key)? else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    let duration = parsed.and_then(|duration| Duration::try_from(duration).ok());
    let message = "is not a duration such as `500ms` or `2s`";
    duration.map(Some).ok_or_else(|| malformed(key, message))
}

fn malformed(key: &str, message: &str) -> Error {
    invalid(key, "MALFORMED", message)
}

fn invalid(key: &str, code: &'static str, message: &str) -> Error {
    let violation = Violation::new(format!("/{key}"), code, message);
    Error::violations(reason::REQUEST_INVALID, vec![violation])
}

/// Whether a header is metadata of a call or a reply: no header of the transport or of gRPC, no credential, no option.
pub(in crate::edge) fn is_metadata(name: &str) -> bool {
    !(TRANSPORT_HEADERS.contains(&name)
        || CREDENTIAL_HEADERS.contains(&name)
        || name.starts_with(RESERVED_PREFIX)
        || name.starts_with("grpc-")
        || name.ends_with("-bin"))
}

/// The metadata of a call.
fn metadata(headers: &HeaderMap, is_metadata: fn(&str) -> bool) -> Metadata {
    let mut metadata = Metadata::new();
    for name in headers.keys().map(http::HeaderName::as_str) {
        if !is_metadata(name) {
            continue;
        }
        let mut values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
        // A trace has one parent; repeated values of all other headers are joined.
        let value = match name {
            TRACEPARENT => values.next().map(str::to_owned),
            _ => values
                .map(str::to_owned)
                .reduce(|all, one| format!("{all},{one}")),
        };
        if let Some(value) = value {
            metadata.insert(name, value);
        }
    }
    metadata
}
