//! The transaction of a commit group. Its statements are prepared once: `rusqlite::Transaction` parses them each time.

use rusqlite::Connection;

/// A transaction that writes; rolled back when it is dropped, unless it was committed.
pub(super) struct WriteTransaction<'a>(&'a Connection);

impl<'a> WriteTransaction<'a> {
    pub(super) fn begin(connection: &'a Connection) -> rusqlite::Result<Self> {
        execute(connection, "BEGIN IMMEDIATE")?;
        Ok(Self(connection))
    }

    /// Commits it. If that fails, it is rolled back.
    pub(super) fn commit(self) -> rusqlite::Result<()> {
        execute(self.0, "COMMIT")
    }
}

impl Drop for WriteTransaction<'_> {
    fn drop(&mut self) {
        // Some failures of SQLite have rolled it back.
        if !self.0.is_autocommit()
            && let Err(error) = execute(self.0, "ROLLBACK")
        {
            tracing::warn!(%error, "cannot roll back a transaction of the store");
        }
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
