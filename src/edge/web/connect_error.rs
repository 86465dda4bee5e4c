//! Failures of Connect: a status as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::header::{HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, StatusCode};
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::codec::json;
use crate::codec::proto_json;
use crate::codec::status::{from_status, to_status};
use crate::dict;
use crate::edge::challenge::challenge;
use crate::model::error::{Error, reason};
use crate::model::value::{Dict, Value};

const GRPC_PREFIX: &str = "grpc-";

/// The name of a code, and the HTTP status of a unary call that fails with it.
pub(super) fn code(code: Code) -> (&'static str, StatusCode) {
    match code {
        Code::Ok => ("ok", StatusCode::OK),
        Code::Cancelled => (
            "canceled",
            StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT),
        ),
        Code::Unknown => ("unknown", StatusCode::INTERNAL_SERVER_ERROR),
        Code::InvalidArgument => ("invalid_argument", StatusCode::BAD_REQUEST),
        Code::DeadlineExceeded => ("deadline_exceeded", StatusCode::GATEWAY_TIMEOUT),
        Code::NotFound => ("not_found", StatusCode::NOT_FOUND),
        Code::AlreadyExists => ("already_exists", StatusCode::CONFLICT),
        Code::PermissionDenied => ("permission_denied", StatusCode::FORBIDDEN),
        Code::ResourceExhausted => ("resource_exhausted", StatusCode::TOO_MANY_REQUESTS),
        Code::FailedPrecondition => ("failed_precondition", StatusCode::BAD_REQUEST),
        Code::Aborted => ("aborted", StatusCode::CONFLICT),
        Code::OutOfRange => ("out_of_range", StatusCode::BAD_REQUEST),
        Code::Unimplemented => ("unimplemented", StatusCode::NOT_IMPLEMENTED),
        Code::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
        Code::DataLoss => ("data_loss", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED),
    }
}

/// A status as the JSON of an error.
pub(super) fn error(status: &Status, find: proto_json::FindType<'_>) -> Value {
    let (code, _) = code(status.code());
    let mut error = dict! { "code": code };
    if !status.message().is_empty() {
        error.insert("message", status.message());
    }
    let decoded = pb::Status::decode(status.details()).unwrap_or_default();
    let details: Vec<Value> = decoded
        .details
        .iter()
        .map(|any| detail(any, find).into())
        .collect();
    if !details.is_empty() {
        error.insert("details", details);
    }
    error.into()
}

fn detail(any: &prost_types::Any, find: proto_json::FindType<'_>) -> Dict {
    let name = any.type_url.rsplit('/').next().unwrap_or_default();
    let mut detail = dict! {
        "type": name,
        "value": STANDARD_NO_PAD.encode(&any.value),
    };
    let debug = find(name)
        .and_then(|message| proto_json::write(&message, &any.value, find).ok())
        .and_then(|text| json::read(text.as_bytes()).ok());
    if let Some(debug) = debug {
        detail.insert("debug", debug);
    }
    detail
}

/// Adds the headers of HTTP that tell a caller what to do about a failure.
pub(super) fn add_headers(headers: &mut HeaderMap, status: &Status) {
    let error = from_status(status);
    if status.code() == Code::Unauthenticated {
        headers.insert(WWW_AUTHENTICATE, challenge(error.reason()));
    }
    if let Some(delay) = error.retry_after() {
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// Removes the headers that only gRPC has.
pub(super) fn remove_grpc(headers: &mut HeaderMap) {
    let own: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(GRPC_PREFIX))
        .cloned()
        .collect();
    for name in own {
        headers.remove(name);
    }
}

/// The status of a response that gRPC would not send.
pub(super) fn incomplete() -> Status {
    let message = "the response is not one of gRPC, or ends too early";
    to_status(&Error::internal(reason::TRANSPORT, message))
}
