//! Several dispatches, or several results, in one message: what waits to be sent goes together.
//!
//! The fewer messages there are the less they cost, most of all where the other side is no Rust. A side that does not
//! keep up gets fewer and larger ones: what comes while it answers nothing waits for its next answer, or for a moment.

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

use crate::codec::proto::v1;
use crate::codec::proto::v1::{serve_request, serve_response};
use crate::remote::session::Outgoing;

/// How many go into one message, at most.
const MOST: usize = 64;
/// How many bytes of them, at most, so that no message becomes larger than the other side takes.
const MOST_BYTES: usize = 64 * 1024;

/// So many messages go without an answer before the next one waits.
const AHEAD: usize = 2;
/// How long it waits after the last one, at most, as exactly as timers are: a millisecond more.
const MOMENT: Duration = Duration::from_millis(1);

/// Whether the other side keeps up.
#[derive(Debug, Default)]
pub struct Rhythm {
    /// How many messages have gone since its last answer.
    ahead: AtomicUsize,
    waker: AtomicWaker,
}

impl Rhythm {
    /// The other side has answered something.
    pub fn answered(&self) {
        if self.ahead.swap(0, Ordering::AcqRel) > 0 {
            self.waker.wake();
        }
    }
}

/// A message that may hold several of a kind.
pub trait Joined: Sized {
    /// What there may be several of.
    type Part: prost::Message;

    /// The one that it holds.
    ///
    /// # Errors
    ///
    /// Itself, where it holds something else.
    fn part(self) -> Result<Self::Part, Box<Self>>;

    /// A message of one.
    fn of_one(part: Self::Part) -> Self;

    /// A message of several.
    fn of_several(parts: Vec<Self::Part>) -> Self;
}

impl Joined for Outgoing {
    type Part = v1::Dispatch;

    fn part(self) -> Result<v1::Dispatch, Box<Self>> {
        match self {
            Ok(v1::ServeResponse {
                message: Some(serve_response::Message::Dispatch(dispatch)),
                ..
            }) => Ok(*dispatch),
            other => Err(Box::new(other)),
        }
    }

    fn of_one(part: v1::Dispatch) -> Self {
        Ok(v1::ServeResponse {
            message: Some(serve_response::Message::Dispatch(Box::new(part))),
            dispatches: Vec::new(),
        })
    }

    fn of_several(parts: Vec<v1::Dispatch>) -> Self {
        Ok(v1::ServeResponse {
            message: None,
            dispatches: parts,
        })
    }
}

impl Joined for v1::ServeRequest {
    type Part = v1::DispatchResult;

    fn part(self) -> Result<v1::DispatchResult, Box<Self>> {
        match self.message {
            Some(serve_request::Message::Result(result)) => Ok(*result),
            _ => Err(Box::new(self)),
        }
    }

    fn of_one(part: v1::DispatchResult) -> Self {
        Self {
            message: Some(serve_request::Message::Result(Box::new(part))),
            results: Vec::new(),
        }
    }

    fn of_several(parts: Vec<v1::DispatchResult>) -> Self {
        Self {
            message: None,
            results: parts,
        }
    }
}

/// A queue with or without a bound.
pub trait Queue<M>: Unpin {
    /// The next one, once there is one; `None` at the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<M>>;

    /// The next one, if there is one.
    fn try_next(&mut self) -> Option<M>;
}

impl<M> Queue<M> for mpsc::Receiver<M> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<M>> {
        self.poll_recv(cx)
    }

    fn try_next(&mut self) -> Option<M> {
        self.try_recv().ok()
    }
}

impl<M> Queue<M> for mpsc::UnboundedReceiver<M> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<M>> {
        self.poll_recv(cx)
    }

    fn try_next(&mut self) -> Option<M> {
        self.try_recv().ok()
    }
}

/// What waits to be sent, in its order.
#[derive(Debug)]
pub struct Waiting<M, Q = mpsc::Receiver<M>> {
    queue: Q,
    /// Whether the other side takes several in one message, as far as is known.
    several: Arc<AtomicBool>,
    /// How many bytes of parts go into one message.
    most_bytes: usize,
    /// Taken out of the queue, and not to be sent with what came before.
    next: Option<M>,
    /// `None` where the other side always keeps up.
    pace: Option<Pace>,
}

/// How fast messages follow one another.
#[derive(Debug)]
struct Pace {
    rhythm: Arc<Rhythm>,
    /// Ends the wait for an answer.
    moment: Pin<Box<Sleep>>,
}

impl Pace {
    /// Waits where the other side does not keep up.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Before it is looked at: what is answered after that wakes.
        self.rhythm.waker.register(cx.waker());
        match self.rhythm.ahead.load(Ordering::Acquire) {
            0..AHEAD => Poll::Ready(()),
            _ => self.moment.as_mut().poll(cx),
        }
    }

    fn note_sent(&mut self) {
        self.rhythm.ahead.fetch_add(1, Ordering::AcqRel);
        self.moment.as_mut().reset(Instant::now() + MOMENT);
    }
}

impl<M: Joined, Q: Queue<M>> Waiting<M, Q> {
    pub(super) fn new(queue: Q, several: Arc<AtomicBool>) -> Self {
        Self {
            queue,
            several,
            most_bytes: MOST_BYTES,
            next: None,
            pace: None,
        }
    }

    /// Goes by what is told of the other side's answers.
    pub(super) fn to(mut self, rhythm: Arc<Rhythm>) -> Self {
        let moment = Box::pin(tokio::time::sleep(Duration::ZERO));
        self.pace = Some(Pace { rhythm, moment });
        self
    }

    /// The other side takes no larger messages.
    pub(super) fn at_most(mut self, message_bytes: usize) -> Self {
        // What surrounds the parts takes a few bytes for each of them.
        self.most_bytes = MOST_BYTES.min(message_bytes / 2);
        self
    }

    /// Adds what waits behind a part and is one as well.
    fn with_others(&mut self, first: M::Part) -> M {
        let mut bytes = first.encoded_len();
        let mut parts = vec![first];
        while parts.len() < MOST && bytes < self.most_bytes {
            let Some(next) = self.queue.try_next() else {
                break;
            };
            match next.part() {
                Ok(part) if bytes + part.encoded_len() <= self.most_bytes => {
                    bytes += part.encoded_len();
                    parts.push(part);
                }
                Ok(large) => {
                    self.next = Some(M::of_one(large));
                    break;
                }
                Err(other) => {
                    self.next = Some(*other);
                    break;
                }
            }
        }
        match (parts.len(), parts.pop()) {
            (1, Some(only)) => M::of_one(only),
            (_, last) => {
                parts.extend(last);
                M::of_several(parts)
            }
        }
    }
}

impl<M: Joined + Unpin, Q: Queue<M>> Stream for Waiting<M, Q> {
    type Item = M;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M>> {
        let next = match self.next.take() {
            Some(next) => Some(next),
            None => std::task::ready!(self.queue.poll_next(cx)),
        };
        Poll::Ready(match next {
            Some(next) if self.several.load(Ordering::Relaxed) => Some(match next.part() {
                Ok(part) => {
                    if let Some(pace) = &mut self.pace {
                        if pace.poll_next(cx).is_pending() {
                            self.next = Some(M::of_one(part));
                            return Poll::Pending;
                        }
                        pace.note_sent();
                    }
                    self.with_others(part)
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

    fn dispatch(service: &str) -> Outgoing {
        Outgoing::of_one(v1::Dispatch {
            service: service.to_owned(),
            ..v1::Dispatch::default()
        })
    }

    /// What is sent of what waits: the lengths of names of services, message by message.
    async fn sent(several: bool, waiting: Vec<Outgoing>) -> Vec<Vec<usize>> {
        let (outbox, queue) = mpsc::channel(100);
        for message in waiting {
            outbox.try_send(message).unwrap();
        }
        drop(outbox);
        let sent = Waiting::new(queue, Arc::new(several.into()));
        let sent = sent.map(|message| {
            let message = message.unwrap();
            let one = match message.message {
                Some(serve_response::Message::Dispatch(dispatch)) => vec![*dispatch],
                _ => message.dispatches,
            };
            one.iter().map(|dispatch| dispatch.service.len()).collect()
        });
        sent.collect().await
    }

    #[tokio::test]
    async fn what_waits_goes_together_in_its_order() {
        let drained = || Ok(v1::ServeResponse::default());
        let waiting = || vec![dispatch("a"), dispatch("ab"), drained(), dispatch("abc")];
        assert_eq!(sent(true, waiting()).await, [vec![1, 2], vec![], vec![3]]);
        let each = [vec![1], vec![2], vec![], vec![3]];
        assert_eq!(sent(false, waiting()).await, each);
        let large = "x".repeat(MOST_BYTES);
        let waiting = vec![dispatch("a"), dispatch(&large), dispatch("ab")];
        assert_eq!(
            sent(true, waiting).await,
            [vec![1], vec![MOST_BYTES], vec![2]]
        );
        let many = (0..MOST + 1).map(|_| dispatch("a")).collect();
        assert_eq!(sent(true, many).await, [vec![1; MOST], vec![1]]);
    }

    /// What comes while the other side answers nothing waits for its answer, or for a moment.
    #[tokio::test(start_paused = true)]
    async fn who_does_not_keep_up_gets_fewer_messages() {
        let (outbox, queue) = mpsc::channel(100);
        let rhythm = Arc::new(Rhythm::default());
        let mut sent = Waiting::new(queue, Arc::new(true.into())).to(Arc::clone(&rhythm));
        let say = |service| outbox.try_send(dispatch(service)).unwrap();
        let several = |message: Option<Outgoing>| match message.unwrap().unwrap() {
            v1::ServeResponse { message, .. } if message.is_some() => 1,
            v1::ServeResponse { dispatches, .. } => dispatches.len(),
        };
        for service in ["a", "b"] {
            say(service);
            assert_eq!(several(sent.next().await), 1);
        }
        say("c");
        assert!(futures_util::poll!(Box::pin(sent.next())).is_pending());
        say("d");
        rhythm.answered();
        assert_eq!(several(sent.next().await), 2);
        say("e");
        assert_eq!(several(sent.next().await), 1);
        let begun = Instant::now();
        say("f");
        assert_eq!(several(sent.next().await), 1);
        assert!(begun.elapsed() >= MOMENT);
    }
}
