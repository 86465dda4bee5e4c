//! The errors of the database. Callers learn what they can do; the cause goes to the log of the node.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::model::error::{Error, Result, reason};

/// What happened to a transaction.
#[derive(Debug)]
pub(super) enum Failed {
    /// The database refused it, or the connection was lost.
    Database(tokio_postgres::Error),
    /// What it was to write, or what it read, is not as it must be.
    Own(Error),
    /// It is committed, and the database did not wait for its standby: it may be lost with its machine.
    Unsynced,
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

impl Failed {
    /// Whether another attempt of the same transaction may succeed at once: it met another one.
    pub(super) fn is_conflict(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        error.code().is_some_and(|code| {
            [
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::T_R_SERIALIZATION_FAILURE,
            ]
            .contains(code)
        })
    }

    /// Whether the connection is gone, and with it the answer: the transaction may have committed.
    pub(super) fn is_in_doubt(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        // A database that ends a session says so with a code of its own, which says nothing of a COMMIT.
        error.is_closed()
            || error.code().is_none()
            || error.code().is_some_and(|code| {
                let code = code.code();
                code.starts_with("57P") || code.starts_with("08")
            })
    }

    /// Whether what was to be written is the cause: a part of it may still be taken.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Database(_) => !self.is_in_doubt(),
            Self::Own(_) => true,
            Self::Unsynced => false,
        }
    }

    /// As the operator gets it who starts a node: where the database is, and what it said.
    pub(super) fn into_error_at_start(self, place: &str) -> Error {
        let Self::Database(error) = self else {
            return self.into_error();
        };
        let cause = match error.as_db_error() {
            Some(refused) => refused.message().to_owned(),
            None => error.to_string(),
        };
        let message = format!("cannot use the database {place}: {cause}");
        Error::unavailable(reason::STORE_FAILED, message).with_source(error)
    }

    /// As callers get it.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Own(error) => error,
            Self::Database(error) => failed(error),
            Self::Unsynced => {
                let message = "the database did not wait for its standby";
                Error::unavailable(reason::STORE_FAILED, message)
            }
        }
    }
}

/// `RESOURCE_EXHAUSTED` / `STORE_FULL` for a full disk; otherwise `UNAVAILABLE` / `STORE_FAILED`.
pub(super) fn failed(error: tokio_postgres::Error) -> Error {
    let failure = match error.code() {
        Some(code) if *code == SqlState::DISK_FULL => {
            let message = "the disk of the database is full";
            Error::resource_exhausted(reason::STORE_FULL, message)
        }
        _ => {
            let message = "the database of the store failed: see the log of the node";
            Error::unavailable(reason::STORE_FAILED, message)
        }
    };
    failure.with_source(error)
}

/// `UNAVAILABLE` / `STORE_FAILED`: the database is silent.
pub(super) fn no_answer() -> Error {
    Error::unavailable(reason::STORE_FAILED, "the database does not answer")
}

/// `UNAVAILABLE` / `STORE_FAILED`: the store is closed.
pub(super) fn closed() -> Error {
    Error::unavailable(reason::STORE_FAILED, "the store is closed")
}

/// `RESOURCE_EXHAUSTED` / `STORE_FULL`: too much waits for the database.
pub(super) fn queue_full() -> Error {
    let message = "too many writes are queued for the database";
    Error::resource_exhausted(reason::STORE_FULL, message)
        .with_retry_after(Duration::from_millis(100))
}

/// `RESOURCE_EXHAUSTED` / `STORE_FULL`: new work would use the room that is reserved for outcomes.
pub(super) fn store_full() -> Error {
    let message = "the store is full: its remaining space is reserved for the outcomes of accepted invocations";
    Error::resource_exhausted(reason::STORE_FULL, message).with_retry_after(Duration::from_secs(1))
}

/// The first row of an answer that has one.
pub(super) fn first<T>(rows: Vec<T>) -> Result<T, Failed> {
    rows.into_iter().next().ok_or_else(|| {
        let message = "the database answered without the row that it must have";
        Failed::Own(Error::internal(reason::STORE_FAILED, message))
    })
}
