//! The checkpointer thread: it copies committed pages from the write-ahead log into the file, beside the commits.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::Instant;

use super::error::is_disk_failure;
use super::shared::StoreShared;

/// The delay between a commit and the checkpoint that follows it: one checkpoint then serves all commits in between.
const CHECKPOINT_DELAY: Duration = Duration::from_millis(250);

/// Runs a checkpoint after each notification, until the store closes.
pub(super) fn run(connection: &Connection, notifications: &Receiver<()>, shared: &StoreShared) {
    while notifications.recv().is_ok() && collect(notifications) {
        if let Err(error) = checkpoint(connection) {
            if is_disk_failure(&error) {
                shared.set_write_failure(&error);
                return;
            }
            tracing::warn!(%error, "cannot checkpoint the log of the store; retrying after the next commit");
        }
    }
}

/// Takes further notifications during the delay. Returns whether the store is still open.
fn collect(notifications: &Receiver<()>) -> bool {
    let end = Instant::now() + CHECKPOINT_DELAY;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        match notifications.recv_timeout(left) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            // SQLite runs the last checkpoint itself as the last connection is closed.
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn closing_the_store_ends_the_delay_before_a_checkpoint() {
        let (notify, notifications) = sync_channel(1);
        notify.send(()).unwrap();
        drop(notify);
        // After the whole delay it would return true.
        assert!(!collect(&notifications));
    }
}
