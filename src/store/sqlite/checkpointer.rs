//! The checkpointer thread: it copies committed pages from the write-ahead log into the file, beside the commits.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use super::error::is_disk_failure;
use super::shared::Shared;

/// How long the WAL grows before it is looked at without being asked to.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// Runs checkpoints until the store closes.
pub(super) fn run(connection: &Connection, notifications: &Receiver<()>, shared: &Shared) {
    loop {
        match notifications.recv_timeout(CHECKPOINT_EVERY) {
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => continue,
            Ok(()) => {}
        }
        thread::park_timeout(CHECKPOINT_EVERY / 4);
        if let Err(error) = checkpoint(connection) {
            if is_disk_failure(&error) {
                shared.poison(&error);
                return;
            }
            tracing::warn!(%error, "cannot checkpoint the log of the store; retrying");
        }
    }
}

fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
