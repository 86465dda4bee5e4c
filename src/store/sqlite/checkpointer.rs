//! The checkpointer thread: it copies committed pages from the write-ahead log into the file, beside the commits.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::Connection;

use super::error::is_disk_failure;
use super::shared::StoreShared;

/// The delay between a commit and the checkpoint that follows it: one checkpoint then serves all commits in between.
const CHECKPOINT_DELAY: Duration = Duration::from_millis(250);

/// Runs a checkpoint after each notification, until the store closes. Returns its connection, to be closed.
pub(super) fn run(
    connection: Connection,
    notifications: &Receiver<()>,
    shared: &StoreShared,
) -> Connection {
    while notifications.recv().is_ok() && delay(notifications) {
        shared.begin_checkpoint();
        if let Err(error) = checkpoint(&connection) {
            if is_disk_failure(&error) {
                shared.set_write_failure(&error);
                break;
            }
            tracing::warn!(%error, "cannot checkpoint the log of the store; retrying after the next commit");
        }
    }
    shared.before_close(&connection);
    connection
}

/// Waits for the delay. Returns whether the store is still open.
fn delay(notifications: &Receiver<()>) -> bool {
    // SQLite runs the last checkpoint itself as the last connection is closed.
    notifications.recv_timeout(CHECKPOINT_DELAY) != Err(RecvTimeoutError::Disconnected)
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
        notifications.recv().unwrap();
        drop(notify);
        // After the whole delay it would return true.
        assert!(!delay(&notifications));
    }

    #[test]
    fn commits_notify_once_until_the_checkpoint_begins() {
        let (notify, notifications) = sync_channel(8);
        let shared = StoreShared::new(notify, Default::default());
        shared.notify_checkpointer();
        shared.notify_checkpointer();
        assert_eq!(notifications.try_iter().count(), 1);
        shared.begin_checkpoint();
        shared.notify_checkpointer();
        assert_eq!(notifications.try_iter().count(), 1);
    }
}
