//! The response of a unary call, whose headers can be sent before its message.
//!
//! On the wire, a stream of one message is a unary response. A call that continues after the deadline of its caller
//! answers its CID at once, in the headers: the caller then has it when its deadline strikes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio_stream::Stream;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::service::BoxFuture;

/// A message, and the metadata to send after it.
pub(super) type LateMessage<T> = (T, MetadataMap);

/// The response of a unary call, as a stream of one message.
pub(super) enum UnaryResponse<T> {
    /// The message.
    Message(T),
    /// The message follows the headers later.
    Late(BoxFuture<'static, Result<LateMessage<T>, Status>>),
    /// The message is sent: metadata ends the response.
    Trailers(MetadataMap),
    /// The end.
    Sent,
}

impl<T: Unpin> Stream for UnaryResponse<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Self::Late(message) = &mut *self {
            let late = ready!(message.as_mut().poll(cx));
            *self = Self::Sent;
            return Poll::Ready(Some(late.map(|(message, metadata)| {
                if !metadata.is_empty() {
                    *self = Self::Trailers(metadata);
                }
                message
            })));
        }
        Poll::Ready(match std::mem::replace(&mut *self, Self::Sent) {
            Self::Message(message) => Some(Ok(message)),
            // A status ends the response, with its metadata as trailers.
            Self::Trailers(metadata) => Some(Err(Status::with_metadata(Code::Ok, "", metadata))),
            Self::Late(_) | Self::Sent => None,
        })
    }
}
