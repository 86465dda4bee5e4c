//! Answers: JSON objects, and responses of services.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use super::counted_body::counted;
use super::media::content_type;
use crate::codec::json;
use crate::codec::status::{CID_HEADER, cid_value};
use crate::edge::connection::Connection;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::payload::Format;
use crate::model::value::Value;

/// An answer with a document.
///
/// # Errors
///
/// `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT`.
pub(super) fn document(
    bytes: Bytes,
    format: Format,
    connection: &Arc<Connection>,
) -> Result<Response<Body>> {
    let mut response = Response::new(counted(bytes, connection)?);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type(format));
    Ok(response)
}

/// An answer with a JSON object: what the node knows now.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for a value that JSON cannot represent; `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT`.
pub(super) fn object(
    status: StatusCode,
    object: &Value,
    connection: &Arc<Connection>,
) -> Result<Response<Body>> {
    let text = json::write(object)?;
    let mut response = document(text.into(), Format::Json, connection)?;
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Adds the CID.
pub(super) fn with_cid(mut response: Response<Body>, cid: Cid) -> Response<Body> {
    response.headers_mut().insert(CID_HEADER, cid_value(cid));
    response
}
