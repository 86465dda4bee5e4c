//! The tasks of HTTP/2 streams: ends those whose peer does not read.
//!
//! The transport takes a frame of a response and waits until the peer's flow-control window has room for it. It asks
//! for no further frame meanwhile, so a timer in the body would never be polled: the task of the stream has it.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

/// What a response body answered when the transport last asked it for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyPoll {
    /// It was not asked.
    NotAsked,
    /// A frame, which the transport now sends.
    Frame,
    /// No frame yet, or its end.
    Nothing,
}

thread_local! {
    /// Set by the body while its stream is polled, and read by the task of the stream afterwards.
    static LAST_POLL: Cell<BodyPoll> = const { Cell::new(BodyPoll::NotAsked) };
}

/// Notes what the body of the current stream answered.
pub(super) fn note(poll: BodyPoll) {
    LAST_POLL.set(poll);
}

/// Spawns the streams of a connection.
#[derive(Clone, Debug)]
pub(super) struct StreamExecutor {
    /// How long a peer may not read before its stream is reset.
    pub(super) unread_timeout: Duration,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        TokioExecutor::new().execute(StreamTask {
            stream,
            unread_timeout: self.unread_timeout,
            unread: None,
        });
    }
}

pin_project! {
    /// The task of one stream.
    struct StreamTask<F> {
        #[pin]
        stream: F,
        unread_timeout: Duration,
        // Armed while a frame waits for the peer.
        unread: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future<Output = ()>> Future for StreamTask<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        LAST_POLL.set(BodyPoll::NotAsked);
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match LAST_POLL.get() {
            // The frame before was sent, or there is none.
            BodyPoll::Nothing => *this.unread = None,
            BodyPoll::Frame => {
                let deadline = Instant::now() + *this.unread_timeout;
                match this.unread {
                    Some(timer) => timer.as_mut().reset(deadline),
                    None => *this.unread = Some(Box::pin(tokio::time::sleep_until(deadline))),
                }
            }
            BodyPoll::NotAsked => {}
        }
        match this.unread {
            Some(timer) => {
                let expired = timer.as_mut().poll(cx);
                if expired.is_ready() {
                    // Dropping the stream resets it.
                    tracing::debug!("stream reset: its peer does not read the response");
                }
                expired
            }
            None => Poll::Pending,
        }
    }
}
