//! Request bodies with a read timeout: without one, a caller that sends half a request would hold it forever.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;
use tonic::Status;

use crate::codec::status::to_status;
use crate::model::error::{Error, reason};

/// The body of a request. The timer starts with the first frame that is not ready: most requests arrive whole and need
/// none.
#[derive(Debug)]
pub(super) struct RequestBody {
    inner: Incoming,
    timer: Timer,
    /// How long the whole body may take to arrive.
    timeout: Duration,
}

#[derive(Debug)]
enum Timer {
    Off,
    Unarmed,
    Armed(Pin<Box<Sleep>>),
}

impl RequestBody {
    /// Wraps a body. `None`: no timeout, for long-lived streams.
    pub(super) fn new(inner: Incoming, timeout: Option<Duration>) -> Self {
        Self {
            inner,
            timer: timeout.map_or(Timer::Off, |_| Timer::Unarmed),
            timeout: timeout.unwrap_or_default(),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| aborted(&error))));
        }
        if matches!(self.timer, Timer::Unarmed) {
            self.timer = Timer::Armed(Box::pin(tokio::time::sleep(self.timeout)));
        }
        match &mut self.timer {
            Timer::Armed(sleep) => {
                ready!(sleep.as_mut().poll(cx));
                self.timer = Timer::Off;
                Poll::Ready(Some(Err(timed_out(self.timeout))))
            }
            Timer::Off | Timer::Unarmed => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn aborted(error: &hyper::Error) -> Status {
    let message = format!("the request was aborted: {error}");
    to_status(&Error::cancelled(reason::REQUEST_INCOMPLETE, message))
}

fn timed_out(timeout: Duration) -> Status {
    let ms = timeout.as_millis();
    let message = format!("the request did not arrive within {ms} ms");
    let error = Error::deadline_exceeded(reason::REQUEST_INCOMPLETE, message);
    to_status(&error.with_info("request_timeout_ms", ms))
}
