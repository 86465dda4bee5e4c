//! gRPC-Web: the messages of gRPC, with the trailers of a response in its body.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, Response};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

use super::envelope::{self, TRAILERS, malformed};
use crate::edge::connection::Connection;
use crate::edge::grpc_message::unescape_message;
use crate::edge::response_body::ResponseBody;
use crate::model::error::Result;

/// The headers of a response without messages that are its trailers.
const STATUS_HEADERS: [HeaderName; 3] = [
    Status::GRPC_STATUS,
    Status::GRPC_MESSAGE,
    Status::GRPC_STATUS_DETAILS,
];

/// The bytes of a body that is text: base64, in several parts with padding where the client wrote it so.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `MALFORMED_MESSAGE`.
pub(super) fn decoded(text: &[u8]) -> Result<Bytes> {
    let mut rest = text.trim_ascii();
    let mut bytes = Vec::with_capacity(rest.len() / 4 * 3);
    while !rest.is_empty() {
        let padding = rest.iter().position(|byte| *byte == b'=');
        let end = padding.map_or(rest.len(), |start| (start + 1).next_multiple_of(4));
        let end = end.min(rest.len());
        let (part, after) = rest.split_at_checked(end).unwrap_or((rest, b""));
        let part = STANDARD.decode(part);
        bytes.extend(part.map_err(|_| malformed("it is not base64, as its content type says"))?);
        rest = after;
    }
    Ok(bytes.into())
}

/// The response of gRPC as one of gRPC-Web.
pub(super) fn response(
    response: Response<Body>,
    is_text: bool,
    connection: &Arc<Connection>,
) -> Response<ResponseBody> {
    let (mut head, inner) = response.into_parts();
    // A page of another origin reads the body, but not every header.
    let mut trailers = HeaderMap::new();
    for name in STATUS_HEADERS {
        if let Some(value) = head.headers.remove(&name) {
            trailers.insert(name, value);
        }
    }
    let body = Body::new(WebBody {
        inner,
        is_text,
        trailers: (!trailers.is_empty()).then_some(trailers),
        has_ended: false,
    });
    let end = match is_text {
        true => |status: &Status| text_frame(&ending(status)),
        false => |status: &Status| Frame::data(ending(status)),
    };
    let body = ResponseBody::counted_until(body, Arc::clone(connection), end);
    Response::from_parts(head, body)
}

struct WebBody {
    inner: Body,
    is_text: bool,
    /// Those of a response without messages.
    trailers: Option<HeaderMap>,
    has_ended: bool,
}

impl WebBody {
    fn frame(&self, data: Bytes) -> Frame<Bytes> {
        match self.is_text {
            true => text_frame(&data),
            false => Frame::data(data),
        }
    }
}

impl http_body::Body for WebBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let trailers = match self.trailers.take() {
            Some(trailers) => trailers,
            None => match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Poll::Ready(Some(Ok(self.frame(data)))),
                    Err(frame) => frame.into_trailers().unwrap_or_default(),
                },
                // The client sees a response without trailers.
                end => return Poll::Ready(end),
            },
        };
        self.has_ended = true;
        let data = trailers_frame(trailers);
        Poll::Ready(Some(Ok(self.frame(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended
    }
}

/// Trailers as the last message of a response.
fn trailers_frame(mut trailers: HeaderMap) -> Bytes {
    unescape_message(&mut trailers);
    let mut text = BytesMut::new();
    for (name, value) in &trailers {
        // Its values are those of headers, which have no line breaks.
        let _ = write!(text, "{name}:");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    envelope::framed(TRAILERS, &text)
}

/// The end of a response that fails.
fn ending(status: &Status) -> Bytes {
    let mut trailers = HeaderMap::new();
    // It fails only for details that are no header, which a status of ours does not have.
    let _ = status.add_header(&mut trailers);
    trailers_frame(trailers)
}

fn text_frame(data: &[u8]) -> Frame<Bytes> {
    Frame::data(STANDARD.encode(data).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_may_come_in_parts_with_padding() {
        for (text, bytes) in [
            ("", Some("")),
            ("YWJj", Some("abc")),
            ("YQ==", Some("a")),
            ("YQ==YmM=ZGVm", Some("abcdef")),
            (" YWJj\r\n", Some("abc")),
            ("YQ=", None),
            ("YQ", None),
            ("====", None),
            ("Y W", None),
            ("\u{e9}", None),
        ] {
            let decoded = decoded(text.as_bytes()).ok();
            assert_eq!(decoded.as_deref(), bytes.map(str::as_bytes), "{text:?}");
        }
    }

    #[test]
    fn trailers_are_lines() {
        let frame = ending(&Status::not_found("no \"x\"?"));
        let text = str::from_utf8(&frame[5..]).unwrap();
        assert_eq!(frame[0], 0x80);
        assert_eq!(text, "grpc-status:5\r\ngrpc-message:no \"x\"?\r\n");
    }
}
