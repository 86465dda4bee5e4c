//! The stream of a session, and the table of the dispatches that the worker has.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use tokio::sync::mpsc;

use super::in_flight::InFlight;
use crate::model::token::Token;
use crate::remote::protocol::messages::Outbound;

/// The state of a session that its lock protects.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// The queue of the stream; `None` while the worker is away.
    pub(super) outbox: Option<mpsc::Sender<Outbound>>,
    /// Counts the streams. The end of an earlier stream is ignored.
    pub(super) stream: u64,
    pub(super) has_ended: bool,
    pub(super) dispatches: HashMap<Token, InFlight, RandomState>,
    /// Tokens of results that were received and not yet acknowledged.
    pub(super) received: Vec<String>,
}

impl Connection {
    /// Whether the stream is gone while the session lasts.
    pub(super) fn is_away(&self) -> bool {
        self.outbox.is_none() && !self.has_ended
    }
}
