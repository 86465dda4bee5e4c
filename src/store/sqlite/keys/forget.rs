//! Forgets a key that is lost, so that a node opens the store without it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::model::error::{Error, Result, reason};
use crate::store::sqlite::directory::{StoreDirectory, unusable};
use crate::store::sqlite::migrate::FORMAT;
use crate::store::sqlite::open::{cannot_open, format_of};

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
