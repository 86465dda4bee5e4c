//! The queue of spans that wait to be sent. It never blocks: what it has no room for is dropped and counted.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::engine::trace::{SpanData, SpanExporter};

/// How many spans wait at most: some megabytes.
const CAPACITY: usize = 4_096;

/// The end of the queue where spans are put.
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    dropped: AtomicU64,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// An empty queue, and the end where spans are taken.
    pub(super) fn new() -> (Self, mpsc::Receiver<SpanData>) {
        let (spans, taken) = mpsc::channel(CAPACITY);
        let dropped = AtomicU64::new(0);
        (Self { spans, dropped }, taken)
    }

    /// Counts spans that are not sent.
    pub(super) fn drop_spans(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }
}

impl SpanExporter for Queue {
    fn export(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.drop_spans(1);
        }
    }

    fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
