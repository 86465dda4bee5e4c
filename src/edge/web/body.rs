//! Bodies: requests are read whole, up to a limit, and whole responses are sent in one part.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use crate::codec::status::from_status;
use crate::model::error::{Error, Result, reason};

/// Reads a body of at most `most` bytes to its end. `limit` is that of its message, as callers know it.
///
/// # Errors
///
/// `RESOURCE_EXHAUSTED` / `MESSAGE_TOO_LARGE`; those of the body.
pub(super) async fn read<B>(mut body: B, most: usize, limit: usize) -> Result<Bytes>
where
    B: Body<Data = Bytes, Error = Status> + Unpin,
{
    let is_too_long = |bytes: usize| bytes > most;
    let announced = body.size_hint().lower();
    if is_too_long(usize::try_from(announced).unwrap_or(usize::MAX)) {
        return Err(too_large(limit));
    }
    let mut read = BytesMut::new();
    while let Some(frame) = next_frame(&mut body).await {
        let frame = frame.map_err(|status| from_status(&status))?;
        if let Ok(data) = frame.into_data() {
            if is_too_long(read.len().saturating_add(data.len())) {
                return Err(too_large(limit));
            }
            read.extend_from_slice(&data);
        }
    }
    Ok(read.freeze())
}

/// The next frame of a body.
pub(super) async fn next_frame<B>(body: &mut B) -> Option<Result<Frame<Bytes>, B::Error>>
where
    B: Body<Data = Bytes> + Unpin,
{
    std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}

/// Checks the length of a message, in bytes.
///
/// # Errors
///
/// `RESOURCE_EXHAUSTED` / `MESSAGE_TOO_LARGE`.
pub(super) fn check_length(bytes: usize, limit: usize) -> Result<()> {
    match bytes > limit {
        false => Ok(()),
        true => Err(too_large(limit)),
    }
}

/// `RESOURCE_EXHAUSTED` / `MESSAGE_TOO_LARGE` of a request.
pub(super) fn too_large(limit: usize) -> Error {
    let message =
        format!("the request is too large: the limit is {limit} bytes; send less in one message");
    Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message)
        .with_retryable(false)
        .with_info("message_bytes", limit)
}

/// A body that is there.
#[derive(Debug)]
pub(super) struct Whole(Option<Bytes>);

impl Whole {
    pub(super) fn new(data: Bytes) -> Self {
        Self((!data.is_empty()).then_some(data))
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.0.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(left).unwrap_or(u64::MAX))
    }
}
