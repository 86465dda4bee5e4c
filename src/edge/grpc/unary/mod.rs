//! Unary calls on the wire: one message in, one message out.
//!
//! As tonic's `Grpc::unary`, but without its machinery for streams, which costs a short call a good part of its time:
//! boxed decoders and bodies, and buffers for many messages. On the wire, a unary response is a stream of one message,
//! so headers can be sent before it.

mod request;
mod response;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use tonic::codegen::StdError;
use tonic::metadata::MetadataMap;
use tonic::{Status, body::Body as ResponseBody};

use self::request::Message;
pub(super) use self::response::{LateMessage, UnaryResponse, framed, framed_bytes};
use crate::service::BoxFuture;

/// The answer of a method.
pub(super) type Answer = BoxFuture<'static, Result<tonic::Response<UnaryResponse>, Status>>;

/// A unary method.
pub(super) trait UnaryMethod {
    /// Answers a call: its metadata and its message.
    fn call(self, transport: MetadataMap, message: Bytes) -> Answer;
}

/// One call of a unary method.
pub(super) struct UnaryCall<B, M> {
    body: B,
    message: Message,
    /// `None` once the method is called.
    method: Option<(M, HeaderMap)>,
    answer: Option<Answer>,
}

impl<B, M> UnaryCall<B, M> {
    /// A call with a request of at most `limit` bytes.
    pub(super) fn new(method: M, request: Request<B>, limit: usize) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            body,
            message: Message::new(limit),
            method: Some((method, parts.headers)),
            answer: None,
        }
    }
}

impl<B, M> UnaryCall<B, M>
where
    B: Body<Data = Bytes, Error: Into<StdError>> + Unpin,
    M: UnaryMethod,
{
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<tonic::Response<UnaryResponse>, Status>> {
        if let Some((_, headers)) = &self.method {
            request::check_encoding(headers)?;
            let message = ready!(self.message.poll_read(&mut self.body, cx))?;
            if let Some((method, headers)) = self.method.take() {
                self.answer = Some(method.call(MetadataMap::from_headers(headers), message));
            }
        }
        match &mut self.answer {
            Some(answer) => answer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl<B, M> Future for UnaryCall<B, M>
where
    B: Body<Data = Bytes, Error: Into<StdError>> + Unpin,
    M: UnaryMethod + Unpin,
{
    type Output = Response<ResponseBody>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.get_mut().poll_answer(cx));
        Poll::Ready(match answer {
            Ok(response) => response::into_http(response),
            Err(status) => status.into_http(),
        })
    }
}
