//! The age of connections: an old one is closed in order, so that its client opens another, perhaps to another node
//! (gRFC A9).

use std::time::Duration;

use crate::edge::connection::Connection;

/// How old a connection becomes.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionAge {
    /// After this time, a tenth more or less, a connection takes no new calls. One that carries the stream of a worker
    /// is left alone: nested calls of its handlers must reach the same node.
    pub limit: Duration,
    /// How long its calls may then go on before they are ended.
    pub grace: Duration,
}

impl ConnectionAge {
    /// Resolves once the connection is old, and carries no worker.
    pub(super) async fn reached(self, connection: &Connection) {
        loop {
            // So that connections which were opened together are not opened together again.
            tokio::time::sleep(self.limit.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
            if !connection.has_worker() {
                return;
            }
        }
    }

    /// Lets the calls of an old connection end, until the grace has passed.
    pub(super) async fn last_calls<E>(
        self,
        served: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let ended = tokio::time::timeout(self.grace, served).await;
        ended.unwrap_or(Ok(()))
    }
}
