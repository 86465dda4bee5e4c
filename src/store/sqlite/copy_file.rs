//! The file that a copy of a store is written to: pages of one commit, made a file of its own.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::open::mark_as_copy;

const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Connects to the file of a copy, which is empty. It is synced as a whole, and worth nothing before that.
pub(super) fn connect_to_copy(path: &Path) -> rusqlite::Result<Connection> {
    let target = Connection::open_with_flags(path, FLAGS)?;
    target.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    target.pragma_update(None, "journal_mode", "OFF")?;
    target.pragma_update(None, "synchronous", "OFF")?;
    Ok(target)
}

/// Makes a file of its own of the pages: it has no log, and says that it is a copy.
pub(super) fn finish_copy(path: &Path) -> rusqlite::Result<()> {
    let copy = Connection::open_with_flags(path, FLAGS)?;
    copy.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    mark_as_copy(&copy)?;
    copy.close().map_err(|(_, error)| error)
}

/// Removes what there is of a copy, with the files that SQLite may have created beside it.
pub(super) fn remove_copy(path: &Path) {
    for end in ["", "-wal", "-shm", "-journal"] {
        let mut path = path.as_os_str().to_owned();
        path.push(end);
        let _ = std::fs::remove_file(path);
    }
}
