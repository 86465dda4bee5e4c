//! The copy that is being written: how far it is, and how it is ended.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::backup::{Backup, BackupName};
use crate::model::error::{Error, Result, reason};

/// Ends a copy before it is complete.
#[derive(Debug, Default)]
pub(super) struct Stop {
    is_stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(super) fn stop(&self) {
        *self.lock() = true;
        self.changed.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        *self.lock()
    }

    /// Waits, unless the copy is to be ended. Returns whether it is.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let wait = self
            .changed
            .wait_timeout_while(self.lock(), pause, |is_stopped| !*is_stopped);
        let (is_stopped, _) = wait.unwrap_or_else(PoisonError::into_inner);
        *is_stopped
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The copy that is being written.
#[derive(Debug)]
struct Running {
    name: BackupName,
    create_time: Timestamp,
    stop: Arc<Stop>,
    bytes: u64,
    fraction: f64,
}

/// At most one copy, and how far it is.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<Option<Running>>);

impl Progress {
    /// Begins a copy.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `BACKUP_RUNNING`.
    pub(super) fn begin(&self, name: &BackupName, create_time: Timestamp) -> Result<Arc<Stop>> {
        let mut current = self.lock();
        if let Some(running) = &*current {
            let message = format!(
                "the copy `{}` is being written, and there is one at a time: repeat the request once it has ended",
                running.name
            );
            return Err(Error::failed_precondition(reason::BACKUP_RUNNING, message));
        }
        let stop = Arc::<Stop>::default();
        *current = Some(Running {
            name: name.clone(),
            create_time,
            stop: Arc::clone(&stop),
            bytes: 0,
            fraction: 0.0,
        });
        Ok(stop)
    }

    /// Sets how many bytes the copy will have, and how much of it is done.
    pub(super) fn set(&self, bytes: u64, fraction: f64) {
        if let Some(running) = &mut *self.lock() {
            (running.bytes, running.fraction) = (bytes, fraction.clamp(0.0, 1.0));
        }
    }

    /// No copy is being written any more.
    pub(super) fn end(&self) {
        *self.lock() = None;
    }

    /// Ends the copy if it has this name. Returns whether it has.
    pub(super) fn stop(&self, name: &BackupName) -> bool {
        let current = self.lock();
        let running = current.as_ref().filter(|running| running.name == *name);
        if let Some(running) = running {
            running.stop.stop();
        }
        running.is_some()
    }

    /// The copy that is being written. `path`: where it will be.
    pub(super) fn running(&self, path: impl FnOnce(&BackupName) -> PathBuf) -> Option<Backup> {
        let current = self.lock();
        let running = current.as_ref()?;
        Some(Backup {
            path: path(&running.name),
            name: running.name.clone(),
            bytes: running.bytes,
            create_time: running.create_time,
            sha256: String::new(),
            invocations: 0,
            fraction: Some(running.fraction),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a copy that was ended before it was complete.
pub(super) fn ended() -> Error {
    Error::cancelled(reason::CANCELLED, "the copy was ended, and is removed")
}
