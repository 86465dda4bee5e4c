//! Opens a store directory: locks it, checks or creates the file, and increments the generation.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::error::failed;
use super::migrate::{FORMAT, is_known, migrate};
use crate::model::error::{Error, Result, reason};

/// `CIDR`: the `application_id` of our files.
const APPLICATION_ID: i32 = 0x4349_4452;
/// How long a connection waits for a lock of another one.
pub(super) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
pub(super) const SCHEMA: &str = include_str!("schema.sql");
/// The page caches: 64 MiB for the writer and 8 MiB for each reader. SQLite takes a negative number as KiB.
const WRITER_CACHE: i32 = -65_536;
const READER_CACHE: i32 = -8_192;

/// A locked directory.
#[derive(Debug)]
pub(super) struct StoreDirectory {
    /// The database.
    pub(super) file: PathBuf,
    /// Locked while the store is open, so that a second process is refused.
    lock: File,
}

/// The generation of an opened store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    /// How often the store was opened, this time included.
    pub(super) generation: u32,
    /// The generation that was opened after the last crash: an invocation that was last written before it may have been
    /// running when the node crashed.
    pub(super) recovering: Option<u32>,
}

/// `FAILED_PRECONDITION` / `STORE_UNUSABLE`.
fn unusable(message: String) -> Error {
    Error::failed_precondition(reason::STORE_UNUSABLE, message)
}

/// Unlocks explicitly: a child process that has been forked and not executed yet shares the lock, and closing the file
/// alone would not release it.
impl Drop for StoreDirectory {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl StoreDirectory {
    /// Creates the directory if it is missing, and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self> {
        let cannot = |what: &str, error: std::io::Error| {
            let message = format!("cannot {what} `{}`: {error}", path.display());
            unusable(message).with_source(error)
        };
        // Readable by its owner alone: it contains inputs and outcomes.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| cannot("create the directory", error))?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(path.join("lock"));
        let lock = lock.map_err(|error| cannot("write to", error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => unusable(format!(
                "another process uses `{}`: stop it, or choose another directory with `--data-dir`",
                path.display()
            )),
            TryLockError::Error(error) => {
                warn_if_network(path);
                cannot("lock", error)
            }
        })?;
        let file = path.join("cidery.db");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        options
            .open(&file)
            .map_err(|error| cannot("write to", error))?;
        warn_if_network(path);
        Ok(Self { file, lock })
    }

    /// Opens the connection of the writer: creates, checks or migrates the file, and increments the generation.
    pub(super) fn writer(&self) -> Result<(Connection, Opened)> {
        // A file of another program must not be changed, not even its journal mode.
        if std::fs::metadata(&self.file).is_ok_and(|file| file.len() > 0) {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&self.file, flags);
            self.format(&connection.map_err(|error| failed(&error))?)?;
        }
        let connection = self.connect(WRITER_CACHE)?;
        match self.format(&connection)? {
            0 => create(&connection).map_err(|error| failed(&error))?,
            known => migrate(&connection, known).map_err(|error| failed(&error))?,
        }
        self.check_columns(&connection)?;
        let opened = increment_generation(&connection).map_err(|error| failed(&error))?;
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
        let (ours, there) = (ours.map_err(|error| failed(&error))?, columns(connection));
        let there = there.map_err(|error| failed(&error))?;
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

    /// The format of the file; 0 if it is empty.
    fn format(&self, connection: &Connection) -> Result<i32> {
        let pragma =
            |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let not_a_store = |error: rusqlite::Error| {
            unusable(format!("`{}` is not a store: {error}", self.file.display()))
                .with_source(error)
        };
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
                    self.file.display()
                );
                Err(unusable(message))
            }
            _ => {
                let message = format!("`{}` belongs to another program", self.file.display());
                Err(unusable(message))
            }
        }
    }

    /// Opens the connection of a reader.
    pub(super) fn reader(&self) -> Result<Connection> {
        self.connect(READER_CACHE)
    }

    fn connect(&self, cache: i32) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags);
        let connection = connection.map_err(|error| failed(&error))?;
        let set = || -> rusqlite::Result<()> {
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // With NORMAL a commit is not synced, and a power loss could undo an acknowledged commit.
            connection.pragma_update(None, "synchronous", "FULL")?;
            // A checkpoint within a commit would delay its callers: the checkpointer thread runs them.
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            connection.pragma_update(None, "cache_size", cache)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.set_prepared_statement_cache_capacity(64);
            Ok(())
        };
        set().map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => {
                unusable(format!("`{}` is not a store", self.file.display())).with_source(error)
            }
            _ => failed(&error),
        })?;
        Ok(connection)
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
         INSERT INTO meta (key, value) VALUES ('generation', 0), ('clean', 1);
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
    ))
}

fn increment_generation(connection: &Connection) -> rusqlite::Result<Opened> {
    let value = |key: &str| {
        let statement = "SELECT value FROM meta WHERE key = ?1";
        connection.query_row(statement, [key], |row| row.get::<_, i64>(0))
    };
    let generation = u32::try_from(value("generation")? + 1).unwrap_or(u32::MAX);
    let recovers = match value("clean")? {
        0 => {
            format!("INSERT OR REPLACE INTO meta (key, value) VALUES ('recovering', {generation});")
        }
        _ => String::new(),
    };
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {recovers}
         UPDATE meta SET value = {generation} WHERE key = 'generation';
         UPDATE meta SET value = 0 WHERE key = 'clean'; COMMIT;"
    ))?;
    let recovering = value("recovering").optional()?;
    Ok(Opened {
        generation,
        recovering: recovering.and_then(|generation| u32::try_from(generation).ok()),
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

/// Warns of network file systems: SQLite's locks and syncs are not reliable there.
fn warn_if_network(path: &Path) {
    #[cfg(target_os = "linux")]
    if let Ok(found) = rustix::fs::statfs(path)
        && let Some(kind) = network_file_system(found.f_type)
    {
        tracing::warn!(
            directory = %path.display(),
            kind,
            "the store is on a network file system: accepted invocations may be lost if the connection breaks"
        );
    }
}

/// The network file system with this magic number, see statfs(2); `None` if it is local, or may be.
#[cfg(target_os = "linux")]
fn network_file_system(magic: i64) -> Option<&'static str> {
    // An unsigned number of 32 bits in the kernel; some architectures sign-extend it.
    Some(match magic & 0xffff_ffff {
        0x6969 => "NFS",
        0x517b | 0xfe53_4d42 => "SMB",
        0xff53_4d42 => "CIFS",
        0x00c3_6400 => "Ceph",
        0x0102_1997 => "9p",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x0bd0_0bd0 => "Lustre",
        _ => return None,
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::network_file_system;

    #[test]
    fn network_file_systems_are_recognized() {
        const EXT4: i64 = 0xef53;
        const TMPFS: i64 = 0x0102_1994;
        assert_eq!(network_file_system(0x6969), Some("NFS"));
        assert_eq!(
            network_file_system(0xff53_4d42_u32.cast_signed().into()),
            Some("CIFS")
        );
        assert_eq!(
            [network_file_system(EXT4), network_file_system(TMPFS)],
            [None, None]
        );
    }
}
