//! Opens the file of a store: checks, creates or migrates it, and increments the generation.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::directory::{StoreDirectory, unusable};
use super::error::failed;
use super::keys::open_keys;
use super::migrate::{FORMAT, is_known, migrate};
use crate::model::error::{Error, Result};
use crate::store::cipher::BlobCipher;

/// `CIDR`: the `application_id` of our files.
const APPLICATION_ID: i32 = 0x4349_4452;
/// How many generations a copy of a store is ahead of the store, at least: it is opened less often than that.
const COPY_STEP: i64 = 1 << 16;
/// How long a connection waits for a lock of another one.
pub(super) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
pub(super) const SCHEMA: &str = include_str!("schema.sql");
/// The page cache of each connection: 8 MiB. SQLite takes a negative number as KiB. A larger one costs the writer more
/// than it saves: a commit that splits a page scans all buckets of the cache, and the operating system caches the file.
const CACHE_SIZE: i32 = -8_192;

/// The generation of an opened store.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    /// How often the store was opened, this time included.
    pub(super) generation: u32,
    /// The generation that was opened after the last crash: an invocation that was last written before it may have been
    /// running when the node crashed.
    pub(super) recovering: Option<u32>,
    /// The generations of the last copy that this store began as: events that it does not contain were given out, if at
    /// all, by the store that was copied.
    pub(super) undone: Option<Range<u32>>,
}

impl StoreDirectory {
    /// Opens the connection of the writer: creates, checks or migrates the file, looks whether its keys are there, and
    /// increments the generation.
    pub(super) fn writer(&self, cipher: &BlobCipher) -> Result<(Connection, Opened)> {
        warn_of_slow_syncs(cfg!(sqlite_without_fdatasync));
        // A file of another program must not be changed, not even its journal mode.
        if std::fs::metadata(&self.file).is_ok_and(|file| file.len() > 0) {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&self.file, flags);
            format_of(
                &self.file,
                &connection.map_err(|error| self.cannot_open(error))?,
            )?;
        }
        let connection = self.connect()?;
        match format_of(&self.file, &connection)? {
            0 => create(&connection),
            known => migrate(&connection, known),
        }
        .map_err(|error| self.cannot_open(error))?;
        self.check_columns(&connection)?;
        // Before the generation is incremented: a start without the keys is no crash.
        open_keys(&connection, cipher)?;
        let opened = increment_generation(&connection);
        let opened = opened.map_err(|error| self.cannot_open(error))?;
        sync_directory(&self.file).map_err(|error| {
            let message = format!(
                "cannot sync the directory of `{}`: {error}",
                self.file.display()
            );
            unusable(message).with_source(error)
        })?;
        Ok((connection, opened))
    }

    /// Checks that the file has all columns of its format: without them, writes would fail later.
    fn check_columns(&self, connection: &Connection) -> Result<()> {
        let ours = Connection::open_in_memory().and_then(|ours| {
            ours.execute_batch(SCHEMA)?;
            columns(&ours)
        });
        let ours = ours.map_err(failed)?;
        let there = columns(connection).map_err(|error| self.cannot_open(error))?;
        let missing: Vec<_> = ours
            .into_iter()
            .filter(|one| !there.contains(one))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!(
            "`{}` has format {FORMAT} but no {}: an unreleased version wrote it",
            self.file.display(),
            missing.join(", ")
        );
        Err(unusable(message))
    }

    /// Opens the connection of a reader.
    pub(super) fn reader(&self) -> Result<Connection> {
        self.connect()
    }

    fn cannot_open(&self, error: rusqlite::Error) -> Error {
        cannot_open(&self.file, error)
    }

    fn connect(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags);
        let connection = connection.map_err(|error| self.cannot_open(error))?;
        let set = || -> rusqlite::Result<()> {
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // With NORMAL a commit is not synced, and a power loss could undo an acknowledged commit.
            connection.pragma_update(None, "synchronous", "FULL")?;
            // A checkpoint within a commit would delay its callers: the checkpointer thread runs them.
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            connection.pragma_update(None, "cache_size", CACHE_SIZE)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            keep_plans(&connection)?;
            connection.set_prepared_statement_cache_capacity(64);
            Ok(())
        };
        set().map_err(|error| not_a_store(&self.file, error))?;
        Ok(connection)
    }
}

/// The format of a file; 0 if it is empty.
pub(super) fn format_of(file: &Path, connection: &Connection) -> Result<i32> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let not_a_store = |error| not_a_store(file, error);
    let (application, format) = (pragma("application_id"), pragma("user_version"));
    let (application, format) = (
        application.map_err(not_a_store)?,
        format.map_err(not_a_store)?,
    );
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(not_a_store)?;
    match (application, format) {
        (0, 0) if tables == 0 => Ok(0),
        (APPLICATION_ID, known) if is_known(known) => Ok(known),
        (APPLICATION_ID, newer) => {
            let message = format!(
                "`{}` has format {newer}, newer than {FORMAT}: use the version that wrote it",
                file.display()
            );
            Err(unusable(message))
        }
        _ => {
            let message = format!("`{}` belongs to another program", file.display());
            Err(unusable(message))
        }
    }
}

/// As [`failed`]. The operator who starts the node reads the cause as well.
pub(super) fn cannot_open(file: &Path, error: rusqlite::Error) -> Error {
    let (cause, failure) = (error.to_string(), failed(error));
    let message = format!("cannot open `{}`: {cause}", file.display());
    Error::new(failure.kind(), failure.reason().to_owned(), message)
}

/// The error of a file that is no database, or as [`cannot_open`].
fn not_a_store(file: &Path, error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => {
            unusable(format!("`{}` is not a store: {error}", file.display()))
        }
        _ => cannot_open(file, error),
    }
}

/// Makes SQLite plan a statement without looking at the values that are bound to it. It would otherwise plan a cached
/// statement with `LIMIT ?` or `column = ?` again for each execution, since clearing its values expires such a plan.
pub(super) fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(drop)
}

/// `build.rs` records how SQLite was compiled.
fn warn_of_slow_syncs(without_fdatasync: bool) {
    if without_fdatasync {
        tracing::warn!(
            "SQLite was compiled to sync with `fsync`: commits are slower. Add the lines `[env]` and \
             `LIBSQLITE3_FLAGS = \"-DHAVE_FDATASYNC=1\"` to `.cargo/config.toml` of the program"
        );
    }
}

/// The columns of all tables, as `table.column`.
fn columns(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let select = "SELECT tables.name || '.' || columns.name FROM sqlite_schema AS tables,
         pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'";
    let mut select = connection.prepare(select)?;
    let rows = select.query_map([], |row| row.get(0))?;
    rows.collect()
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {SCHEMA}
         INSERT INTO meta (key, value) VALUES ('generation', 0), ('clean', 1), ('indexed', 0);
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
    ))
}

/// Marks a database as a copy of a store, of its present generation.
///
/// The store that was copied goes on, and gives out further sequences, which the copy knows nothing of: also in later
/// generations. The first generation of the copy must therefore be one that the store does not reach.
pub(super) fn mark_as_copy(connection: &Connection) -> rusqlite::Result<()> {
    let insert = "INSERT OR IGNORE INTO meta (key, value)
         SELECT 'copied', value FROM meta WHERE key = 'generation'";
    connection.execute(insert, []).map(drop)
}

/// The next generation; that of a copy which is opened for the first time is one that its store never reached.
/// Two nodes that are started on the same copy have, most likely, different ones.
fn next_generation(last: i64, is_copy: bool) -> u32 {
    let step = match is_copy {
        true => COPY_STEP + fastrand::i64(0..COPY_STEP),
        false => 1,
    };
    u32::try_from(last.saturating_add(step)).unwrap_or(u32::MAX)
}

fn increment_generation(connection: &Connection) -> rusqlite::Result<Opened> {
    let value = |key: &str| {
        let statement = "SELECT value FROM meta WHERE key = ?1";
        connection.query_row(statement, [key], |row| row.get::<_, i64>(0))
    };
    let (last, copied) = (value("generation")?, value("copied").optional()?);
    let generation = next_generation(last, copied.is_some());
    let restores = match copied {
        Some(copied) => format!(
            "INSERT OR REPLACE INTO meta (key, value) VALUES ('restored_from', {copied}), ('restored', {generation});
             DELETE FROM meta WHERE key = 'copied';"
        ),
        None => String::new(),
    };
    let recovers = match value("clean")? {
        0 => {
            format!("INSERT OR REPLACE INTO meta (key, value) VALUES ('recovering', {generation});")
        }
        _ => String::new(),
    };
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {recovers} {restores}
         UPDATE meta SET value = {generation} WHERE key = 'generation';
         UPDATE meta SET value = 0 WHERE key = 'clean'; COMMIT;"
    ))?;
    let read = |key| -> rusqlite::Result<Option<u32>> {
        let value = value(key).optional()?;
        Ok(value.and_then(|generation| u32::try_from(generation).ok()))
    };
    let (from, first) = (read("restored_from")?, read("restored")?);
    Ok(Opened {
        generation,
        recovering: read("recovering")?,
        undone: from.zip(first).map(|(from, first)| from..first),
    })
}

/// Syncs the directory and its parent, so that the entries of new files survive a power loss.
fn sync_directory(file: &Path) -> std::io::Result<()> {
    for directory in file.ancestors().skip(1).take(2) {
        let is_here = directory.as_os_str().is_empty();
        let directory = if is_here { Path::new(".") } else { directory };
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::service::runtime::CapturedLog;

    fn logged(without_fdatasync: bool) -> String {
        CapturedLog::of(|| warn_of_slow_syncs(without_fdatasync))
    }

    #[test]
    fn a_store_without_fdatasync_logs_one_warning_with_the_lines_to_add() {
        let log = logged(true);
        assert_eq!(log.lines().count(), 1, "{log}");
        for text in ["WARN", "[env]", "LIBSQLITE3_FLAGS = \"-DHAVE_FDATASYNC=1\""] {
            assert!(log.contains(text), "{log}");
        }
        assert_eq!(logged(false), "");
    }

    /// How often SQLite planned a cached statement again.
    fn plans_of_a_cached_statement(keeps: bool) -> i32 {
        let connection = Connection::open_in_memory().unwrap();
        if keeps {
            keep_plans(&connection).unwrap();
        }
        connection.execute_batch(SCHEMA).unwrap();
        let select = "SELECT id FROM pending WHERE service = ?1 AND leads = 1 AND wake <= ?2
             ORDER BY wake, id LIMIT ?3";
        let cached = || connection.prepare_cached(select).unwrap();
        for n in 1..4_i64 {
            let found = cached().query_row([n, n, n], |_| Ok(()));
            found.optional().unwrap();
        }
        cached().get_status(StatementStatus::RePrepare)
    }

    #[test]
    fn a_cached_statement_is_planned_once() {
        assert_eq!(plans_of_a_cached_statement(true), 0);
        assert!(plans_of_a_cached_statement(false) > 0);
    }
}
