//! What the commands on keys do with a file: read which it needs, and forget one that is lost.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::directory::{StoreDirectory, unusable};
use super::error::failed;
use super::keys::{KeyUsage, read_usage};
use super::migrate::FORMAT;
use super::open::{cannot_open, format_of};
use super::read_only::ReadOnlyStore;
use crate::model::error::{Error, Result, reason};

/// Which keys a store, or a copy of one, needs. No key is needed for that.
///
/// # Errors
///
/// `FAILED_PRECONDITION` / `STORE_UNUSABLE`: there is no store. `DATA_LOSS` / `STORE_DAMAGED`; `UNAVAILABLE` /
/// `STORE_FAILED` where the disk fails.
pub(crate) fn key_usage(path: &Path) -> Result<Vec<KeyUsage>> {
    let store = ReadOnlyStore::open(path)?;
    // A file of an earlier format has nothing that is encrypted, and other tables.
    match store.format < FORMAT {
        true => Ok(Vec::new()),
        false => read_usage(&store.connection).map_err(failed),
    }
}

/// Forgets a key of the store in a directory that no node uses. What needs it stays, and cannot be read.
///
/// # Errors
///
/// `NOT_FOUND` / `STORE_KEY_UNKNOWN`: the store was never written with it. `FAILED_PRECONDITION` / `STORE_UNUSABLE`: a
/// node uses the directory, or there is no store.
pub(crate) fn forget_key(path: &Path, id: &str) -> Result<()> {
    let file = path.join("cidery.db");
    if !file.exists() {
        return Err(unusable(format!("`{}` has no store", path.display())));
    }
    let directory = StoreDirectory::lock(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let cannot = |error| cannot_open(&directory.file, error);
    let connection = Connection::open_with_flags(&directory.file, flags).map_err(cannot)?;
    let forgotten = match format_of(&directory.file, &connection)? {
        FORMAT => forget(&connection, id).map_err(cannot)?,
        _ => 0,
    };
    match forgotten {
        0 => {
            let message = format!("the store was never written with a key `{id}`");
            Err(Error::not_found(reason::STORE_KEY_UNKNOWN, message))
        }
        _ => Ok(()),
    }
}

fn forget(connection: &Connection, id: &str) -> rusqlite::Result<usize> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    let select = "SELECT count(*) FROM sqlite_schema WHERE name = 'store_key'";
    let has_keys: bool = connection.query_row(select, [], |row| row.get(0))?;
    match has_keys {
        true => connection.execute("DELETE FROM store_key WHERE id = ?1", [id]),
        false => Ok(0),
    }
}
