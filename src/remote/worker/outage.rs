//! The log of an outage: what a worker says while its node cannot be reached.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::error::Error;

/// The shortest interval between two lines of one outage. An outage of hours must not fill the log.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The time since the worker lost its node, or began to look for the next one.
#[derive(Debug)]
pub(super) struct Outage {
    node: String,
    since: Option<Instant>,
    last_logged: Option<Instant>,
}

impl Outage {
    pub(super) fn new(node: String) -> Self {
        Self {
            node,
            since: None,
            last_logged: None,
        }
    }

    /// Logs the first failure to connect, and then one a minute.
    pub(super) fn failed(&mut self, error: &Error) {
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.is_line_due() {
            // The first line is of the beginning.
            let away_s = Some(since.elapsed().as_secs()).filter(|away| *away > 0);
            tracing::warn!(
                node = self.node,
                away_s,
                reason = error.reason(),
                "not connected: {error}; retrying every few seconds until the node answers"
            );
        }
    }

    fn is_line_due(&mut self) -> bool {
        let is_due = self
            .last_logged
            .is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL);
        if is_due {
            self.last_logged = Some(Instant::now());
        }
        is_due
    }

    /// Logs that the worker is connected.
    pub(super) fn connected(&mut self, worker_id: &str) {
        let node = &self.node;
        match self.since.take() {
            None => tracing::info!(node, worker.id = worker_id, "connected"),
            Some(since) => {
                let away_s = since.elapsed().as_secs();
                tracing::info!(node, worker.id = worker_id, away_s, "connected again");
            }
        }
        self.last_logged = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_logged_at_once_and_then_once_a_minute() {
        let mut outage = Outage::new("127.0.0.1:1".to_owned());
        for _ in 0..2 {
            let mut lines = 0;
            for _ in 0..=120 {
                lines += u32::from(outage.is_line_due());
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            assert_eq!(lines, 3);
            outage.connected("an id");
        }
    }
}
