//! Opens a store, or a copy of one, to read it. Nothing of it is changed.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, OpenFlags};

use super::directory::unusable;
use super::migrate::{ADDED_TABLES, FORMAT};
use super::open::{BUSY_TIMEOUT, cannot_open, format_of};
use crate::model::error::Result;

/// What a path in a URI of SQLite contains as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The name of the database in the directory of a store.
const DATABASE: &str = "cidery.db";

/// A store that is read. One transaction reads it, so that all reads see the same commit.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "cli"),
    expect(dead_code, reason = "the commands on files read all of it")
)]
pub(super) struct ReadOnlyStore {
    /// The database.
    pub(super) file: PathBuf,
    pub(super) connection: Connection,
    /// The number of its format.
    pub(super) format: i32,
    /// The size of its write-ahead log in bytes; `None` if there is none: nothing uses it, and nothing is left of a
    /// crash.
    pub(super) wal_bytes: Option<u64>,
}

impl ReadOnlyStore {
    /// Opens a database, or the one in a directory.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `STORE_UNUSABLE`: it is missing, is empty, belongs to another program, or has a newer
    /// format. `DATA_LOSS` / `STORE_DAMAGED`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let is_folder = std::fs::metadata(path).is_ok_and(|found| found.is_dir());
        let file = match is_folder {
            true => path.join(DATABASE),
            false => path.to_owned(),
        };
        match std::fs::metadata(&file) {
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", file.display());
                return Err(unusable(message).with_source(error));
            }
            Ok(found) if !found.is_file() => {
                let message = format!("`{}` is not a regular file", file.display());
                return Err(unusable(message));
            }
            Ok(_) => {}
        }
        let wal_bytes = wal_bytes(&file);
        let connection = connect(&file, wal_bytes.is_none());
        let connection = connection.map_err(|error| cannot_open(&file, error))?;
        let format = format_of(&file, &connection)?;
        if format == 0 {
            return Err(unusable(format!("`{}` is empty", file.display())));
        }
        if format == FORMAT {
            stand_in(&connection).map_err(|error| cannot_open(&file, error))?;
        }
        Ok(Self {
            file,
            connection,
            format,
            wal_bytes,
        })
    }
}

/// Temporary tables in place of those that a file of this format may lack. They are in memory: the file stays as it is.
fn stand_in(connection: &Connection) -> rusqlite::Result<()> {
    let select = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
    for (name, columns) in ADDED_TABLES {
        let is_there: bool = connection.query_row(select, [name], |row| row.get(0))?;
        if !is_there {
            connection.execute_batch(&format!("CREATE TEMP TABLE {name} ({columns})"))?;
        }
    }
    Ok(())
}

/// The size of the write-ahead log of a database, if there is one.
pub(super) fn wal_bytes(file: &Path) -> Option<u64> {
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    let found = std::fs::metadata(wal).ok()?;
    Some(found.len())
}

/// Connects, and begins the transaction that all reads are in.
///
/// `is_unused`: nothing else uses the file, and it has no log. SQLite then takes no locks, and creates no files beside
/// it. Otherwise it is read as by any other process, which does not disturb the node.
fn connect(file: &Path, is_unused: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let path = percent_encode(absolute.as_os_str().as_bytes(), PATH);
    let query = if is_unused { "?immutable=1" } else { "" };
    let connection = Connection::open_with_flags(format!("file:{path}{query}"), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch("BEGIN")?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_characters_of_uris_are_opened() {
        let name = format!("cidery ?#%&-{}.db", crate::model::id::Cid::new());
        let file = std::env::temp_dir().join(name);
        let written = Connection::open(&file).unwrap();
        written
            .execute_batch("CREATE TABLE one (id INTEGER); INSERT INTO one VALUES (7)")
            .unwrap();
        for is_unused in [true, false] {
            let connection = connect(&file, is_unused).unwrap();
            let id: i64 = connection
                .query_row("SELECT id FROM one", [], |row| row.get(0))
                .unwrap();
            assert_eq!(id, 7);
        }
        std::fs::remove_file(file).unwrap();
    }
}
