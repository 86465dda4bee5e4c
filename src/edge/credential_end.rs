//! Streams end with the credential that they were opened with.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

use crate::codec::status::to_status;
use crate::model::error::Error;
use crate::service::BoxFuture;

/// Resolves with the error of a stream once its credential is no longer valid.
pub(super) type CredentialEnd = BoxFuture<'static, Error>;

/// The body of a stream that ends with its credential.
struct WithCredential {
    /// Emptied with the end: what the stream holds is released.
    inner: Body,
    end: Option<CredentialEnd>,
}

/// Ends a stream with its credential.
pub(super) fn end_with(inner: Body, end: CredentialEnd) -> Body {
    Body::new(WithCredential {
        inner,
        end: Some(end),
    })
}

impl http_body::Body for WithCredential {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(end) = &mut self.end else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(error) = end.as_mut().poll(cx) {
            self.end = None;
            self.inner = Body::empty();
            let trailers = Frame::trailers(trailers(&error));
            return Poll::Ready(Some(Ok(trailers)));
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

/// The end of a stream that fails.
fn trailers(error: &Error) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let added = to_status(error).add_header(&mut trailers);
    debug_assert!(added.is_ok(), "a status of ours is a header");
    trailers
}
