//! `POST /invoke/{service}`: invokes a service, now or in the background.

use axum::body::Body;
use bytes::Bytes;
use http::header::{HeaderName, LOCATION};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::accept;
use super::media::{format_of, media_type, untyped};
use super::options::{Mode, apply};
use super::prefer::PREFERENCE_APPLIED;
use super::problem::Problem;
use super::query::Query;
use super::request::{HttpRequest, Peer};
use super::respond::{document, object, with_cid};
use crate::codec::payload;
use crate::dict;
use crate::model::call::{ALREADY_ACCEPTED_KEY, Accepted, Call};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::Cid;
use crate::model::metadata::Metadata;
use crate::model::payload::{Format, Payload, Reply};
use crate::model::sio::IGNORED_KEY;
use crate::service::output_invalid;

/// The prefix of headers with the metadata of a reply: a handler sets no header of HTTP.
const METADATA_PREFIX: &str = "cidery-metadata-";
/// How many bytes of metadata an answer has: clients limit their headers.
const MAX_METADATA_BYTES: usize = 4 * 1024;

/// Answers a request.
///
/// # Errors
///
/// 406, 413 and 415; as for [`Invoker::invoke`](crate::engine::Invoker::invoke) and
/// [`Invoker::invoke_async`](crate::engine::Invoker::invoke_async).
pub(super) async fn invoke(mut request: HttpRequest) -> Result<Response<Body>, Problem> {
    let headers = std::mem::take(&mut request.parts.headers);
    let format = format_of(media_type(&headers)?.as_deref())?;
    let requested = accept::requested(&headers)?;
    let mut call = Call::new(request.name()?, Payload::empty());
    let query = Query::new(&request.parts.uri);
    let invoker = &request.peer.invoker;
    let retries = invoker.limits().retry_policy();
    let mode = apply(&mut call, &headers, query, invoker.now(), &retries)?;
    request.parts.headers = headers;
    let received = request.read_body().await?;
    call.input = input(format, received.bytes.clone())?;
    call.response_format = requested;
    if requested.is_none() && !matches!(call.input, Payload::Document(..)) {
        call.response_format = Some(Format::Json);
    }
    let answered = match mode.is_async {
        true => Box::pin(accept_call(&request.peer, call, mode)).await,
        false => wait(&request.peer, call, mode).await,
    };
    drop(received);
    answered
}

/// The input in a body. Without one it is the empty dict.
fn input(format: Option<Format>, body: Bytes) -> Result<Payload, Problem> {
    if body.is_empty() && matches!(format, None | Some(Format::Json)) {
        return Ok(Payload::empty());
    }
    let format = format.ok_or_else(untyped)?;
    if format == Format::Form && body.trim_ascii_start().starts_with(b"{") {
        // What `curl -d` sends without a header. A browser escapes a brace.
        let message = "is JSON, sent as a form: add the header `content-type: application/json` (`curl --json`)";
        let violation = Violation::new("", "NOT_A_FORM", message);
        let error = Error::violations(reason::DOCUMENT_MALFORMED, vec![violation]);
        return Err(error.into());
    }
    Ok(Payload::Document(body, format))
}

/// Invokes the service and answers its response.
async fn wait(peer: &Peer, call: Call, mode: Mode) -> Result<Response<Body>, Problem> {
    let cid = call.cid.unwrap_or_else(Cid::new);
    let format = payload::answer_format(call.response_format, &call.input);
    let continues = call.continues();
    let (cid, reply) = match peer.invoker.invoke(cid, call).await {
        Ok(invoked) => invoked,
        Err(error) if continues && error.reason() == reason::STILL_RUNNING => {
            return still_running(peer, &error, cid, mode);
        }
        Err(error) => return Err(error.into()),
    };
    let mut answered = respond(peer, reply, format).map_err(|error| error.with_cid(cid))?;
    add_applied_wait(answered.headers_mut(), mode);
    Ok(with_cid(answered, cid))
}

/// Says how long the caller is waited for, where it prefers that.
fn add_applied_wait(headers: &mut HeaderMap, mode: Mode) {
    if let Some(wait) = mode.wait
        && let Ok(applied) = HeaderValue::try_from(format!("wait={}", wait.as_secs()))
    {
        headers.insert(PREFERENCE_APPLIED, applied);
    }
}

fn respond(peer: &Peer, reply: Reply, format: Format) -> Result<Response<Body>> {
    let Reply { payload, metadata } = reply;
    let payload = match payload {
        // In the requested format already, or in JSON where that format cannot represent the response.
        document @ Payload::Document(..) => document,
        other => payload::encode(other, format).map_err(output_invalid)?,
    };
    let Payload::Document(bytes, format) = payload else {
        return Err(Error::internal(
            reason::FORMAT_INVALID,
            "the response is no document",
        ));
    };
    let limit = peer.invoker.limits().message_bytes;
    if bytes.len() > limit {
        let message = format!(
            "the response has {} bytes; the limit is {limit}",
            bytes.len()
        );
        let error = Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message);
        return Err(error
            .with_retryable(false)
            .with_info("message_bytes", limit));
    }
    let mut response = document(bytes, format, &peer.connection)?;
    if !metadata.is_empty() {
        add_metadata(response.headers_mut(), &metadata);
    }
    Ok(response)
}

/// Adds the metadata of a reply: that of the node under its own names, and that of the handler with a prefix.
fn add_metadata(headers: &mut HeaderMap, metadata: &Metadata) {
    let mut bytes = 0;
    for (name, value) in metadata.iter() {
        bytes += name.len() + value.len();
        let is_ours = [ALREADY_ACCEPTED_KEY, IGNORED_KEY].contains(&name);
        if bytes > MAX_METADATA_BYTES && !is_ours {
            continue;
        }
        let name = match is_ours {
            true => HeaderName::try_from(name),
            false => HeaderName::try_from(format!("{METADATA_PREFIX}{name}")),
        };
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}

/// Accepts the call and answers its CID.
async fn accept_call(peer: &Peer, call: Call, mode: Mode) -> Result<Response<Body>, Problem> {
    let requested_cid = call.cid;
    let accepted = peer.invoker.invoke_async(call).await;
    let accepted = accepted.map_err(|error| match requested_cid {
        Some(cid) => Problem::from(error).with_cid(cid),
        None => error.into(),
    })?;
    let Accepted {
        cid,
        already_accepted,
        ignored,
    } = accepted;
    let mut response = accepted_response(peer, cid, already_accepted)?;
    let headers = response.headers_mut();
    if !ignored.is_empty()
        && let Ok(names) = HeaderValue::try_from(ignored.to_text())
    {
        headers.insert(IGNORED_KEY, names);
    }
    if mode.prefers_async {
        headers.insert(
            PREFERENCE_APPLIED,
            HeaderValue::from_static("respond-async"),
        );
    }
    Ok(response)
}

/// The answer to a caller that has waited as long as it wants: the invocation continues.
fn still_running(
    peer: &Peer,
    error: &Error,
    cid: Cid,
    mode: Mode,
) -> Result<Response<Body>, Problem> {
    let cid = error.cid().unwrap_or(cid);
    let already_accepted = error.fact(crate::model::call::ALREADY_ACCEPTED).is_some();
    let mut response = accepted_response(peer, cid, already_accepted)?;
    add_applied_wait(response.headers_mut(), mode);
    Ok(response)
}

/// 202, with the CID and where the invocation is.
fn accepted_response(peer: &Peer, cid: Cid, already_accepted: bool) -> Result<Response<Body>> {
    let accepted = dict! { "cid": cid.to_string(), "already_accepted": already_accepted };
    let mut response = object(StatusCode::ACCEPTED, &accepted.into(), &peer.connection)?;
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::try_from(format!("/invocations/{cid}")) {
        headers.insert(LOCATION, location);
    }
    if already_accepted {
        headers.insert(ALREADY_ACCEPTED_KEY, HeaderValue::from_static("true"));
    }
    Ok(with_cid(response, cid))
}
