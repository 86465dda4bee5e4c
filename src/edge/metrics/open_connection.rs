//! A connection of a port, counted from its beginning to its end.

use std::sync::Arc;

use super::port_metrics::PortMetrics;

/// A connection that is open until this is dropped.
#[derive(Debug)]
pub(in crate::edge) struct OpenConnection(Arc<PortMetrics>);

impl OpenConnection {
    pub(in crate::edge) fn new(metrics: Arc<PortMetrics>) -> Self {
        metrics.connections.begin();
        Self(metrics)
    }

    pub(in crate::edge) fn metrics(&self) -> &PortMetrics {
        &self.0
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.end();
    }
}
