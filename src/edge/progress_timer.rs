//! Timers of peers that read too slowly.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

/// How many bytes a peer reads in each timeout, at least, unless it reads all there is.
const MIN_BYTES: usize = 64 * 1024;

/// Expires unless a peer reads enough: a timer that any byte reset would let it hold a response for hours.
#[derive(Debug)]
pub(super) struct ProgressTimer {
    timeout: Duration,
    /// Armed while bytes wait for the peer.
    armed: Option<Armed>,
}

#[derive(Debug)]
struct Armed {
    sleep: Pin<Box<Sleep>>,
    /// How many bytes the peer has read since.
    read: usize,
}

impl ProgressTimer {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            armed: None,
        }
    }

    /// Bytes wait for the peer.
    pub(super) fn arm(&mut self) {
        self.armed.get_or_insert_with(|| Armed {
            sleep: Box::pin(tokio::time::sleep(self.timeout)),
            read: 0,
        });
    }

    /// The peer has read some bytes, and others wait.
    pub(super) fn advance(&mut self, bytes: usize) {
        let Some(armed) = &mut self.armed else {
            return self.arm();
        };
        armed.read = armed.read.saturating_add(bytes);
        if armed.read >= MIN_BYTES {
            armed.read = 0;
            armed.sleep.set(tokio::time::sleep(self.timeout));
        }
    }

    /// No bytes wait for the peer.
    pub(super) fn disarm(&mut self) {
        self.armed = None;
    }

    /// Resolves when the peer has read too little for the timeout.
    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.armed {
            Some(armed) => armed.sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}
