//! The threads of the store beside the writer: readers, which answer what they are asked, and the one of checkpoints.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Shared, is_broken};
use crate::model::error::{Error, Result, reason};

/// How long the WAL grows before it is looked at without being asked to.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// What a reader is asked.
pub(super) type Query = Box<dyn FnOnce(&Connection) + Send>;

/// Has a reader answer, unless nobody waits for it any more by then.
pub(super) async fn ask<T: Send + 'static>(
    readers: &SyncSender<Query>,
    query: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (answer, answered) = oneshot::channel();
    let query: Query = Box::new(move |connection| {
        if !answer.is_closed() {
            drop(answer.send(query(connection)));
        }
    });
    match readers.try_send(query) {
        Ok(()) => answered.await.unwrap_or_else(|_| Err(closed())),
        Err(TrySendError::Full(_)) => Err(busy("reads")),
        Err(TrySendError::Disconnected(_)) => Err(closed()),
    }
}

/// `RESOURCE_EXHAUSTED` / `STORE_FULL`: what waits for the disk is bounded.
pub(super) fn busy(what: &str) -> Error {
    let message = format!("too many {what} wait for the disk already");
    let error = Error::resource_exhausted(reason::STORE_FULL, message);
    error.with_retry_after(Duration::from_millis(100))
}

/// `UNAVAILABLE` / `STORE_FAILED`: nobody is there to ask any more.
pub(super) fn closed() -> Error {
    Error::unavailable(reason::STORE_FAILED, "the store is closed")
}

/// Starts a thread.
pub(super) fn spawn(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<thread::JoinHandle<()>> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| {
        let message = format!("cannot start the thread `{name}`: {error}");
        Error::internal(reason::STORE_FAILED, message)
    })
}

/// Answers what readers are asked, until nobody asks any more.
pub(super) fn read(connection: &Connection, waiting: &Mutex<Receiver<Query>>) {
    loop {
        let query = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        match query {
            Ok(query) => query(connection),
            Err(_) => return,
        }
    }
}

/// Brings what is in the WAL into the file, beside the commits rather than in them.
pub(super) fn checkpoint(connection: &Connection, rings: &Receiver<()>, shared: &Shared) {
    use std::sync::mpsc::RecvTimeoutError;
    loop {
        // Rings gather while one checkpoint runs.
        match rings.recv_timeout(CHECKPOINT_EVERY) {
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => continue,
            Ok(()) => while rings.try_recv().is_ok() {},
        }
        thread::park_timeout(CHECKPOINT_EVERY / 4);
        let done = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = done {
            if is_broken(&error) {
                shared.break_with(&error);
                return;
            }
            tracing::warn!(%error, "cannot bring the log of the store into its file; trying again");
        }
    }
}
