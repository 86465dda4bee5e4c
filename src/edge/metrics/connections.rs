//! The connections of a port: how many are open, and how many were accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::port_metrics::PortMetrics;

/// How many connections there are.
#[derive(Debug, Default)]
pub(super) struct Connections {
    accepted: AtomicU64,
    closed: AtomicU64,
}

impl Connections {
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(super) fn open(&self) -> u64 {
        // Read first: a connection that closes meanwhile is not counted twice.
        let closed = self.closed.load(Ordering::Relaxed);
        self.accepted().saturating_sub(closed)
    }
}

/// A connection that is open until this is dropped.
#[derive(Debug)]
pub(in crate::edge) struct OpenConnection(Arc<PortMetrics>);

impl OpenConnection {
    pub(in crate::edge) fn new(metrics: Arc<PortMetrics>) -> Self {
        metrics.connections.accepted.fetch_add(1, Ordering::Relaxed);
        Self(metrics)
    }

    pub(in crate::edge) fn metrics(&self) -> &PortMetrics {
        &self.0
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let closed = &self.0.connections.closed;
        closed.fetch_add(1, Ordering::Relaxed);
    }
}
