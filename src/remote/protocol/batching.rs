//! Batching: dispatches to a worker, or its results, that wait in a queue go together in one message.
//!
//! Fewer messages cost less, most of all where the peer is not written in Rust. Flow control makes batches larger for a
//! peer that is slow: after [`MAX_UNANSWERED`] messages without an answer, the next message waits for an answer, or for
//! [`FLUSH_DELAY`].

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
    fn into_item(self) -> Result<Self::Item, Box<Self>>;

    /// A message with one item.
    fn from_item(item: Self::Item) -> Self;

    /// A message with a batch.
    fn from_items(items: Vec<Self::Item>) -> Self;
}

impl Batchable for Outbound {
    type Item = v1::Dispatch;

    fn into_item(self) -> Result<v1::Dispatch, Box<Self>> {
        match self {
            Ok(v1::ServeResponse {
                message: Some(serve_response::Message::Dispatch(dispatch)),
                ..
            }) => Ok(*dispatch),
            other => Err(Box::new(other)),
        }
    }

    fn from_item(item: v1::Dispatch) -> Self {
        to_worker(serve_response::Message::Dispatch(Box::new(item)))
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

    fn into_item(self) -> Result<v1::DispatchResult, Box<Self>> {
        match self.message {
            Some(serve_request::Message::Result(result)) => Ok(*result),
            _ => Err(Box::new(self)),
        }
    }

    fn from_item(item: v1::DispatchResult) -> Self {
        to_node(serve_request::Message::Result(Box::new(item)))
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
}

impl<M> Receive<M> for mpsc::Receiver<M> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<M>> {
        self.poll_recv(cx)
    }

    fn try_next(&mut self) -> Option<M> {
        self.try_recv().ok()
    }
}

impl<M> Receive<M> for mpsc::UnboundedReceiver<M> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<M>> {
        self.poll_recv(cx)
    }

    fn try_next(&mut self) -> Option<M> {
        self.try_recv().ok()
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
}

/// Delays messages to a peer that is slow.
#[derive(Debug)]
struct Throttle {
    flow_control: Arc<FlowControl>,
    flush: Pin<Box<Sleep>>,
}

impl Throttle {
    /// Resolves when the next message may be sent.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Registered before the counter is read: an answer after that wakes the task.
        self.flow_control.waker.register(cx.waker());
        match self.flow_control.unanswered.load(Ordering::Acquire) {
            0..MAX_UNANSWERED => Poll::Ready(()),
            _ => self.flush.as_mut().poll(cx),
        }
    }

    fn record_sent(&mut self) {
        self.flow_control.unanswered.fetch_add(1, Ordering::AcqRel);
        self.flush.as_mut().reset(Instant::now() + FLUSH_DELAY);
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
        }
    }

    /// Delays messages while the peer does not answer.
    pub(in crate::remote) fn with_flow_control(mut self, flow_control: Arc<FlowControl>) -> Self {
        let flush = Box::pin(tokio::time::sleep(Duration::ZERO));
        self.throttle = Some(Throttle {
            flow_control,
            flush,
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
    fn batch(&mut self, first: M::Item) -> M {
        let mut bytes = first.encoded_len();
        let mut items = vec![first];
        while items.len() < MAX_BATCH_ITEMS && bytes < self.max_bytes {
            let Some(next) = self.receiver.try_next() else {
                break;
            };
            match next.into_item() {
                Ok(item) if bytes + item.encoded_len() <= self.max_bytes => {
                    bytes += item.encoded_len();
                    items.push(item);
                }
                Ok(too_large) => {
                    self.pending = Some(M::from_item(too_large));
                    break;
                }
                Err(other) => {
                    self.pending = Some(*other);
                    break;
                }
            }
        }
        match (items.len(), items.pop()) {
            (1, Some(only)) => M::from_item(only),
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
mod tests {
    use tokio_stream::StreamExt as _;

    use super::*;

    fn dispatch(service: &str) -> Outbound {
        Outbound::from_item(v1::Dispatch {
            service: service.to_owned(),
            ..v1::Dispatch::default()
        })
    }

    /// Sends queued messages; returns the lengths of their service names, message by message.
    async fn sent(is_enabled: bool, queued: Vec<Outbound>) -> Vec<Vec<usize>> {
        let (outbox, receiver) = mpsc::channel(100);
        for message in queued {
            outbox.try_send(message).unwrap();
        }
        drop(outbox);
        let sent = Batcher::new(receiver, Arc::new(is_enabled.into()));
        let sent = sent.map(|message| {
            let message = message.unwrap();
            let items = match message.message {
                Some(serve_response::Message::Dispatch(dispatch)) => vec![*dispatch],
                _ => message.dispatches,
            };
            let lengths = items.iter().map(|dispatch| dispatch.service.len());
            lengths.collect()
        });
        sent.collect().await
    }

    #[tokio::test]
    async fn queued_items_are_batched_in_their_order() {
        let drained = || Ok(v1::ServeResponse::default());
        let queued = || vec![dispatch("a"), dispatch("ab"), drained(), dispatch("abc")];
        assert_eq!(sent(true, queued()).await, [vec![1, 2], vec![], vec![3]]);
        let separate = [vec![1], vec![2], vec![], vec![3]];
        assert_eq!(sent(false, queued()).await, separate);
    }

    #[tokio::test]
    async fn a_batch_has_a_limit_of_items_and_of_bytes() {
        let large = "x".repeat(MAX_BATCH_BYTES);
        let queued = vec![dispatch("a"), dispatch(&large), dispatch("ab")];
        assert_eq!(
            sent(true, queued).await,
            [vec![1], vec![MAX_BATCH_BYTES], vec![2]]
        );
        let many = (0..MAX_BATCH_ITEMS + 1).map(|_| dispatch("a")).collect();
        assert_eq!(sent(true, many).await, [vec![1; MAX_BATCH_ITEMS], vec![1]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_gets_fewer_and_larger_messages() {
        let (outbox, receiver) = mpsc::channel(100);
        let flow_control = Arc::new(FlowControl::default());
        let batcher = Batcher::new(receiver, Arc::new(true.into()));
        let mut sent = batcher.with_flow_control(Arc::clone(&flow_control));
        let queue = |service| outbox.try_send(dispatch(service)).unwrap();
        let items = |message: Option<Outbound>| match message.unwrap().unwrap() {
            v1::ServeResponse { message, .. } if message.is_some() => 1,
            v1::ServeResponse { dispatches, .. } => dispatches.len(),
        };
        for service in ["a", "b"] {
            queue(service);
            assert_eq!(items(sent.next().await), 1);
        }
        queue("c");
        assert!(futures_util::poll!(Box::pin(sent.next())).is_pending());
        queue("d");
        flow_control.record_answer();
        assert_eq!(items(sent.next().await), 2);
        queue("e");
        assert_eq!(items(sent.next().await), 1);
        let start = Instant::now();
        queue("f");
        assert_eq!(items(sent.next().await), 1);
        assert!(start.elapsed() >= FLUSH_DELAY);
    }
}
