//! The body of a response that is translated to another protocol: it counts its call as its status passes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

use super::rpc_calls::{RpcCall, code_of};
use crate::edge::connection::Connection;

/// The body of the response to a call whose status is not sent yet.
struct CallBody {
    inner: Body,
    connection: Arc<Connection>,
    call: Option<RpcCall>,
}

impl RpcCall {
    /// Counts this call once its status is read from the body, or the body is dropped.
    pub(in crate::edge) fn follow(self, inner: Body, connection: &Arc<Connection>) -> Body {
        Body::new(CallBody {
            inner,
            connection: Arc::clone(connection),
            call: Some(self),
        })
    }
}

impl CallBody {
    fn end(&mut self, code: Code) {
        if let Some(call) = self.call.take() {
            self.connection.metrics().rpc.end(call, code);
        }
    }
}

impl http_body::Body for CallBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.end(code_of(trailers).unwrap_or(Code::Unknown));
                }
            }
            Some(Err(status)) => self.end(status.code()),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for CallBody {
    /// A body that is dropped before its status belongs to a caller that left.
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}
