//! Writes one copy: page by page from one snapshot, at a pace that leaves the disk to the commits.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup as PageCopy, StepResult};
use sha2::{Digest as _, Sha256};

use super::folder::{BackupFolder, Partial, disk_failed};
use super::progress::{Progress, Stop, ended};
use super::room::check_room;
use super::verify::verify;
use crate::engine::backup::{Backup, BackupPhase, NewBackup};
use crate::model::error::Result;
use crate::store::sqlite::copy_file::{connect_to_copy, finish_copy};
use crate::store::sqlite::error::{failed, writes_stopped};
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
/// How many steps in a row may find the copy locked. Nothing else uses its file.
const MAX_LOCKED_STEPS: u32 = 1_000;
/// How much is hashed between two looks whether the copy is to be ended: 1 MiB.
const HASHED_BYTES: usize = 1 << 20;

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
        new: &NewBackup,
        stop: &Arc<Stop>,
    ) -> Result<Backup> {
        if let Some(error) = self.shared.write_failure() {
            return Err(error);
        }
        let name = &new.name;
        let partial = self.folder.create(name)?;
        let snapshot = Snapshot::begin(source).map_err(failed)?;
        self.check_room(snapshot.bytes)?;
        self.copy(&snapshot, &partial, stop)?;
        let (generation, bytes) = (snapshot.generation, snapshot.bytes);
        // From here on the log can be restarted.
        drop(snapshot);
        finish_copy(&partial.path).map_err(failed)?;
        let sync = |error| disk_failed("cannot sync the copy", error);
        partial.file.sync_all().map_err(sync)?;
        let progress = Arc::clone(&self.progress);
        let shown = move |done| progress.set(bytes, BackupPhase::Verifying, done);
        let invocations = verify(&partial.path, generation, bytes, stop, shown)?;
        let (bytes, sha256) = self.hash(&partial, stop)?;
        if stop.is_stopped() {
            return Err(ended());
        }
        let backup = Backup {
            name: name.clone(),
            path: self.folder.path_of(name),
            bytes,
            create_time: new.create_time,
            sha256,
            invocations,
            is_temporary: new.is_temporary,
            progress: None,
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
        let mut target = connect_to_copy(&partial.path).map_err(failed)?;
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
            self.progress
                .set(snapshot.bytes, BackupPhase::Copying, done);
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

    /// Checks that there is room for so many bytes of the copy more.
    fn check_room(&self, bytes: u64) -> Result<()> {
        let (copies, store) = self.folder.disks();
        check_room(bytes, copies, store, self.min_free_bytes)
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
            self.progress.set(all, BackupPhase::Hashing, done);
            if stop.is_stopped() {
                return Err(ended());
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
