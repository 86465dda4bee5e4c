//! Restores a copy of a store into a directory of its own.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::directory::unusable;
use super::error::{corrupt, failed};
use super::open::mark_as_copy;
use super::read_only::ReadOnlyStore;
use crate::model::error::{Error, Result, reason};

/// The database until it is whole.
const PARTIAL: &str = "cidery.db.partial";

/// Copies a database into a directory that is missing or empty, and marks it as a copy.
///
/// # Errors
///
/// `FAILED_PRECONDITION` / `FILE_EXISTS`: the directory is not empty; / `STORE_UNUSABLE`: the database has a log, so
/// that the file alone is not all of it, or cannot be copied.
pub(crate) fn restore(backup: &Path, directory: &Path) -> Result<PathBuf> {
    let source = ReadOnlyStore::open(backup)?;
    if source.wal_bytes.is_some_and(|bytes| bytes > 0) {
        let message = format!(
            "`{}` has a log: a node uses it, or has not closed it, and the file alone is not all of it; copy the \
             store with `cidery store backup`",
            source.file.display()
        );
        return Err(unusable(message));
    }
    check_empty(directory)?;
    let file = directory.join("cidery.db");
    let partial = directory.join(PARTIAL);
    let copied = copy(&source.file, directory, &partial).and_then(|()| {
        mark(&partial).map_err(failed)?;
        let sync = || -> io::Result<()> {
            File::open(&partial)?.sync_all()?;
            std::fs::rename(&partial, &file)?;
            File::open(directory)?.sync_all()
        };
        sync().map_err(|error| cannot("write", &file, error))
    });
    if copied.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    copied.map(|()| file)
}

/// Refuses a directory with anything in it: a store is never replaced.
pub(crate) fn check_empty(directory: &Path) -> Result<()> {
    let mut entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| cannot("read", directory, error))?,
    };
    // What is left of a restore that was interrupted is replaced.
    let is_other = |entry: &io::Result<std::fs::DirEntry>| match entry {
        Ok(entry) => entry.file_name() != PARTIAL,
        Err(_) => true,
    };
    match entries.any(|entry| is_other(&entry)) {
        false => Ok(()),
        true => {
            let message = format!(
                "`{}` is not empty: choose a new directory with `--data-dir`, or move that one away",
                directory.display()
            );
            Err(Error::failed_precondition(reason::FILE_EXISTS, message))
        }
    }
}

fn copy(from: &Path, directory: &Path, to: &Path) -> Result<()> {
    let copy = || -> io::Result<()> {
        let mut made = DirBuilder::new();
        made.recursive(true).mode(0o700).create(directory)?;
        match std::fs::remove_file(to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut target = options.create_new(true).write(true).mode(0o600).open(to)?;
        io::copy(&mut File::open(from)?, &mut target)?;
        target.sync_all()
    };
    copy().map_err(|error| cannot("write", to, error))
}

/// Marks a database as a copy, and reads it. A file that was copied by other means has no mark yet.
fn mark(file: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(file, flags)?;
    copy.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    mark_as_copy(&copy)?;
    let verdict: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(corrupt(&verdict));
    }
    copy.close().map_err(|(_, error)| error)
}

fn cannot(verb: &str, path: &Path, error: io::Error) -> Error {
    unusable(format!("cannot {verb} `{}`: {error}", path.display())).with_source(error)
}
