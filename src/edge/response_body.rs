//! Response bodies: small frames, and the memory of what was answered and is not read yet.
//!
//! A peer reads as fast as it likes: HTTP/2 flow control stops a response, which is kept in memory meanwhile. Frames
//! are cut, so that the transport holds little of it, and the rest is counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::connection::Connection;
use super::grpc_message::unescape_message;
use super::stream_task;
use crate::codec::status::to_status;
use crate::engine::byte_budget::Reservation;
use crate::model::error::Result;

/// The largest frame. The transport takes one from a stream whose peer does not read.
const FRAME_BYTES: usize = 16 * 1024;
/// Frames of at most so many bytes are not counted: their stream costs more than they do.
const UNCOUNTED_BYTES: usize = 1024;

/// The body of a response.
#[derive(Debug)]
pub struct ResponseBody {
    inner: Body,
    connection: Option<Arc<Connection>>,
    /// Data that the transport has not taken yet.
    pending: Bytes,
    /// How many bytes the transport took last: it sends them before it asks for more.
    taken: usize,
    reservation: Option<Reservation>,
    has_ended: bool,
    /// The last frame of a response that fails.
    end: End,
}

/// The last frame of a response that ends with a status, in its protocol.
pub(super) type End = fn(&Status) -> Frame<Bytes>;

impl ResponseBody {
    /// The body of a gRPC response on a connection.
    pub(super) fn counted(inner: Body, connection: Arc<Connection>) -> Self {
        Self::counted_until(inner, connection, trailers)
    }

    /// The body of a response that ends with `end` where it cannot go on.
    pub(super) fn counted_until(inner: Body, connection: Arc<Connection>, end: End) -> Self {
        Self {
            connection: Some(connection),
            end,
            ..Self::uncounted(inner)
        }
    }

    /// A body that is there, as far as there is room for it.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT`.
    pub(super) fn whole(data: Bytes, connection: &Arc<Connection>) -> Result<Self> {
        let reservation = match data.len() > UNCOUNTED_BYTES {
            true => Some(connection.answered.reserve(data.len())?),
            false => None,
        };
        let mut body = Self::counted(Body::empty(), Arc::clone(connection));
        body.pending = data;
        body.reservation = reservation;
        body.has_ended = true;
        Ok(body)
    }

    /// A body that is passed on as it is: of the host's own routes.
    pub(super) fn uncounted(inner: Body) -> Self {
        Self {
            inner,
            connection: None,
            pending: Bytes::new(),
            taken: 0,
            reservation: None,
            has_ended: false,
            end: trailers,
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Status>>> {
        let Some(connection) = &self.connection else {
            return Pin::new(&mut self.inner).poll_frame(cx);
        };
        if self.taken > 0 {
            if let Some(held) = &mut self.reservation {
                held.release(self.taken);
            }
            self.taken = 0;
        }
        if self.pending.is_empty() {
            if self.has_ended {
                return Poll::Ready(None);
            }
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(mut end) => {
                    if let Some(trailers) = end.trailers_mut() {
                        unescape_message(trailers);
                    }
                    return Poll::Ready(Some(Ok(end)));
                }
            };
            if data.len() <= UNCOUNTED_BYTES {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            match connection.answered.reserve(data.len()) {
                Ok(held) => self.reservation = Some(held),
                Err(error) => {
                    self.has_ended = true;
                    self.inner = Body::empty();
                    return Poll::Ready(Some(Ok((self.end)(&to_status(&error)))));
                }
            }
            self.pending = data;
        }
        let frame = self.pending.split_to(self.pending.len().min(FRAME_BYTES));
        self.taken = frame.len();
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Status>>> {
        let polled = self.poll(cx);
        match &polled {
            Poll::Ready(Some(frame)) => {
                let data = frame.as_ref().ok().and_then(Frame::data_ref);
                stream_task::note_frame(data.map_or(0, Bytes::len));
            }
            Poll::Ready(None) | Poll::Pending => stream_task::note_nothing(),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.pending.is_empty() && (self.has_ended || self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match self.connection {
            None => self.inner.size_hint(),
            Some(_) if self.has_ended => {
                SizeHint::with_exact(u64::try_from(self.pending.len()).unwrap_or(u64::MAX))
            }
            Some(_) => SizeHint::default(),
        }
    }
}

/// The trailers of a gRPC response that ends with a status.
fn trailers(status: &Status) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    // It fails only for details that are no header, which a status of ours does not have.
    let _ = status.add_header(&mut trailers);
    unescape_message(&mut trailers);
    Frame::trailers(trailers)
}
