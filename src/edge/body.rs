//! Request bodies with a time limit: half a request and then silence would otherwise wait for ever.

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

/// A request's body. The timer is made when the first frame has to be waited for: most requests arrive whole.
#[derive(Debug)]
pub(super) struct RequestBody {
    inner: Incoming,
    timer: Timer,
    /// How long the request may take to arrive.
    timeout: Duration,
}

#[derive(Debug)]
enum Timer {
    Off,
    Unarmed,
    Armed(Pin<Box<Sleep>>),
}

impl RequestBody {
    /// A body that has to arrive in time; `None` for that of a stream which lasts.
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
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| broken(&error))));
        }
        if matches!(self.timer, Timer::Unarmed) {
            self.timer = Timer::Armed(Box::pin(tokio::time::sleep(self.timeout)));
        }
        match &mut self.timer {
            Timer::Armed(sleep) => {
                ready!(sleep.as_mut().poll(cx));
                self.timer = Timer::Off;
                Poll::Ready(Some(Err(incomplete(self.timeout))))
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

fn broken(error: &hyper::Error) -> Status {
    let message = format!("the request broke off: {error}");
    to_status(&Error::cancelled(reason::REQUEST_INCOMPLETE, message))
}

fn incomplete(timeout: Duration) -> Status {
    let ms = timeout.as_millis();
    let message = format!("the request did not arrive within {ms} ms");
    let error = Error::deadline_exceeded(reason::REQUEST_INCOMPLETE, message);
    to_status(&error.with_info("request_timeout_ms", ms))
}
