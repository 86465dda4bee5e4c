//! The state of a worker's session: its stream, its dispatches, and the results to acknowledge.

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::remote::protocol::messages::Outbound;
use crate::remote::worker_registry::dispatch_table::DispatchTable;

/// The state of a session that its lock protects.
#[derive(Debug)]
pub(in crate::remote::worker_registry) struct SessionState {
    /// The queue of the stream; `None` while the worker is away.
    pub(in crate::remote::worker_registry) outbox: Option<mpsc::Sender<Outbound>>,
    /// When the stream ended, while the worker is away.
    pub(in crate::remote::worker_registry) away_since: Option<Instant>,
    /// Counts the streams. The end of an earlier stream is ignored.
    pub(in crate::remote::worker_registry) stream: u64,
    pub(in crate::remote::worker_registry) has_ended: bool,
    pub(in crate::remote::worker_registry) dispatches: DispatchTable,
    /// Tokens of results that were received and not yet acknowledged.
    pub(in crate::remote::worker_registry) received: Vec<String>,
}

impl SessionState {
    pub(in crate::remote::worker_registry) fn new(dispatches: DispatchTable) -> Self {
        Self {
            outbox: None,
            away_since: None,
            stream: 0,
            has_ended: false,
            dispatches,
            received: Vec::new(),
        }
    }

    /// Whether the stream is gone while the session lasts.
    pub(in crate::remote::worker_registry) fn is_away(&self) -> bool {
        self.outbox.is_none() && !self.has_ended
    }
}
