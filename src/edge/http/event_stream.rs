//! `GET /invocations/{cid}/events`: the events of an invocation as server-sent events (HTML, 9.2).
//!
//! The identifier of an event is its sequence: a browser that reconnects sends the last one, and goes on after it.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body::Frame;
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream as _;

use super::invocations::{refused, unnamed};
use super::problem::{Problem, members};
use super::query::Query;
use super::request::HttpRequest;
use super::respond::with_cid;
use crate::codec::convert::outcome_from_proto;
use crate::codec::proto::v1;
use crate::codec::proto::v1::invocation_service_server::InvocationService as _;
use crate::codec::status::from_status;
use crate::codec::{json, objects};
use crate::edge::connection::Connection;
use crate::edge::counting::UNCOUNTED_BYTES;
use crate::edge::credential_end::CredentialEnd;
use crate::edge::grpc::{InvocationApi, ResultResponses};
use crate::engine::byte_budget::Reservation;
use crate::model::error::{Error, Result, reason};
use crate::model::value::Value;

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Asks proxies not to wait for more.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How often a comment is sent where nothing happens: proxies end connections that are silent for a minute or less.
const HEARTBEAT: Duration = Duration::from_secs(15);
const COMMENT: &[u8] = b":\n\n";
/// The event that ends a stream which fails. A browser uses `error` for itself.
const FAILED: &str = "problem";

/// Answers a request. 204 where the invocation has ended, and the caller has seen that: a browser does not reconnect
/// then.
///
/// # Errors
///
/// As for `GetInvocation` and `StreamResults`.
pub(super) async fn events(
    api: &InvocationApi,
    mut request: HttpRequest,
) -> Result<Response<Body>, Problem> {
    let cid = request.cid();
    let mut query = Query::new(&request.parts.uri);
    let cid = query.take(cid.map(Some));
    let after = after(&request, &mut query);
    let wait_for_accept = query.flag("wait_for_accept");
    query.finish()?;
    let Some(cid) = cid else {
        return Err(unnamed());
    };
    match request.peer.invoker.find(cid, Duration::ZERO).await {
        Ok(found) => {
            let last = found.invocation.events.last();
            let seen = last.is_some_and(|event| event.sequence <= after);
            if found.invocation.state.is_terminal() && seen {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                return Ok(with_cid(response, cid));
            }
        }
        Err(error) if wait_for_accept && error.reason() == reason::CID_UNKNOWN => {}
        Err(error) => return Err(Problem::from(error).with_cid(cid)),
    }
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, EVENT_STREAM);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    if request.parts.method != Method::HEAD {
        let cid = cid.to_string();
        let message = v1::StreamResultsRequest {
            cids: vec![cid.clone()],
            after_sequences: (after > 0)
                .then(|| (cid.clone(), after))
                .into_iter()
                .collect(),
            wait_for_accept,
        };
        let followed = api.stream_results(request.to_grpc(message)).await;
        *response.body_mut() = Body::new(EventBody {
            cid,
            responses: Some(followed.map_err(|status| refused(&status))?.into_inner()),
            heartbeat: Box::pin(tokio::time::sleep(HEARTBEAT)),
            credential_end: request.credential_end.take(),
            connection: Arc::clone(&request.peer.connection),
            held: None,
        });
    }
    Ok(with_cid(response, cid))
}

/// The last sequence that the caller has seen: what a browser that reconnects says is newer than its address.
fn after(request: &HttpRequest, query: &mut Query) -> u64 {
    let after = query.number("after", "a sequence");
    let last = request.parts.headers.get(LAST_EVENT_ID);
    let last = last.map(|last| last.to_str().ok().and_then(|last| last.trim().parse().ok()));
    match last {
        None => after.unwrap_or(0),
        Some(Some(last)) => last,
        Some(None) => {
            query.refuse("last-event-id", "MALFORMED", "is not a sequence");
            0
        }
    }
}

/// The events.
struct EventBody {
    cid: String,
    /// `None`: the stream has ended.
    responses: Option<ResultResponses>,
    heartbeat: Pin<Box<Sleep>>,
    credential_end: Option<CredentialEnd>,
    connection: Arc<Connection>,
    /// Of the last event, which the transport sends before it asks for more.
    held: Option<Reservation>,
}

impl EventBody {
    /// The text of an event, and whether it is the last one.
    fn text_of(&self, response: &v1::StreamResultsResponse) -> Result<String> {
        let outcome = response.event.clone().map(outcome_from_proto).transpose()?;
        let object = match outcome.flatten() {
            Some(outcome) => objects::outcome_event(response, &outcome)?,
            None => objects::event(response)?,
        };
        let name = match object.as_dict().and_then(|object| object.get("event")) {
            Some(Value::Text(name)) => name.as_str(),
            _ => "message",
        };
        let mut text = String::new();
        // Members of a group have sequences of their own.
        if response.sequence > 0 && response.cid == self.cid {
            let _ = writeln!(text, "id: {}", response.sequence);
        }
        add_event(&mut text, name, &object)?;
        Ok(text)
    }

    /// Ends the stream with an error.
    fn end(&mut self, error: &Error) -> Bytes {
        self.responses = None;
        self.credential_end = None;
        let mut text = String::new();
        let status = StatusCode::from_u16(error.kind().http_status()).unwrap_or_default();
        match add_event(&mut text, FAILED, &Value::Dict(members(error, status))) {
            Ok(()) => text.into(),
            Err(_) => Bytes::from_static(COMMENT),
        }
    }

    /// Counts an event until the transport has it.
    fn count(&mut self, text: String) -> Result<Bytes> {
        if text.len() > UNCOUNTED_BYTES {
            self.held = Some(self.connection.answered.reserve(text.len())?);
        }
        Ok(text.into())
    }
}

/// Adds an event to a text. JSON on one line needs one `data`.
fn add_event(text: &mut String, name: &str, object: &Value) -> Result<()> {
    let data = json::write(object)?;
    let _ = write!(text, "event: {name}\ndata: {data}\n\n");
    Ok(())
}

impl http_body::Body for EventBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        this.held = None;
        if let Some(end) = &mut this.credential_end
            && let Poll::Ready(error) = end.as_mut().poll(cx)
        {
            let last = this.end(&error);
            return Poll::Ready(Some(Ok(Frame::data(last))));
        }
        let Some(responses) = &mut this.responses else {
            return Poll::Ready(None);
        };
        let data = match Pin::new(responses).poll_next(cx) {
            Poll::Ready(None) => {
                this.responses = None;
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Ok(response))) => {
                let counted = this.text_of(&response).and_then(|text| this.count(text));
                counted.unwrap_or_else(|error| this.end(&error))
            }
            Poll::Ready(Some(Err(status))) => this.end(&from_status(&status)),
            Poll::Pending => {
                ready!(this.heartbeat.as_mut().poll(cx));
                Bytes::from_static(COMMENT)
            }
        };
        let next = Instant::now() + HEARTBEAT;
        this.heartbeat.as_mut().reset(next);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.responses.is_none()
    }
}
