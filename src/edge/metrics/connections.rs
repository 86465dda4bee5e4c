//! The connections of a port: how many are open, and how many were accepted.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many connections there are.
#[derive(Debug, Default)]
pub(super) struct Connections {
    accepted: AtomicU64,
    closed: AtomicU64,
}

impl Connections {
    pub(super) fn begin(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(super) fn open(&self) -> u64 {
        // Read first: a connection that closes meanwhile is not counted twice.
        let closed = self.closed.load(Ordering::Relaxed);
        self.accepted().saturating_sub(closed)
    }
}
