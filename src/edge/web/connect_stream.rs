//! Streams of Connect: messages in envelopes, and a last one that says how the stream ended.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body as _, Frame};
use tonic::Status;
use tonic::body::Body;

use super::codec::MessageCodec;
use super::connect_error::{self, incomplete, remove_grpc};
use super::envelope::{self, COMPRESSED, END_OF_STREAM, Messages};
use crate::codec::json;
use crate::dict;
use crate::edge::compression::{GZIP, compressed};
use crate::edge::connection::Connection;
use crate::edge::response_body::ResponseBody;
use crate::model::value::{Dict, Value};

const ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");

/// The response of gRPC as one of Connect.
pub(super) fn response(
    response: Response<Body>,
    codec: MessageCodec,
    writes_gzip: bool,
    connection: &Arc<Connection>,
) -> Response<ResponseBody> {
    let (mut head, inner) = response.into_parts();
    let ended = match Status::from_header_map(&head.headers) {
        None if head.status != StatusCode::OK => Some(incomplete()),
        status => status,
    };
    head.status = StatusCode::OK;
    remove_grpc(&mut head.headers);
    if writes_gzip {
        head.headers
            .insert(ENCODING, HeaderValue::from_static(GZIP));
    }
    let body = Body::new(StreamBody {
        inner,
        codec,
        writes_gzip,
        messages: Messages::default(),
        ended,
        is_done: false,
    });
    // The details are as in any other stream, without their text.
    let end = |status: &Status| {
        let error = connect_error::error(status, &|_| None);
        Frame::data(end_of_stream(Some(error), &HeaderMap::new()))
    };
    let body = ResponseBody::counted_until(body, Arc::clone(connection), end);
    Response::from_parts(head, body)
}

struct StreamBody {
    inner: Body,
    codec: MessageCodec,
    writes_gzip: bool,
    messages: Messages,
    /// The status of a stream without messages.
    ended: Option<Status>,
    is_done: bool,
}

impl StreamBody {
    fn message(&self, message: Bytes) -> Result<Bytes, Status> {
        let message = self.codec.written(message)?;
        let compressed = self.writes_gzip.then(|| compressed(&message));
        Ok(match compressed.flatten() {
            Some(compressed) => envelope::framed(COMPRESSED, &compressed),
            None => envelope::framed(0, &message),
        })
    }

    fn end(&mut self, status: Option<&Status>, trailers: &HeaderMap) -> Frame<Bytes> {
        self.is_done = true;
        // What the stream holds is released.
        self.inner = Body::empty();
        let failed = status.filter(|status| status.code() != tonic::Code::Ok);
        let find = |name: &str| self.codec.find(name);
        let error = failed.map(|status| connect_error::error(status, &find));
        Frame::data(end_of_stream(error, trailers))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if self.is_done {
                return Poll::Ready(None);
            }
            if let Some(status) = self.ended.take() {
                let end = self.end(Some(&status), &HeaderMap::new());
                return Poll::Ready(Some(Ok(end)));
            }
            if let Some(message) = self.messages.next() {
                let frame = match self.message(message) {
                    Ok(message) => Frame::data(message),
                    Err(status) => self.end(Some(&status), &HeaderMap::new()),
                };
                return Poll::Ready(Some(Ok(frame)));
            }
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(status)) => {
                    return Poll::Ready(Some(Ok(self.end(Some(&status), &HeaderMap::new()))));
                }
                None => {
                    return Poll::Ready(Some(Ok(self.end(Some(&incomplete()), &HeaderMap::new()))));
                }
            };
            match frame.into_data() {
                Ok(data) => self.messages.push(&data),
                Err(frame) => {
                    let mut trailers = frame.into_trailers().unwrap_or_default();
                    let status = Status::from_header_map(&trailers);
                    remove_grpc(&mut trailers);
                    return Poll::Ready(Some(Ok(self.end(status.as_ref(), &trailers))));
                }
            }
        }
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.is_done
    }
}

/// The last message of a stream.
fn end_of_stream(error: Option<Value>, trailers: &HeaderMap) -> Bytes {
    let mut end = Dict::new();
    if let Some(error) = error {
        end.insert("error", error);
    }
    let mut metadata = dict! {};
    for name in trailers.keys() {
        let values = trailers.get_all(name).iter();
        let values: Vec<Value> = values.map(|value| text(name, value)).collect();
        metadata.insert(name.as_str(), values);
    }
    if !metadata.is_empty() {
        end.insert("metadata", metadata);
    }
    let end = json::write(&end.into()).unwrap_or_default();
    envelope::framed(END_OF_STREAM, end.as_bytes())
}

/// A value of metadata. Binary ones are base64 without padding, as in headers.
fn text(name: &HeaderName, value: &HeaderValue) -> Value {
    match value.to_str() {
        Ok(text) => text.into(),
        Err(_) if name.as_str().ends_with("-bin") => STANDARD_NO_PAD.encode(value).into(),
        Err(_) => String::from_utf8_lossy(value.as_bytes())
            .into_owned()
            .into(),
    }
}
