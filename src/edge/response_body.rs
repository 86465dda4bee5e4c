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
use tonic::body::Body;
use tonic::{Code, Status};

use super::connection::Connection;
use super::grpc_message::unescape_message;
use super::metrics::{RpcCall, code_of};
use super::stream_task;
use crate::codec::status::to_status;
use crate::edge::counting::UNCOUNTED_BYTES;
use crate::engine::byte_budget::Reservation;
use crate::model::error::Result;

/// The largest frame. The transport takes one from a stream whose peer does not read.
const FRAME_BYTES: usize = 16 * 1024;

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
    /// The call, until its status is sent.
    call: Option<RpcCall>,
}

/// The last frame of a response that ends with a status, in its protocol.
pub(super) type End = fn(&Status) -> Frame<Bytes>;

impl ResponseBody {
    /// The body of the response to a gRPC call on a connection. Without a call, its status was in the headers.
    pub(super) fn counted(inner: Body, connection: Arc<Connection>, call: Option<RpcCall>) -> Self {
        let mut body = Self::counted_until(inner, connection, trailers);
        body.call = call;
        body
    }

    /// The body of a response that ends with `end` where it cannot go on.
    pub(super) fn counted_until(inner: Body, connection: Arc<Connection>, end: End) -> Self {
        let mut body = Self::uncounted(inner);
        (body.connection, body.end) = (Some(connection), end);
        body
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
        let mut body = Self::counted(Body::empty(), Arc::clone(connection), None);
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
            call: None,
        }
    }

    /// Counts the call: its status is sent, or nobody waits for it.
    fn end_call(&mut self, code: Code) {
        if let (Some(connection), Some(call)) = (&self.connection, self.call.take()) {
            connection.metrics().rpc.end(call, code);
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
                other => {
                    if let Some(Err(status)) = &other {
                        self.end_call(status.code());
                    }
                    return Poll::Ready(other);
                }
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(mut end) => {
                    if let Some(trailers) = end.trailers_mut() {
                        let code = code_of(trailers);
                        unescape_message(trailers);
                        self.end_call(code.unwrap_or(Code::Unknown));
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
                    let status = to_status(&error);
                    self.end_call(status.code());
                    return Poll::Ready(Some(Ok((self.end)(&status))));
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

impl Drop for ResponseBody {
    /// A body that is dropped before its status belongs to a caller that left.
    fn drop(&mut self) {
        self.end_call(Code::Cancelled);
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
