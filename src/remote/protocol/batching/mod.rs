//! Batching: dispatches to a worker, or its results, that wait in a queue go together in one message.
//!
//! Fewer messages cost less, most of all where the peer is not written in Rust. Flow control makes batches larger for a
//! peer that is slow: after [`MAX_UNANSWERED`] messages without an answer, the next message waits for an answer, or for
//! [`FLUSH_DELAY`]. Gathering makes the batches of results larger: handlers that are about to end do so before the
//! message is made, and one message and one write carry all their results.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;

use super::messages::{Outbound, to_node, to_worker};
use crate::codec::proto::v1;
use crate::codec::proto::v1::{serve_request, serve_response};

/// The most items in one message.
const MAX_BATCH_ITEMS: usize = 64;
/// The most bytes of items in one message, so that a batch stays below the message limit of the peer.
const MAX_BATCH_BYTES: usize = 64 * 1024;

/// The number of messages that are sent without an answer before the next one is delayed.
const MAX_UNANSWERED: usize = 2;
/// The longest delay of a message after the one before. Tokio's timers have a resolution of 1 ms.
const FLUSH_DELAY: Duration = Duration::from_millis(1);
/// How soon after the message before a message has to be due, to wait for what other tasks are about to send. Shorter
/// than a round trip: a lone caller never waits. Handlers that take longer do not delay the results of others.
const GATHER_WINDOW: Duration = Duration::from_micros(50);

/// Counts the messages that the peer has not answered yet.
#[derive(Debug, Default)]
pub(crate) struct FlowControl {
    unanswered: AtomicUsize,
    waker: AtomicWaker,
}

impl FlowControl {
    /// Records an answer of the peer.
    pub(crate) fn record_answer(&self) {
        if self.unanswered.swap(0, Ordering::AcqRel) > 0 {
            self.waker.wake();
        }
    }
}

/// A message that carries one item, or a batch of items.
pub(crate) trait Batchable: Sized {
    /// The item that can be batched.
    type Item: prost::Message;

    /// The item of a message that carries one.
    ///
    /// # Errors
    ///
    /// The message itself, where it carries something else.
    fn into_item(self) -> Result<Box<Self::Item>, Box<Self>>;

    /// A message with one item.
    fn from_item(item: Box<Self::Item>) -> Self;

    /// A message with a batch.
    fn from_items(items: Vec<Self::Item>) -> Self;
}

impl Batchable for Outbound {
    type Item = v1::Dispatch;

    fn into_item(self) -> Result<Box<v1::Dispatch>, Box<Self>> {
        match self {
            Ok(v1::ServeResponse {
                message: Some(serve_response::Message::Dispatch(dispatch)),
                ..
            }) => Ok(dispatch),
            other => Err(Box::new(other)),
        }
    }

    fn from_item(item: Box<v1::Dispatch>) -> Self {
        to_worker(serve_response::Message::Dispatch(item))
    }

    fn from_items(items: Vec<v1::Dispatch>) -> Self {
        Ok(v1::ServeResponse {
            message: None,
            dispatches: items,
        })
    }
}

impl Batchable for v1::ServeRequest {
    type Item = v1::DispatchResult;

    fn into_item(self) -> Result<Box<v1::DispatchResult>, Box<Self>> {
        match self.message {
            Some(serve_request::Message::Result(result)) => Ok(result),
            _ => Err(Box::new(self)),
        }
    }

    fn from_item(item: Box<v1::DispatchResult>) -> Self {
        to_node(serve_request::Message::Result(item))
    }

    fn from_items(items: Vec<v1::DispatchResult>) -> Self {
        Self {
            message: None,
            results: items,
        }
    }
}

/// The receiving half of a channel, bounded or unbounded.
pub(crate) trait Receive<M>: Unpin {
    /// Receives the next message; `None` once the channel is closed and empty.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<M>>;

    /// Receives the next message without waiting.
    fn try_next(&mut self) -> Option<M>;

    /// How many messages are queued.
    fn queued(&self) -> usize;
}

impl<M> Receive<M> for mpsc::Receiver<M> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<M>> {
        self.poll_recv(cx)
    }

    fn try_next(&mut self) -> Option<M> {
        self.try_recv().ok()
    }

    fn queued(&self) -> usize {
        self.len()
    }
}

impl<M> Receive<M> for mpsc::UnboundedReceiver<M> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<M>> {
        self.poll_recv(cx)
    }

    fn try_next(&mut self) -> Option<M> {
        self.try_recv().ok()
    }

    fn queued(&self) -> usize {
        self.len()
    }
}

/// A stream of the messages of a channel, in their order, with neighboring items batched.
#[derive(Debug)]
pub(crate) struct Batcher<M, R = mpsc::Receiver<M>> {
    receiver: R,
    /// Whether the peer takes batches, as far as is known.
    is_enabled: Arc<AtomicBool>,
    max_bytes: usize,
    /// Received already, and to be sent next.
    pending: Option<M>,
    /// `None`: messages are never delayed.
    throttle: Option<Throttle>,
    /// `None`: messages do not wait for other tasks.
    gathering: Option<Gathering>,
}

/// Lets other tasks run before a message is made, where messages follow each other at once.
#[derive(Debug, Default)]
struct Gathering {
    last_sent: Option<Instant>,
    has_yielded: bool,
}

impl Gathering {
    /// Resolves when the next message may be made.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let is_close = |sent: Instant| now.saturating_duration_since(sent) < GATHER_WINDOW;
        if !self.has_yielded && self.last_sent.is_some_and(is_close) {
            self.has_yielded = true;
            // It wakes this task once the tasks that are ready now have run.
            return std::pin::pin!(tokio::task::yield_now()).poll(cx);
        }
        self.has_yielded = false;
        self.last_sent = Some(now);
        Poll::Ready(())
    }
}

/// Delays messages to a peer that is slow.
#[derive(Debug)]
struct Throttle {
    flow_control: Arc<FlowControl>,
    last_sent: Instant,
    /// Set only for a message that is delayed: a timer that is set for each message costs a lock, and wakes the
    /// runtime.
    flush: Pin<Box<Sleep>>,
}

impl Throttle {
    /// Resolves when the next message may be sent.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Registered before the counter is read: an answer after that wakes the task.
        self.flow_control.waker.register(cx.waker());
        match self.flow_control.unanswered.load(Ordering::Acquire) {
            0..MAX_UNANSWERED => Poll::Ready(()),
            _ => {
                let until = self.last_sent + FLUSH_DELAY;
                if self.flush.deadline() != until {
                    self.flush.as_mut().reset(until);
                }
                self.flush.as_mut().poll(cx)
            }
        }
    }

    fn record_sent(&mut self) {
        self.flow_control.unanswered.fetch_add(1, Ordering::AcqRel);
        self.last_sent = Instant::now();
    }
}

impl<M: Batchable, R: Receive<M>> Batcher<M, R> {
    pub(in crate::remote) fn new(receiver: R, is_enabled: Arc<AtomicBool>) -> Self {
        Self {
            receiver,
            is_enabled,
            max_bytes: MAX_BATCH_BYTES,
            pending: None,
            throttle: None,
            gathering: None,
        }
    }

    /// Waits for what other tasks are about to send, where messages follow each other at once.
    pub(in crate::remote) fn with_gathering(mut self) -> Self {
        self.gathering = Some(Gathering::default());
        self
    }

    /// Delays messages while the peer does not answer.
    pub(in crate::remote) fn with_flow_control(mut self, flow_control: Arc<FlowControl>) -> Self {
        self.throttle = Some(Throttle {
            flow_control,
            last_sent: Instant::now(),
            flush: Box::pin(tokio::time::sleep(Duration::ZERO)),
        });
        self
    }

    /// Limits batches for a peer that takes messages of at most so many bytes.
    pub(in crate::remote) fn with_max_message_bytes(mut self, message_bytes: usize) -> Self {
        // Half, because each item has a few bytes around it.
        self.max_bytes = MAX_BATCH_BYTES.min(message_bytes / 2);
        self
    }

    /// Batches an item with the items behind it in the channel.
    fn batch(&mut self, first: Box<M::Item>) -> M {
        let queued = self.receiver.queued();
        if queued == 0 {
            return M::from_item(first);
        }
        let mut bytes = first.encoded_len();
        // Items are large: a list that grows would copy them again and again.
        let mut items = Vec::with_capacity(MAX_BATCH_ITEMS.min(queued + 1));
        items.push(*first);
        while items.len() < MAX_BATCH_ITEMS && bytes < self.max_bytes {
            let Some(next) = self.receiver.try_next() else {
                break;
            };
            let item = match next.into_item() {
                Ok(item) => item,
                Err(other) => {
                    self.pending = Some(*other);
                    break;
                }
            };
            bytes += item.encoded_len();
            if bytes > self.max_bytes {
                self.pending = Some(M::from_item(item));
                break;
            }
            items.push(*item);
        }
        match (items.len(), items.pop()) {
            (1, Some(only)) => M::from_item(Box::new(only)),
            (_, last) => {
                items.extend(last);
                M::from_items(items)
            }
        }
    }
}

impl<M: Batchable + Unpin, R: Receive<M>> Stream for Batcher<M, R> {
    type Item = M;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M>> {
        let next = match self.pending.take() {
            Some(next) => Some(next),
            None => std::task::ready!(self.receiver.poll_next(cx)),
        };
        Poll::Ready(match next {
            Some(next) if self.is_enabled.load(Ordering::Relaxed) => Some(match next.into_item() {
                Ok(item) => {
                    if let Some(gathering) = &mut self.gathering
                        && gathering.poll_ready(cx).is_pending()
                    {
                        self.pending = Some(M::from_item(item));
                        return Poll::Pending;
                    }
                    if let Some(throttle) = &mut self.throttle {
                        if throttle.poll_ready(cx).is_pending() {
                            self.pending = Some(M::from_item(item));
                            return Poll::Pending;
                        }
                        throttle.record_sent();
                    }
                    self.batch(item)
                }
                Err(other) => *other,
            }),
            next => next,
        })
    }
}

#[cfg(test)]
mod tests;
