//! The copy that is being written: how far it is, and how it is ended.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::engine::backup::{Backup, BackupName, BackupPhase, BackupProgress, NewBackup};
use crate::model::error::{Error, Result, reason};

/// How much of the work is done after the pages are copied, and after they are verified.
const COPIED: f64 = 0.6;
const VERIFIED: f64 = 0.9;

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
    backup: NewBackup,
    stop: Arc<Stop>,
    ended: CancellationToken,
    bytes: u64,
    progress: BackupProgress,
}

/// Whoever has this writes the copy. It has ended once this is dropped, however that comes about.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) stop: Arc<Stop>,
    progress: Arc<Progress>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(running) = self.progress.lock().take() {
            running.ended.cancel();
        }
    }
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
    pub(super) fn begin(self: &Arc<Self>, backup: &NewBackup) -> Result<Writing> {
        let mut current = self.lock();
        if let Some(running) = &*current {
            let message = format!(
                "the copy `{}` is being written, and there is one at a time: repeat the request once it has ended",
                running.backup.name
            );
            return Err(Error::failed_precondition(reason::BACKUP_RUNNING, message));
        }
        let stop = Arc::<Stop>::default();
        *current = Some(Running {
            backup: backup.clone(),
            stop: Arc::clone(&stop),
            ended: CancellationToken::new(),
            bytes: 0,
            progress: BackupProgress {
                phase: BackupPhase::Copying,
                fraction: 0.0,
            },
        });
        Ok(Writing {
            stop,
            progress: Arc::clone(self),
        })
    }

    /// Sets how many bytes the copy will have, and how much of a phase is done.
    pub(super) fn set(&self, bytes: u64, phase: BackupPhase, done: f64) {
        if let Some(running) = &mut *self.lock() {
            let (from, to) = match phase {
                BackupPhase::Copying => (0.0, COPIED),
                BackupPhase::Verifying => (COPIED, VERIFIED),
                BackupPhase::Hashing => (VERIFIED, 1.0),
            };
            let fraction = from + (to - from) * done.clamp(0.0, 1.0);
            running.bytes = bytes;
            running.progress = BackupProgress { phase, fraction };
        }
    }

    /// Ends the copy if it has this name. Returns what fires once it has ended: a moment later.
    pub(super) fn stop(&self, name: &BackupName) -> Option<CancellationToken> {
        let current = self.lock();
        let running = current.as_ref()?;
        if running.backup.name != *name {
            return None;
        }
        running.stop.stop();
        Some(running.ended.clone())
    }

    /// The copy that is being written. `path`: where it will be.
    pub(super) fn running(&self, path: impl FnOnce(&BackupName) -> PathBuf) -> Option<Backup> {
        let current = self.lock();
        let running = current.as_ref()?;
        let backup = &running.backup;
        Some(Backup {
            path: path(&backup.name),
            name: backup.name.clone(),
            bytes: running.bytes,
            create_time: backup.create_time,
            sha256: String::new(),
            invocations: 0,
            is_temporary: backup.is_temporary,
            progress: Some(running.progress),
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_copy_has_ended_also_where_its_thread_panics() {
        let progress = Arc::<Progress>::default();
        let backup = NewBackup {
            name: BackupName::parse("a").unwrap(),
            create_time: Timestamp::UNIX_EPOCH,
            is_temporary: false,
        };
        let writing = progress.begin(&backup).unwrap();
        let refused = progress.begin(&backup).unwrap_err();
        assert_eq!(refused.reason(), reason::BACKUP_RUNNING);
        let ended = progress.stop(&backup.name).unwrap();
        assert!(writing.stop.is_stopped() && !ended.is_cancelled());
        let thread = std::thread::spawn(move || {
            let _writing = writing;
            panic!("as a thread that writes a copy never should");
        });
        assert!(thread.join().is_err());
        assert!(ended.is_cancelled());
        assert!(progress.stop(&backup.name).is_none());
        let _next = progress.begin(&backup).unwrap();
    }
}
