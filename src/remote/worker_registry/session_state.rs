//! The state of a worker's session: its stream, its dispatches, and the results to acknowledge.

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::dispatch_table::DispatchTable;
use crate::remote::protocol::messages::Outbound;

/// The state of a session that its lock protects.
#[derive(Debug)]
pub(super) struct SessionState {
    /// The queue of the stream; `None` while the worker is away.
    pub(super) outbox: Option<mpsc::Sender<Outbound>>,
    /// When the stream ended, while the worker is away.
    pub(super) away_since: Option<Instant>,
    /// Counts the streams. The end of an earlier stream is ignored.
    pub(super) stream: u64,
    pub(super) has_ended: bool,
    pub(super) dispatches: DispatchTable,
    /// Tokens of results that were received and not yet acknowledged.
    pub(super) received: Vec<String>,
}

impl SessionState {
    pub(super) fn new(dispatches: DispatchTable) -> Self {
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
    pub(super) fn is_away(&self) -> bool {
        self.outbox.is_none() && !self.has_ended
    }
}
