//! The errors of the embedded store. Callers learn what they can do; the cause goes to the log of the node.

use std::time::Duration;

use rusqlite::ErrorCode;

use crate::model::error::{Error, Kind, reason};

/// What SQLite reported, as callers get it, with the cause as its source: `RESOURCE_EXHAUSTED` / `STORE_FULL` for a
/// full disk, `DATA_LOSS` / `STORE_DAMAGED` for a damaged file, otherwise `UNAVAILABLE` / `STORE_FAILED`.
pub(super) fn failed(error: rusqlite::Error) -> Error {
    let failure = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            let message = "the disk of the store is full";
            Error::resource_exhausted(reason::STORE_FULL, message)
        }
        _ if is_damage(&error) => {
            let message = "the store is damaged here: see the log of the node";
            Error::new(Kind::DataLoss, reason::STORE_DAMAGED, message)
        }
        _ => {
            let message = "the store failed: see the log of the node";
            Error::unavailable(reason::STORE_FAILED, message)
        }
    };
    failure.with_source(error)
}

/// `UNAVAILABLE` / `STORE_FAILED`: the store is closed, or its thread has ended.
pub(super) fn closed() -> Error {
    Error::unavailable(reason::STORE_FAILED, "the store is closed")
}

/// `UNAVAILABLE` / `STORE_FAILED`: nothing is written any more.
pub(super) fn writes_stopped() -> Error {
    let message = "the store has failed and accepts no more writes: see the log of the node";
    Error::unavailable(reason::STORE_FAILED, message)
}

/// `DATA_LOSS` / `STORE_DAMAGED`: nothing is written any more, because the file is damaged.
pub(super) fn writes_stopped_by_damage() -> Error {
    let message = "the store is damaged and accepts no more writes: see the log of the node";
    Error::new(Kind::DataLoss, reason::STORE_DAMAGED, message)
}

/// `RESOURCE_EXHAUSTED` / `STORE_FULL`: the queue of `what` is at its limit.
pub(super) fn queue_full(what: &str) -> Error {
    let message = format!("too many {what} are queued for the disk");
    Error::resource_exhausted(reason::STORE_FULL, message)
        .with_retry_after(Duration::from_millis(100))
}

/// `RESOURCE_EXHAUSTED` / `STORE_FULL`: new work would use the room that is reserved for outcomes.
pub(super) fn store_full() -> Error {
    let message = "the store is full: its remaining space is reserved for the outcomes of accepted invocations";
    Error::resource_exhausted(reason::STORE_FULL, message).with_retry_after(Duration::from_secs(1))
}

/// Damage that the store itself has found.
pub(super) fn corrupt(what: &str) -> rusqlite::Error {
    let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(corrupt, Some(what.to_owned()))
}

/// Whether the disk failed, or the file is no database any more: the store must not be written any more.
pub(super) fn is_disk_failure(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::SystemIoFailure | ErrorCode::NotADatabase)
    )
}

/// Whether the file is damaged: SQLite refuses a page of it, or a row has a value that is never written.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    is_corrupt(error)
        || matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..)
        )
}

/// Whether SQLite refuses a page of the file, or the whole of it.
fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(code: i32) -> rusqlite::Error {
        let text = Some("near \"SELECT\": syntax error".to_owned());
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), text)
    }

    #[test]
    fn callers_learn_the_kind_of_a_failure_and_never_the_text_of_sqlite() {
        use rusqlite::ffi;
        for (code, reason, is_retryable) in [
            (ffi::SQLITE_FULL, "STORE_FULL", true),
            (ffi::SQLITE_CORRUPT, "STORE_DAMAGED", false),
            (ffi::SQLITE_NOTADB, "STORE_DAMAGED", false),
            (ffi::SQLITE_IOERR, "STORE_FAILED", true),
            (ffi::SQLITE_ERROR, "STORE_FAILED", true),
        ] {
            let error = failed(sqlite(code));
            assert_eq!(
                (error.reason(), error.is_retryable()),
                (reason, is_retryable)
            );
            assert!(!error.message().contains("SELECT"), "{error}");
            assert!(std::error::Error::source(&error).is_some());
        }
        let kind = rusqlite::types::Type::Text;
        let error = failed(rusqlite::Error::InvalidColumnType(
            3,
            "due".to_owned(),
            kind,
        ));
        assert_eq!(error.reason(), "STORE_DAMAGED");
    }
}
