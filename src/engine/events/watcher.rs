//! A watcher: one reader of the events of the node.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

use crate::engine::events::event::NodeEvent;

/// How many events that do not match are skipped before other tasks have a turn.
const SKIPPED_AT_ONCE: usize = 64;

/// The place of a watcher among those that there may be. Left when dropped.
#[derive(Debug)]
pub(super) struct Seat(Arc<AtomicUsize>);

impl Seat {
    /// Takes one; returns how many were taken before.
    pub(super) fn take(watchers: &Arc<AtomicUsize>) -> (Self, usize) {
        let taken = watchers.fetch_add(1, Ordering::Relaxed);
        (Self(Arc::clone(watchers)), taken)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a watcher gets.
#[derive(Clone, Debug)]
pub struct Watched {
    /// How many events were dropped before this one, or since the one before, because the watcher read too slowly.
    /// They are counted whether or not they would have matched.
    pub missed: u64,
    /// The event; `None` where events were missed, and none has come since.
    pub event: Option<Arc<NodeEvent>>,
}

/// Reads the events of the node from when it was made. It never delays the node: where it reads too slowly, events are
/// dropped and counted.
#[derive(Debug)]
pub struct Watcher {
    events: Receiver<Arc<NodeEvent>>,
    /// Fires when the node has no further events.
    closing: CancellationToken,
    missed: u64,
    _seat: Seat,
}

impl Watcher {
    pub(super) fn new(
        events: Receiver<Arc<NodeEvent>>,
        closing: CancellationToken,
        seat: Seat,
    ) -> Self {
        Self {
            events,
            closing,
            missed: 0,
            _seat: seat,
        }
    }

    /// Waits for the next event that matches, or for the news that events were missed; `None` once the node stops and
    /// all of its events have been read.
    ///
    /// # Cancel safety
    ///
    /// An event is consumed only when this resolves, or where it does not match.
    pub async fn next(&mut self, matches: impl Fn(&NodeEvent) -> bool) -> Option<Watched> {
        let mut skipped = 0;
        loop {
            let received = match self.events.try_recv() {
                Ok(event) => Ok(event),
                Err(TryRecvError::Empty) if self.missed > 0 => return Some(self.watched(None)),
                // Events that were sent before the node closed are read first.
                Err(TryRecvError::Empty) => tokio::select! {
                    biased;
                    received = self.events.recv() => received,
                    () = self.closing.cancelled() => return None,
                },
                Err(TryRecvError::Lagged(missed)) => Err(RecvError::Lagged(missed)),
                Err(TryRecvError::Closed) => Err(RecvError::Closed),
            };
            match received {
                Ok(event) if matches(&event) => return Some(self.watched(Some(event))),
                Ok(_) => skipped += 1,
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
            if skipped % SKIPPED_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn watched(&mut self, event: Option<Arc<NodeEvent>>) -> Watched {
        Watched {
            missed: std::mem::take(&mut self.missed),
            event,
        }
    }
}
