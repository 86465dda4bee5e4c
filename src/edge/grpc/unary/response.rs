//! The response of a unary call, whose headers can be sent before its message.
//!
//! A call that continues after the deadline of its caller answers its CID at once, in the headers: the caller then has
//! it when its deadline strikes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body, Frame};
use tonic::Status;
use tonic::body::Body as ResponseBody;
use tonic::metadata::{GRPC_CONTENT_TYPE, MetadataMap};

use super::request::PREFIX;
use crate::model::error::{Error, Result, reason};
use crate::service::BoxFuture;

/// A framed message, and the metadata to send after it.
pub(in crate::edge::grpc) type LateMessage = (Bytes, MetadataMap);

/// The message of a response, and what ends it.
pub(in crate::edge::grpc) enum UnaryResponse {
    /// The framed message.
    Message(Bytes),
    /// The message follows the headers later.
    Late(BoxFuture<'static, std::result::Result<LateMessage, Status>>),
    /// The message is sent: the status ends the response.
    Trailers(HeaderMap),
    /// The end.
    Sent,
}

/// A message with its prefix.
///
/// # Errors
///
/// `INTERNAL` / `TRANSPORT` for a message that has no length on the wire: of 4 GiB or more.
pub(in crate::edge::grpc) fn framed(message: &impl prost::Message) -> Result<Bytes> {
    let mut frame = prefix(message.encoded_len())?;
    let encoded = message.encode(&mut frame);
    encoded.map_err(|error| Error::internal(reason::TRANSPORT, error.to_string()))?;
    Ok(frame.freeze())
}

/// An encoded message with its prefix.
///
/// # Errors
///
/// As for [`framed`].
pub(in crate::edge::grpc) fn framed_bytes(message: &[u8]) -> Result<Bytes> {
    let mut frame = prefix(message.len())?;
    frame.put_slice(message);
    Ok(frame.freeze())
}

/// The prefix of a message, with room for the message.
fn prefix(len: usize) -> Result<BytesMut> {
    let Ok(prefix) = u32::try_from(len) else {
        let message = format!("a response of {len} bytes cannot be sent");
        return Err(Error::internal(reason::TRANSPORT, message));
    };
    let mut frame = BytesMut::with_capacity(PREFIX + len);
    frame.put_u8(0);
    frame.put_u32(prefix);
    Ok(frame)
}

/// The response as HTTP sends it.
pub(super) fn into_http(response: tonic::Response<UnaryResponse>) -> Response<ResponseBody> {
    let (metadata, body, extensions) = response.into_parts();
    let mut response = Response::new(ResponseBody::new(body));
    *response.headers_mut() = metadata.into_headers();
    *response.extensions_mut() = extensions;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    response
}

/// The trailers of a response that succeeded, with metadata.
fn succeeded(metadata: MetadataMap) -> HeaderMap {
    let mut trailers = metadata.into_headers();
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
    trailers
}

/// The trailers of a response that failed after its headers.
fn failed(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if let Err(invalid) = status.add_header(&mut trailers) {
        // Details that are no header, which a status of ours does not have.
        tracing::debug!(%invalid, "status cannot be sent whole");
    }
    trailers
}

impl Body for UnaryResponse {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Status>>> {
        let (frame, next) = match &mut *self {
            Self::Message(message) => (
                Frame::data(std::mem::take(message)),
                Self::Trailers(succeeded(MetadataMap::with_capacity(1))),
            ),
            Self::Late(late) => match ready!(late.as_mut().poll(cx)) {
                Ok((message, metadata)) => {
                    (Frame::data(message), Self::Trailers(succeeded(metadata)))
                }
                Err(status) => (Frame::trailers(failed(&status)), Self::Sent),
            },
            Self::Trailers(trailers) => (Frame::trailers(std::mem::take(trailers)), Self::Sent),
            Self::Sent => return Poll::Ready(None),
        };
        *self = next;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Sent)
    }
}
