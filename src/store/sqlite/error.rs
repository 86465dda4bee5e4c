//! The errors of the embedded store.

use std::time::Duration;

use rusqlite::ErrorCode;

use crate::model::error::{Error, reason};

/// `UNAVAILABLE` / `STORE_FAILED`, or `STORE_FULL` if SQLite found the disk full.
pub(super) fn failed(error: &rusqlite::Error) -> Error {
    let message = format!("the store failed: {error}");
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::resource_exhausted(reason::STORE_FULL, message),
        _ => Error::unavailable(reason::STORE_FAILED, message),
    }
}

/// `UNAVAILABLE` / `STORE_FAILED`: the store is closed, or its thread has ended.
pub(super) fn closed() -> Error {
    Error::unavailable(reason::STORE_FAILED, "the store is closed")
}

/// `UNAVAILABLE` / `STORE_FAILED`: the disk failed, and nothing is written any more.
pub(super) fn writes_stopped(error: &rusqlite::Error) -> Error {
    let message = format!("the disk failed, and the store accepts no more writes: {error}");
    Error::unavailable(reason::STORE_FAILED, message)
}

/// `RESOURCE_EXHAUSTED` / `STORE_FULL`: the queue of `what` is at its limit.
pub(super) fn queue_full(what: &str) -> Error {
    let message = format!("too many {what} are queued for the disk");
    Error::resource_exhausted(reason::STORE_FULL, message)
        .with_retry_after(Duration::from_millis(100))
}

/// `RESOURCE_EXHAUSTED` / `STORE_FULL`: new work would use the room that is reserved for outcomes.
pub(super) fn store_full() -> Error {
    let message = "the store is full: the rest of its room is reserved for the outcomes of accepted invocations";
    Error::resource_exhausted(reason::STORE_FULL, message).with_retry_after(Duration::from_secs(1))
}

/// Whether the disk failed, or damaged the file: the store must not be written any more.
pub(super) fn is_disk_failure(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}
