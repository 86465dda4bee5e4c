//! The threads of the store, joined when they are dropped.

use std::thread::{Builder, JoinHandle};

use rusqlite::Connection;

use crate::model::error::{Error, Result, reason};

/// Threads that end once their channels are closed, and return their connections. Dropped after the senders, they are
/// joined, the last one first.
///
/// Their connections are closed one after another. SQLite copies the log into the file and removes it as the last
/// connection is closed; of two that are closed at once, neither is the last one, and the log stays.
#[derive(Debug, Default)]
pub(super) struct Threads(Vec<JoinHandle<Connection>>);

impl Threads {
    /// Starts a thread with a name.
    pub(super) fn spawn(
        &mut self,
        name: &str,
        run: impl FnOnce() -> Connection + Send + 'static,
    ) -> Result<()> {
        let thread = Builder::new().name(name.to_owned()).spawn(run);
        let thread = thread.map_err(|error| {
            let message = format!("cannot start the thread `{name}`: {error}");
            Error::internal(reason::STORE_FAILED, message)
        });
        self.0.push(thread?);
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for thread in self.0.drain(..).rev() {
            // A panic of the thread was reported by the panic hook.
            drop(thread.join());
        }
    }
}
