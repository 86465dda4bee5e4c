//! The state that the callers and the threads of the store share.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::bookkeeping::Bookkeeping;
use super::commit_metrics::CommitMetrics;
use super::error::{is_damage, writes_stopped, writes_stopped_by_damage};
use super::failure_log::FailureLog;
use crate::model::error::Error;
use crate::store::cipher::BlobCipher;

/// State behind the handle of the store, its writer and its checkpointer.
#[derive(Debug)]
pub(super) struct StoreShared {
    pub(super) bookkeeping: Bookkeeping,
    /// Seals and opens the blobs.
    pub(super) cipher: BlobCipher,
    /// How many bytes of commands are queued for the writer.
    pub(super) queued_bytes: AtomicU64,
    /// What is counted of commits.
    pub(super) commit_metrics: CommitMetrics,
    /// The causes of what callers are told.
    pub(super) failures: FailureLog,
    /// Set once the disk has failed, or the files are gone: nothing is written any more.
    write_failure: Mutex<Option<Error>>,
    /// Notifies the checkpointer; `None` once the store closes.
    checkpointer: Mutex<Option<SyncSender<()>>>,
    /// Whether the checkpointer was notified and has not begun: a commit meanwhile does not wake its thread.
    is_checkpoint_due: AtomicBool,
}

impl StoreShared {
    pub(super) fn new(checkpointer: SyncSender<()>, cipher: BlobCipher) -> Self {
        Self {
            bookkeeping: Bookkeeping::default(),
            cipher,
            queued_bytes: AtomicU64::default(),
            commit_metrics: CommitMetrics::default(),
            failures: FailureLog::default(),
            write_failure: Mutex::default(),
            checkpointer: Mutex::new(Some(checkpointer)),
            is_checkpoint_due: AtomicBool::default(),
        }
    }

    /// Why nothing is written any more, if so.
    pub(super) fn write_failure(&self) -> Option<Error> {
        self.write_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends all writing: whether the last write reached the disk is unknown, and a repeated sync may succeed without
    /// having written anything.
    pub(super) fn set_write_failure(&self, error: &rusqlite::Error) -> Error {
        if is_damage(error) {
            tracing::error!(
                %error,
                "the store is damaged and accepts no more writes: stop the node, and restore a backup"
            );
            return self.stop_writes(writes_stopped_by_damage());
        }
        tracing::error!(
            %error,
            "the disk failed, and the store accepts no more writes: fix the disk, then restart the node"
        );
        self.stop_writes(writes_stopped())
    }

    /// Ends all writing: what is written to a file that has no name any more is lost with this process.
    pub(super) fn set_files_lost(&self, path: &Path, what: &str) -> Error {
        tracing::error!(
            path = %path.display(),
            "the file was {what} while the node ran, and the store accepts no more writes: stop the node, put the \
             data directory back or restore a backup, then start the node"
        );
        self.stop_writes(writes_stopped())
    }

    /// The first failure stays.
    fn stop_writes(&self, failure: Error) -> Error {
        let mut write_failure = self
            .write_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        write_failure.get_or_insert(failure).clone()
    }

    /// Prepares a connection to be closed. The last one that closes runs a checkpoint and removes the log, unless the
    /// store has failed: the log may then be all that has the last commits.
    pub(super) fn before_close(&self, connection: &Connection) {
        if self.write_failure().is_some() {
            // Refused only for options that SQLite does not know.
            let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }

    /// Has the checkpointer run soon.
    pub(super) fn notify_checkpointer(&self) {
        if self.is_checkpoint_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let checkpointer = self
            .checkpointer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(checkpointer) = &*checkpointer {
            // One that is still queued is enough.
            let _ = checkpointer.try_send(());
        }
    }

    /// Begins a checkpoint: commits from here on notify again.
    pub(super) fn begin_checkpoint(&self) {
        self.is_checkpoint_due.store(false, Ordering::Release);
    }

    /// Ends the checkpointer.
    pub(super) fn close_checkpointer(&self) {
        let mut checkpointer = self
            .checkpointer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *checkpointer = None;
    }
}
