//! Opening a store directory: the lock, the file, its format.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::error::failed;
use super::migrate::{FORMAT, is_known, migrate};
use crate::model::error::{Error, Result, reason};

/// `CIDR`: marks the file as ours (`application_id`).
const APPLICATION: i32 = 0x4349_4452;
/// How long one connection waits for another.
pub(super) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
pub(super) const SCHEMA: &str = include_str!("schema.sql");
/// 64 MiB for the writer, 8 MiB for each reader, in KiB as SQLite wants it.
const WRITER_CACHE: i32 = -65_536;
const READER_CACHE: i32 = -8_192;

/// An open directory.
#[derive(Debug)]
pub(super) struct Directory {
    /// The database.
    pub(super) file: PathBuf,
    /// Held as long as the store is open: a second process finds it taken.
    lock: File,
}

/// What was found at opening.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    /// How often the store was opened, this time included.
    pub(super) generation: u32,
    /// The generation of the last opening after an end that was not in order: what was written before that, and not
    /// since, may have been running when the node ended.
    pub(super) recovering: Option<u32>,
}

/// `FAILED_PRECONDITION` / `STORE_UNUSABLE`.
fn unusable(message: String) -> Error {
    Error::failed_precondition(reason::STORE_UNUSABLE, message)
}

/// Said to all who share the lock: a process that is just being started holds it as well, until it runs its program.
impl Drop for Directory {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl Directory {
    /// Makes the directory where there is none, and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self> {
        let cannot = |what: &str, error: std::io::Error| {
            let message = format!("cannot {what} `{}`: {error}", path.display());
            unusable(message).with_source(error)
        };
        // For its owner alone: inputs and outcomes are in it.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| cannot("make the directory", error))?;
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
                warn_of_network(path);
                cannot("lock", error)
            }
        })?;
        let file = path.join("cidery.db");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        options
            .open(&file)
            .map_err(|error| cannot("write to", error))?;
        warn_of_network(path);
        Ok(Self { file, lock })
    }

    /// The connection of the writer: makes or checks the format, and counts the opening.
    pub(super) fn writer(&self) -> Result<(Connection, Opened)> {
        // What is not ours is not touched: not even its journal mode.
        if std::fs::metadata(&self.file).is_ok_and(|file| file.len() > 0) {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let looks = Connection::open_with_flags(&self.file, flags);
            self.format(&looks.map_err(|error| failed(&error))?)?;
        }
        let connection = self.connect(WRITER_CACHE)?;
        match self.format(&connection)? {
            0 => create(&connection).map_err(|error| failed(&error))?,
            known => migrate(&connection, known).map_err(|error| failed(&error))?,
        }
        self.check_shape(&connection)?;
        let opened = begin(&connection).map_err(|error| failed(&error))?;
        sync_directory(&self.file).map_err(|error| {
            let message = format!(
                "cannot sync the directory of `{}`: {error}",
                self.file.display()
            );
            unusable(message).with_source(error)
        })?;
        Ok((connection, opened))
    }

    /// Whether a file has all that this version writes: one that only says so would fail at the first write.
    fn check_shape(&self, connection: &Connection) -> Result<()> {
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
            "`{}` says that it has format {FORMAT}, but has no {}: a version that was not released wrote it",
            self.file.display(),
            missing.join(", ")
        );
        Err(unusable(message))
    }

    /// The format of a file that is ours; 0 where there is nothing in it yet.
    fn format(&self, connection: &Connection) -> Result<i32> {
        let pragma =
            |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let not_ours = |error: rusqlite::Error| {
            unusable(format!("`{}` is not a store: {error}", self.file.display()))
                .with_source(error)
        };
        let (application, format) = (pragma("application_id"), pragma("user_version"));
        let (application, format) = (application.map_err(not_ours)?, format.map_err(not_ours)?);
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(not_ours)?;
        match (application, format) {
            (0, 0) if tables == 0 => Ok(0),
            (APPLICATION, known) if is_known(known) => Ok(known),
            (APPLICATION, newer) => {
                let message = format!(
                    "`{}` has format {newer}, this version reads formats up to {FORMAT}: use the version that wrote it",
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

    /// A connection that reads.
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
            // At NORMAL a commit is not synced: what was answered could be lost.
            connection.pragma_update(None, "synchronous", "FULL")?;
            // A checkpoint inside of a commit would make its callers wait: there is a thread for it.
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

/// The columns of all tables.
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
         PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT;"
    ))
}

fn begin(connection: &Connection) -> rusqlite::Result<Opened> {
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

/// The directory's own entries must outlast a power loss as well, and its entry in the one above.
fn sync_directory(file: &Path) -> std::io::Result<()> {
    for directory in file.ancestors().skip(1).take(2) {
        let is_here = directory.as_os_str().is_empty();
        let directory = if is_here { Path::new(".") } else { directory };
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// SQLite's locks and syncs are not to be trusted over a network.
fn warn_of_network(path: &Path) {
    #[cfg(target_os = "linux")]
    if let Ok(found) = rustix::fs::statfs(path)
        && let Some(kind) = network(found.f_type)
    {
        tracing::warn!(
            directory = %path.display(),
            kind,
            "the store is on a network file system: what is accepted may be lost with the connection"
        );
    }
}

/// The network file system that has this magic number (statfs(2)); `None` for what is local, or may be.
#[cfg(target_os = "linux")]
fn network(magic: i64) -> Option<&'static str> {
    // The kernel knows it as an unsigned number of 32 bits, some machines as a signed one.
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
    use super::network;

    #[test]
    fn network_file_systems_are_told_from_others() {
        const EXT4: i64 = 0xef53;
        const TMPFS: i64 = 0x0102_1994;
        assert_eq!(network(0x6969), Some("NFS"));
        assert_eq!(network(0xff53_4d42_u32.cast_signed().into()), Some("CIFS"));
        assert_eq!([network(EXT4), network(TMPFS)], [None, None]);
    }
}
