//! The body of an answer, in small frames whose memory is counted until the transport has taken them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::edge::connection::Connection;
use crate::edge::counting::UNCOUNTED_BYTES;
use crate::engine::byte_budget::Reservation;
use crate::model::error::Result;

/// The largest frame. The transport takes one from a response whose peer does not read.
const FRAME_BYTES: usize = 16 * 1024;

/// A whole body.
struct CountedBody {
    data: Bytes,
    /// How many bytes the transport took last: it sends them before it asks for more.
    taken: usize,
    held: Reservation,
}

/// The body of an answer.
///
/// # Errors
///
/// `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT` where the node has no room for it.
pub(super) fn counted(data: Bytes, connection: &Arc<Connection>) -> Result<Body> {
    if data.len() <= UNCOUNTED_BYTES {
        return Ok(Body::from(data));
    }
    let held = connection.answered.reserve(data.len())?;
    Ok(Body::new(CountedBody {
        data,
        taken: 0,
        held,
    }))
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let taken = std::mem::take(&mut self.taken);
        self.held.release(taken);
        if self.data.is_empty() {
            return Poll::Ready(None);
        }
        let len = self.data.len().min(FRAME_BYTES);
        let frame = self.data.split_to(len);
        self.taken = len;
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.data.len()).unwrap_or(u64::MAX))
    }
}
