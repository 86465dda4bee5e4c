//! Writes one copy: page by page from one snapshot, at a pace that leaves the disk to the commits.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::backup::{Backup as PageCopy, StepResult};
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};

use super::folder::{BackupFolder, Partial, disk_failed};
use super::progress::{Progress, Stop, ended};
use super::verify::verify;
use crate::engine::backup::{Backup, BackupName};
use crate::model::error::{Error, Result, reason};
use crate::store::sqlite::error::{failed, writes_stopped};
use crate::store::sqlite::open::mark_as_copy;
use crate::store::sqlite::read_only::wal_bytes;
use crate::store::sqlite::shared::StoreShared;

/// How many pages are copied at once: 1 MiB.
const STEP_PAGES: i32 = 256;
/// How long the disk is left to others after each step: at most 200 MiB a second are copied.
const PAUSE: Duration = Duration::from_millis(5);
/// How many steps are synced at once: 8 MiB. A commit that syncs the log may have to wait for them.
const SYNCED_STEPS: u32 = 8;
/// How much longer the log may become meanwhile before the copy makes no pauses any more: 256 MiB. The log cannot be
/// restarted while a snapshot is read.
const PACED_WAL_BYTES: u64 = 256 << 20;
/// How much room the log gets beside the copy: 64 MiB.
const WAL_ROOM: u64 = 64 << 20;
/// How many steps in a row may find the copy locked. Nothing else uses its file.
const MAX_LOCKED_STEPS: u32 = 1_000;
/// How much is hashed between two looks whether the copy is to be ended: 1 MiB.
const HASHED_BYTES: usize = 1 << 20;

/// How much of the work is done after the pages are copied, and after they are verified.
const COPIED: f64 = 0.6;
const VERIFIED: f64 = 0.9;

/// What the thread that writes copies has.
pub(super) struct Copier {
    pub(super) folder: BackupFolder,
    /// The database.
    pub(super) store: PathBuf,
    /// How many bytes of the disk stay free.
    pub(super) min_free_bytes: u64,
    pub(super) shared: Arc<StoreShared>,
    pub(super) progress: Arc<Progress>,
}

/// One commit of the store, until it is dropped: later commits do not change what is read.
pub(super) struct Snapshot<'c> {
    connection: &'c Connection,
    pub(super) generation: i64,
    pub(super) bytes: u64,
}

impl<'c> Snapshot<'c> {
    fn begin(connection: &'c Connection) -> rusqlite::Result<Self> {
        connection.execute_batch("BEGIN")?;
        let mut snapshot = Self {
            connection,
            generation: 0,
            bytes: 0,
        };
        // The first read begins it.
        let select = "SELECT value FROM meta WHERE key = 'generation'";
        snapshot.generation = connection.query_row(select, [], |row| row.get(0))?;
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let bytes = pragma("page_count")?.saturating_mul(pragma("page_size")?);
        snapshot.bytes = u64::try_from(bytes).unwrap_or_default();
        Ok(snapshot)
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // Nothing was written.
        let _ = self.connection.execute_batch("ROLLBACK");
    }
}

impl Copier {
    /// Writes a copy. What there is of one that fails, or is ended, is removed.
    pub(super) fn write(
        &self,
        source: &Connection,
        name: &BackupName,
        create_time: Timestamp,
        stop: &Arc<Stop>,
    ) -> Result<Backup> {
        if let Some(error) = self.shared.write_failure() {
            return Err(error);
        }
        let partial = self.folder.create(name)?;
        let snapshot = Snapshot::begin(source).map_err(failed)?;
        self.check_room(snapshot.bytes)?;
        self.copy(&snapshot, &partial, stop)?;
        let (generation, bytes) = (snapshot.generation, snapshot.bytes);
        // From here on the log can be restarted.
        drop(snapshot);
        finish(&partial.path).map_err(failed)?;
        let sync = |error| disk_failed("cannot sync the copy", error);
        partial.file.sync_all().map_err(sync)?;
        let shown = |done: f64| {
            let fraction = COPIED + (VERIFIED - COPIED) * done;
            self.progress.set(bytes, fraction);
        };
        let invocations = verify(&partial.path, generation, bytes, stop, shown)?;
        let (bytes, sha256) = self.hash(&partial, stop)?;
        if stop.is_stopped() {
            return Err(ended());
        }
        let backup = Backup {
            name: name.clone(),
            path: self.folder.path_of(name),
            bytes,
            create_time,
            sha256,
            invocations,
            fraction: None,
        };
        self.folder.keep(partial, &backup)?;
        tracing::info!(backup = %name, bytes, invocations, "the store is copied");
        Ok(backup)
    }

    /// Copies all pages of the snapshot.
    ///
    /// SQLite begins again when another connection writes between two steps, unless the steps are in one transaction:
    /// they are, and so the copy ends however much is written.
    fn copy(&self, snapshot: &Snapshot<'_>, partial: &Partial, stop: &Stop) -> Result<()> {
        let mut target = connect(&partial.path).map_err(failed)?;
        let copy = PageCopy::new(snapshot.connection, &mut target).map_err(failed)?;
        let wal_limit = self.wal_bytes().saturating_add(PACED_WAL_BYTES);
        let (mut steps, mut locked) = (0_u32, 0_u32);
        loop {
            match copy.step(STEP_PAGES).map_err(failed)? {
                StepResult::Done => return Ok(()),
                StepResult::More => locked = 0,
                _ if locked < MAX_LOCKED_STEPS => locked += 1,
                _ => return Err(writes_stopped().with_message("the file of the copy is locked")),
            }
            steps += 1;
            let (all, left) = (copy.progress().pagecount, copy.progress().remaining);
            let done = 1.0 - f64::from(left) / f64::from(all.max(1));
            self.progress.set(snapshot.bytes, COPIED * done);
            if steps.is_multiple_of(SYNCED_STEPS) {
                let sync = |error| disk_failed("cannot sync the copy", error);
                partial.file.sync_data().map_err(sync)?;
                let page_bytes = snapshot.bytes / u64::from(all.max(1).cast_unsigned());
                self.check_room(u64::from(left.max(0).cast_unsigned()) * page_bytes)?;
            }
            let pause = match self.wal_bytes() > wal_limit {
                true => Duration::ZERO,
                false => PAUSE,
            };
            if stop.pause(pause) {
                return Err(ended());
            }
        }
    }

    /// Checks that the disk has room for so many bytes of the copy, and for the log.
    fn check_room(&self, bytes: u64) -> Result<()> {
        let (free, min_free) = (self.folder.free_bytes(), self.min_free_bytes);
        if free >= bytes.saturating_add(min_free).saturating_add(WAL_ROOM) {
            return Ok(());
        }
        let message = format!(
            "the copy needs {bytes} bytes more, and {} bytes of the disk must stay free: {free} are free; remove \
             files, or make `backups` in the data directory a link to a folder on a larger disk",
            min_free.saturating_add(WAL_ROOM)
        );
        Err(Error::resource_exhausted(reason::STORE_FULL, message)
            .with_retryable(false)
            .with_info("needed_bytes", bytes)
            .with_info("free_bytes", free)
            .with_info("keep_free_bytes", min_free))
    }

    fn wal_bytes(&self) -> u64 {
        wal_bytes(&self.store).unwrap_or_default()
    }

    /// The size and the SHA-256 of a copy, as it is read back.
    fn hash(&self, partial: &Partial, stop: &Stop) -> Result<(u64, String)> {
        let failed = |error| disk_failed("cannot read the copy", error);
        let mut file = std::fs::File::open(&partial.path).map_err(failed)?;
        let all = file.metadata().map_err(failed)?.len();
        let (mut hash, mut part) = (Sha256::new(), vec![0; HASHED_BYTES]);
        let mut bytes = 0;
        loop {
            let read = file.read(&mut part).map_err(failed)?;
            let Some(read) = part.get(..read).filter(|read| !read.is_empty()) else {
                return Ok((bytes, hex(&hash.finalize())));
            };
            hash.update(read);
            bytes += read.len() as u64;
            let done = bytes as f64 / all.max(1) as f64;
            self.progress.set(all, VERIFIED + (1.0 - VERIFIED) * done);
            if stop.is_stopped() {
                return Err(ended());
            }
        }
    }
}

/// Connects to the file of a copy, which is empty. It is synced as a whole, and worth nothing before that.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let target = Connection::open_with_flags(path, flags)?;
    target.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    target.pragma_update(None, "journal_mode", "OFF")?;
    target.pragma_update(None, "synchronous", "OFF")?;
    Ok(target)
}

/// Makes a file of its own of the pages: it has no log, and says that it is a copy.
fn finish(path: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(path, flags)?;
    copy.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    mark_as_copy(&copy)?;
    copy.close().map_err(|(_, error)| error)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
