//! Copies of a store: the trait of a store that can be copied while it is used, and its contract in prose.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::model::error::{Error, Result, Violation, reason};
use crate::service::BoxFuture;

/// How many bytes the name of a copy has at most.
const MAX_NAME_BYTES: usize = 100;
/// How long a temporary copy is kept while nobody reads it: ten minutes.
pub const UNREAD_LIMIT: SignedDuration = SignedDuration::from_mins(10);

/// The copies of a store, in a folder of its own.
///
/// All methods may be called concurrently.
pub trait Backups: fmt::Debug + Send + Sync {
    /// Writes a copy, and verifies it by reading it. Whatever was stored before the call is in it.
    ///
    /// The store is used as before meanwhile. The copy is durable, and listed, once this resolves; until then, nothing
    /// has its name. No file is ever replaced.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `BACKUP_EXISTS`; `FAILED_PRECONDITION` / `BACKUP_RUNNING`: one at a time;
    /// `RESOURCE_EXHAUSTED` / `STORE_FULL` where the disk of the copy, or that of the store, has no room for it;
    /// `DATA_LOSS` / `STORE_DAMAGED` where the store is damaged; `UNAVAILABLE` / `STORE_FAILED` where the disk fails,
    /// or the store is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the copy, and its file is removed.
    fn write(&self, backup: NewBackup) -> BoxFuture<'_, Result<Backup>>;

    /// The copies, the newest first, at most `max`, with the one that is being written.
    fn list(&self, max: usize) -> BoxFuture<'_, Result<Vec<Backup>>>;

    /// Reads up to `max` bytes of a copy from an offset; empty at its end.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `BACKUP_UNKNOWN`; `INVALID_ARGUMENT` / `REQUEST_INVALID` for an offset beyond its end;
    /// `UNAVAILABLE` / `STORE_FAILED`.
    fn read(&self, name: BackupName, offset: u64, max: usize) -> BoxFuture<'_, Result<Bytes>>;

    /// Removes a copy. One that is being written is ended. Once this resolves, nothing has its name.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `BACKUP_UNKNOWN`; `UNAVAILABLE` / `STORE_FAILED`.
    fn delete(&self, name: BackupName) -> BoxFuture<'_, Result<()>>;

    /// Removes the temporary copies that nobody has read for [`UNREAD_LIMIT`], as far as the calls of this function
    /// tell: one that was read since the last call counts as read now. Those that are left when the store is closed, or
    /// its process ends, are removed when it is opened.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `STORE_FAILED`.
    fn remove_unread(&self, now: Timestamp) -> BoxFuture<'_, Result<()>>;
}

/// A copy that is to be written.
#[derive(Clone, Debug)]
pub struct NewBackup {
    /// Its name.
    pub name: BackupName,
    /// Its time: whatever was stored before is in it.
    pub create_time: Timestamp,
    /// Whether it is made for a caller that reads and then deletes it, and removed once that caller is gone.
    pub is_temporary: bool,
}

/// The name of a copy: `[A-Za-z0-9._-]+`, at most 100 bytes, not beginning with a dot. It is never a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BackupName(String);

impl BackupName {
    /// Parses a name.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` with a violation of `/name`.
    pub fn parse(text: &str) -> Result<Self> {
        let violation = |code, message| {
            let violation = Violation::new("/name", code, message);
            Error::violations(reason::REQUEST_INVALID, vec![violation])
        };
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if text.is_empty() {
            return Err(violation("EMPTY", "must not be empty"));
        }
        if text.len() > MAX_NAME_BYTES {
            return Err(violation("TOO_LARGE", "must have at most 100 bytes"));
        }
        if text.starts_with('.') || !text.bytes().all(is_allowed) {
            let message =
                "must consist of letters, digits, `.`, `_` and `-`, and not begin with a dot";
            return Err(violation("INVALID", message));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name of a copy that got none: its time, such as `20260131T083000.123456Z`. No copy takes so little time that
    /// the next one has the same.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Self(time.strftime("%Y%m%dT%H%M%S%.6fZ").to_string())
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A copy of a store.
#[derive(Clone, Debug)]
pub struct Backup {
    /// Its name.
    pub name: BackupName,
    /// Where it is on the machine of the node.
    pub path: PathBuf,
    /// Its size. While it is being written, that of the store.
    pub bytes: u64,
    /// When it was begun.
    pub create_time: Timestamp,
    /// The SHA-256 of its bytes in lower-case hexadecimal; empty if the node did not write it, or still does.
    pub sha256: String,
    /// How many invocations are in it; 0 if that is not known.
    pub invocations: u64,
    /// Whether it was made for a caller that reads and then deletes it.
    pub is_temporary: bool,
    /// How far it is, while it is being written.
    pub progress: Option<BackupProgress>,
}

/// How far a copy is that is being written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackupProgress {
    /// What is done now.
    pub phase: BackupPhase,
    /// How much is done of all phases together, from 0 to 1.
    pub fraction: f64,
}

/// What is done with a copy that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupPhase {
    /// The store is copied.
    Copying,
    /// The copy is read, as a node would, and checked.
    Verifying,
    /// Its checksum is computed.
    Hashing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_never_paths() {
        for good in ["a", "2026-01-31", "nightly_1.db", "A..b", &"x".repeat(100)] {
            assert_eq!(BackupName::parse(good).unwrap().as_str(), good);
        }
        for (wrong, code) in [
            ("", "EMPTY"),
            (".", "INVALID"),
            ("..", "INVALID"),
            (".hidden", "INVALID"),
            ("a/b", "INVALID"),
            ("a\\b", "INVALID"),
            ("a b", "INVALID"),
            ("a\0", "INVALID"),
            ("ä", "INVALID"),
            (&"x".repeat(101), "TOO_LARGE"),
        ] {
            let error = BackupName::parse(wrong).unwrap_err();
            let violation = &error.field_violations()[0];
            assert_eq!(
                (&*violation.path, &*violation.code),
                ("/name", code),
                "{wrong}"
            );
        }
    }

    #[test]
    fn the_default_name_is_the_time() {
        let time = "2026-01-31T08:30:00.5Z".parse().unwrap();
        assert_eq!(BackupName::of(time).as_str(), "20260131T083000.500000Z");
        assert!(BackupName::parse(BackupName::of(time).as_str()).is_ok());
    }
}
