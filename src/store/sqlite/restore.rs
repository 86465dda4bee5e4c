//! Restores a copy of a store into a directory of its own.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup as PageCopy, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::copy_file::{connect_to_copy, finish_copy, remove_copy};
use super::directory::unusable;
use super::error::{corrupt, failed};
use super::read_only::ReadOnlyStore;
use super::rename::rename_new;
use crate::model::error::{Error, Result, reason};

/// How many pages are copied at once: 16 MiB.
const STEP_PAGES: i32 = 4_096;
/// The database until it is whole.
const PARTIAL: &str = "cidery.db.partial";

/// Copies a database into a directory that is missing or empty, and marks it as a copy. What is committed in its log is
/// in the copy, also where a node uses it.
///
/// # Errors
///
/// `FAILED_PRECONDITION` / `FILE_EXISTS`: the directory is not empty; / `STORE_UNUSABLE`: the database is none, or
/// cannot be copied. `DATA_LOSS` / `STORE_DAMAGED`.
pub(crate) fn restore(backup: &Path, directory: &Path) -> Result<PathBuf> {
    let source = ReadOnlyStore::open(backup)?;
    check_empty(directory)?;
    let file = directory.join("cidery.db");
    let partial = directory.join(PARTIAL);
    let create = || create(directory, &partial);
    let copied = create()
        .map_err(|error| cannot("write", &partial, error))
        .and_then(|()| {
            copy(&source.connection, &partial).map_err(failed)?;
            let keep = || -> io::Result<()> {
                File::open(&partial)?.sync_all()?;
                rename_new(&partial, &file)?;
                File::open(directory)?.sync_all()
            };
            keep().map_err(|error| cannot("write", &file, error))
        });
    if copied.is_err() {
        remove_copy(&partial);
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
        Ok(entry) => !entry.file_name().to_string_lossy().starts_with(PARTIAL),
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

/// Creates the directory, and the file of the copy: empty, and readable by its owner alone.
fn create(directory: &Path, partial: &Path) -> io::Result<()> {
    let mut made = DirBuilder::new();
    made.recursive(true).mode(0o700).create(directory)?;
    remove_copy(partial);
    let mut options = OpenOptions::new();
    options.create_new(true).write(true).mode(0o600);
    options.open(partial).map(drop)
}

/// Copies all pages of what `source` reads, with those of its log, and reads the copy.
fn copy(source: &Connection, partial: &Path) -> rusqlite::Result<()> {
    let mut target = connect_to_copy(partial)?;
    // In the transaction of `source`: one commit, which no other one makes it begin again.
    let pages = PageCopy::new(source, &mut target)?;
    loop {
        match pages.step(STEP_PAGES)? {
            StepResult::Done => break,
            StepResult::More => {}
            // Nothing else uses the file, and the transaction has its lock.
            _ => {
                let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                return Err(rusqlite::Error::SqliteFailure(busy, None));
            }
        }
    }
    drop(pages);
    target.close().map_err(|(_, error)| error)?;
    finish_copy(partial)?;
    let copy = Connection::open_with_flags(partial, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let verdict: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match verdict.as_str() {
        "ok" => Ok(()),
        fault => Err(corrupt(fault)),
    }
}

fn cannot(verb: &str, path: &Path, error: io::Error) -> Error {
    unusable(format!("cannot {verb} `{}`: {error}", path.display())).with_source(error)
}
