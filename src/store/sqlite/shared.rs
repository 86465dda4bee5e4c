//! The state that the callers and the threads of the store share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};

use super::bookkeeping::Bookkeeping;
use super::error::writes_stopped;
use crate::model::error::Error;

/// State behind the handle of the store, its writer and its checkpointer.
#[derive(Debug)]
pub(super) struct StoreShared {
    pub(super) bookkeeping: Bookkeeping,
    /// How many bytes of commands are queued for the writer.
    pub(super) queued_bytes: AtomicU64,
    /// Set once the disk has failed: nothing is written any more.
    write_failure: Mutex<Option<Error>>,
    /// Notifies the checkpointer; `None` once the store closes.
    checkpointer: Mutex<Option<SyncSender<()>>>,
    /// Whether the checkpointer was notified and has not begun: a commit meanwhile does not wake its thread.
    is_checkpoint_due: AtomicBool,
}

impl StoreShared {
    pub(super) fn new(checkpointer: SyncSender<()>) -> Self {
        Self {
            bookkeeping: Bookkeeping::default(),
            queued_bytes: AtomicU64::default(),
            write_failure: Mutex::default(),
            checkpointer: Mutex::new(Some(checkpointer)),
            is_checkpoint_due: AtomicBool::default(),
        }
    }

    /// Why nothing is written any more, if the disk has failed.
    pub(super) fn write_failure(&self) -> Option<Error> {
        self.write_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends all writing: whether the last write reached the disk is unknown, and a repeated sync may succeed without
    /// having written anything.
    pub(super) fn set_write_failure(&self, error: &rusqlite::Error) -> Error {
        tracing::error!(%error, "the disk failed: the store accepts no more writes");
        let error = writes_stopped(error);
        *self
            .write_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        error
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
