//! Request bodies: a read timeout, and the memory of what was read and is not handled yet.
//!
//! Without a timeout, a caller that sends half a request would hold it forever. Without budgets, requests that are sent
//! faster than they are handled would take all memory. A request for which there is no room is refused. It does not
//! wait: what it has sent would fill the flow-control window of the connection, and keep those from arriving whose end
//! it waits for. It waits only where the peer does not read responses, which is up to the peer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Sleep;
use tonic::Status;

use super::connection::Connection;
use super::message_length::MessageLengths;
use crate::codec::status::to_status;
use crate::edge::counting::{DECODED_FACTOR, UNCOUNTED_BYTES};
use crate::engine::byte_budget::Reservation;
use crate::model::error::{Error, Result, reason};

/// The memory of one request, from when it is read until it is answered. The body and the response hold it.
#[derive(Debug)]
pub(super) struct RequestMemory(Mutex<Option<Reservation>>);

impl RequestMemory {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(None)))
    }

    /// Counts bytes that the node holds until the request is answered, beside those that were received.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT`.
    pub(super) fn count(&self, connection: &Connection, bytes: usize) -> Result<()> {
        self.change(connection, |held| held.count_for_node(bytes, bytes))
    }

    fn change<T>(&self, connection: &Connection, change: impl FnOnce(&mut Reservation) -> T) -> T {
        let mut reservation = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(reservation.get_or_insert_with(|| connection.received.reservation()))
    }
}

/// The body of a request. The timer starts with the first frame that is not ready: most requests arrive whole and need
/// none.
#[derive(Debug)]
pub struct RequestBody {
    inner: Incoming,
    timer: Timer,
    /// How long the whole body may take to arrive.
    timeout: Duration,
    /// `None`: its memory is not counted.
    counted: Option<Counted>,
    /// The first data, while it waits for the peer to read responses.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
enum Timer {
    /// A long-lived stream of messages: each is handled before the next one is read.
    Off,
    Unarmed,
    Armed(Pin<Box<Sleep>>),
}

/// What counts the memory of gRPC messages.
#[derive(Debug)]
struct Counted {
    connection: Arc<Connection>,
    memory: Arc<RequestMemory>,
    /// `None`: the body is one message without a prefix.
    lengths: Option<MessageLengths>,
}

#[derive(Debug)]
struct Waiting {
    data: Bytes,
    /// How many bytes the messages have that begin in the data.
    begun: usize,
    within_limit: Pin<Box<OwnedNotified>>,
}

impl Counted {
    /// Counts received data. `begun`: how many bytes the messages have that begin in it. Those that are not handled one
    /// by one stay until the request is answered.
    fn count(
        &self,
        data: &Bytes,
        begun: usize,
        is_long_lived: bool,
    ) -> Result<Frame<Bytes>, Status> {
        let counted = self.memory.change(&self.connection, |held| {
            if !is_long_lived {
                held.count_for_connection(begun);
            }
            let bytes = data.len().saturating_mul(DECODED_FACTOR);
            let message = self.lengths.as_ref().map(MessageLengths::last_length);
            held.count_for_node(bytes, message.unwrap_or(data.len()))
        });
        match counted {
            Ok(()) => Ok(Frame::data(data.clone())),
            Err(error) => Err(to_status(&error)),
        }
    }
}

impl RequestBody {
    /// Wraps the body of a gRPC request. `None`: no timeout, for long-lived streams.
    pub(super) fn new(
        inner: Incoming,
        timeout: Option<Duration>,
        connection: Arc<Connection>,
        memory: Arc<RequestMemory>,
    ) -> Self {
        Self {
            inner,
            timer: timeout.map_or(Timer::Off, |_| Timer::Unarmed),
            timeout: timeout.unwrap_or_default(),
            counted: Some(Counted {
                connection,
                memory,
                lengths: Some(MessageLengths::default()),
            }),
            waiting: None,
        }
    }

    /// Wraps the body of a request for a gRPC method in another protocol: all of its bytes are counted.
    pub(super) fn unframed(
        inner: Incoming,
        timeout: Duration,
        connection: Arc<Connection>,
        memory: Arc<RequestMemory>,
    ) -> Self {
        Self {
            counted: Some(Counted {
                connection,
                memory,
                lengths: None,
            }),
            ..Self::timed(inner, timeout)
        }
    }

    /// Wraps the body of another request: it has a timeout.
    pub(super) fn timed(inner: Incoming, timeout: Duration) -> Self {
        Self {
            inner,
            timer: Timer::Unarmed,
            timeout,
            counted: None,
            waiting: None,
        }
    }

    /// Takes data that was received, now or once the peer has read responses.
    fn receive(&mut self, data: Bytes) -> Option<Result<Frame<Bytes>, Status>> {
        let is_long_lived = matches!(self.timer, Timer::Off);
        let Some(counted) = &mut self.counted else {
            return Some(Ok(Frame::data(data)));
        };
        let (begun, is_small) = match &mut counted.lengths {
            Some(lengths) => {
                let is_continued = !lengths.is_complete();
                let begun = lengths.read(&data);
                let is_whole = !is_continued && lengths.is_complete();
                (begun, is_whole && begun <= UNCOUNTED_BYTES)
            }
            None => (data.len(), false),
        };
        if is_long_lived {
            return Some(counted.count(&data, begun, true));
        }
        let answered = &counted.connection.answered;
        if begun > 0 && !answered.is_within_limit() {
            self.waiting = Some(Waiting {
                within_limit: notified(answered.within_limit()),
                data,
                begun,
            });
            return None;
        }
        Some(match is_small {
            true => Ok(Frame::data(data)),
            false => counted.count(&data, begun, false),
        })
    }

    /// The data that waits, once the peer has read responses.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        while let (Some(waiting), Some(counted)) = (&mut self.waiting, &self.counted) {
            let answered = &counted.connection.answered;
            if answered.is_within_limit() {
                let frame = counted.count(&waiting.data, waiting.begun, false);
                self.waiting = None;
                return Poll::Ready(Some(frame));
            }
            ready!(waiting.within_limit.as_mut().poll(cx));
            // Registered before it is checked again.
            waiting.within_limit = notified(answered.within_limit());
        }
        Poll::Ready(None)
    }

    /// Frames that have arrived, as far as there is room for them.
    fn poll_received(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(frame) = ready!(self.poll_waiting(cx)) {
            return Poll::Ready(Some(frame));
        }
        if let (Timer::Off, Some(counted)) = (&self.timer, &self.counted)
            && counted
                .lengths
                .as_ref()
                .is_some_and(MessageLengths::is_complete)
        {
            // The messages before were handled: the next one is read.
            let Counted {
                memory, connection, ..
            } = counted;
            memory.change(connection, |held| held.shrink_to(0));
        }
        match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => match self.receive(data) {
                    Some(frame) => Poll::Ready(Some(frame)),
                    None => self.poll_waiting(cx),
                },
                Err(trailers) => Poll::Ready(Some(Ok(trailers))),
            },
            Some(Err(error)) => Poll::Ready(Some(Err(aborted(&error)))),
            None => Poll::Ready(None),
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
        if let Poll::Ready(frame) = self.poll_received(cx) {
            return Poll::Ready(frame);
        }
        if matches!(self.timer, Timer::Unarmed) {
            self.timer = Timer::Armed(Box::pin(tokio::time::sleep(self.timeout)));
        }
        let Timer::Armed(sleep) = &mut self.timer else {
            return Poll::Pending;
        };
        ready!(sleep.as_mut().poll(cx));
        self.timer = Timer::Unarmed;
        let error = match self.waiting.take() {
            None => incomplete(self.timeout),
            Some(_) => unread(self.timeout),
        };
        Poll::Ready(Some(Err(to_status(&error))))
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.waiting {
            None => self.inner.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}

/// Waits for the next notification from now on.
fn notified(notify: &Arc<Notify>) -> Pin<Box<OwnedNotified>> {
    let mut notified = Box::pin(Arc::clone(notify).notified_owned());
    notified.as_mut().enable();
    notified
}

fn aborted(error: &hyper::Error) -> Status {
    let message = format!("the request was aborted: {error}");
    to_status(&Error::cancelled(reason::REQUEST_INCOMPLETE, message))
}

fn incomplete(timeout: Duration) -> Error {
    let ms = timeout.as_millis();
    let message = format!("the request did not arrive within {ms} ms");
    let error = Error::deadline_exceeded(reason::REQUEST_INCOMPLETE, message);
    error.with_info("request_timeout_ms", ms)
}

fn unread(timeout: Duration) -> Error {
    let ms = timeout.as_millis();
    let message = format!(
        "the connection holds as many bytes of responses as it may, and its peer did not read them within {ms} ms"
    );
    let error = Error::resource_exhausted(reason::MEMORY_LIMIT, message);
    error.with_info("request_timeout_ms", ms)
}
