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

/// How long a request may take to arrive, once it has begun.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A request's body. The timer is made when the first frame has to be waited for: most requests arrive whole.
#[derive(Debug)]
pub(super) struct RequestBody {
    inner: Incoming,
    timer: Timer,
}

#[derive(Debug)]
enum Timer {
    /// A stream that may last: never.
    Off,
    Unarmed,
    Armed(Pin<Box<Sleep>>),
}

impl RequestBody {
    /// A body that has to arrive in time, unless it is that of a stream which `lasts`.
    pub(super) fn new(inner: Incoming, lasts: bool) -> Self {
        let timer = if lasts { Timer::Off } else { Timer::Unarmed };
        Self { inner, timer }
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
            self.timer = Timer::Armed(Box::pin(tokio::time::sleep(READ_TIMEOUT)));
        }
        match &mut self.timer {
            Timer::Armed(sleep) => {
                ready!(sleep.as_mut().poll(cx));
                self.timer = Timer::Off;
                Poll::Ready(Some(Err(incomplete())))
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

fn incomplete() -> Status {
    let message = format!(
        "the request did not arrive within {} s",
        READ_TIMEOUT.as_secs()
    );
    to_status(
        &Error::deadline_exceeded(reason::REQUEST_INCOMPLETE, message)
            .with_fact("read_timeout_s", READ_TIMEOUT.as_secs()),
    )
}
