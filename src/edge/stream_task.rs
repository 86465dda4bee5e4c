//! The tasks of HTTP/2 streams: ends those whose peer does not read.
//!
//! The transport takes a frame of a response and waits until the peer's flow-control window has room for it. It asks
//! for no further frame meanwhile, so a timer in the body would never be polled: the task of the stream has it. A peer
//! that reads a little now and then is ended as well.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use pin_project_lite::pin_project;

use super::connection_task;
use super::progress_timer::ProgressTimer;

/// What a response body answered when the transport last asked it for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyPoll {
    /// It was not asked.
    NotAsked,
    /// A frame, which the transport now sends. With the frames before it since the stream was polled, it has so many
    /// bytes.
    Frame(usize),
    /// No frame yet, or its end.
    Nothing,
}

thread_local! {
    /// Set by the body while its stream is polled, and read by the task of the stream afterwards.
    static LAST_POLL: Cell<BodyPoll> = const { Cell::new(BodyPoll::NotAsked) };
}

/// Notes that the body of the current stream answered with a frame of so many bytes.
pub(super) fn note_frame(bytes: usize) {
    let before = match LAST_POLL.get() {
        BodyPoll::Frame(before) => before,
        BodyPoll::NotAsked | BodyPoll::Nothing => 0,
    };
    LAST_POLL.set(BodyPoll::Frame(before.saturating_add(bytes)));
}

/// Notes that the body of the current stream has no frame.
pub(super) fn note_nothing() {
    LAST_POLL.set(BodyPoll::Nothing);
}

/// Runs the streams of a connection.
#[derive(Clone, Debug)]
pub(super) struct StreamExecutor {
    /// How long a peer may not read, or very little, before its stream is reset.
    pub(super) unread_timeout: Duration,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        connection_task::run(Box::pin(StreamTask {
            stream,
            unread: ProgressTimer::new(self.unread_timeout),
        }));
    }
}

pin_project! {
    /// One stream.
    struct StreamTask<F> {
        #[pin]
        stream: F,
        // Armed while a frame waits for the peer.
        unread: ProgressTimer,
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
            BodyPoll::Nothing => this.unread.disarm(),
            BodyPoll::Frame(bytes) => this.unread.advance(bytes),
            BodyPoll::NotAsked => {}
        }
        let expired = this.unread.poll_expired(cx);
        if expired.is_ready() {
            // Dropping the stream resets it.
            tracing::debug!("stream reset: its peer does not read the response");
        }
        expired
    }
}
