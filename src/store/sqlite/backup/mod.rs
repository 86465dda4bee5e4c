//! Copies of the store, written while it is used.
//!
//! ```text
//!  caller ──▶ SqliteBackups ──▶ backup thread ──▶ backups/.NAME.partial, synced, read again ──▶ backups/NAME
//!                  └─▶ reader threads: lists, reads, removals
//! ```

mod copier;
mod folder;
mod progress;
mod verify;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::oneshot;

use self::copier::Copier;
use self::folder::BackupFolder;
use self::progress::{Progress, Stop};
use super::directory::StoreDirectory;
use super::error::{closed, failed};
use super::reader::Readers;
use super::shared::StoreShared;
use super::threads::Threads;
use crate::engine::backup::{Backup, BackupName, Backups};
use crate::model::error::{Result, reason};
use crate::service::BoxFuture;

/// The page cache of the connection that is copied from: 256 KiB, in KiB. Each page is read once.
const CACHE_SIZE: i32 = -256;

/// A copy to be written.
struct Job {
    name: BackupName,
    create_time: Timestamp,
    stop: Arc<Stop>,
    caller: oneshot::Sender<Result<Backup>>,
}

/// The copies of a store.
#[derive(Debug)]
pub(super) struct SqliteBackups {
    folder: BackupFolder,
    readers: Readers,
    progress: Arc<Progress>,
    /// Once it is dropped, the thread ends.
    jobs: SyncSender<Job>,
}

impl SqliteBackups {
    /// Removes what a crash left of a copy, and starts the thread that writes copies.
    pub(super) fn start(
        directory: &StoreDirectory,
        shared: &Arc<StoreShared>,
        readers: Readers,
        min_free_bytes: u64,
        threads: &mut Threads,
    ) -> Result<Self> {
        let folder = BackupFolder::below(directory.path());
        folder.remove_leftovers();
        let connection = directory.reader()?;
        let cached = connection.pragma_update(None, "cache_size", CACHE_SIZE);
        cached.map_err(failed)?;
        let progress = Arc::<Progress>::default();
        // One copy at a time.
        let (jobs, queue) = sync_channel(1);
        let copier = Copier {
            folder: folder.clone(),
            store: directory.file.clone(),
            min_free_bytes,
            shared: Arc::clone(shared),
            progress: Arc::clone(&progress),
        };
        let of_thread = Arc::clone(shared);
        threads.spawn("store-backup", move || {
            run(&connection, &queue, &copier);
            of_thread.before_close(&connection);
        })?;
        Ok(Self {
            folder,
            readers,
            progress,
            jobs,
        })
    }

    /// Runs a function on a thread that may wait for the disk.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&BackupFolder) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = self.folder.clone();
        self.readers.query(move |_| work(&folder)).await
    }

    async fn write(&self, name: BackupName, create_time: Timestamp) -> Result<Backup> {
        let stop = self.progress.begin(&name, create_time)?;
        let _stop_on_drop = StopOnDrop(Arc::clone(&stop));
        let (caller, reply) = oneshot::channel();
        let job = Job {
            name,
            create_time,
            stop,
            caller,
        };
        if self.jobs.try_send(job).is_err() {
            self.progress.end();
            return Err(closed());
        }
        reply.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn delete(&self, name: BackupName) -> Result<()> {
        let was_running = self.progress.stop(&name);
        let removed = self.on_disk(move |folder| folder.remove(&name)).await;
        match removed {
            // The thread removes what there is of it.
            Err(error) if was_running && error.reason() == reason::BACKUP_UNKNOWN => Ok(()),
            removed => removed,
        }
    }
}

impl Backups for SqliteBackups {
    fn write(&self, name: BackupName, now: Timestamp) -> BoxFuture<'_, Result<Backup>> {
        Box::pin(self.write(name, now))
    }

    fn list(&self, max: usize) -> BoxFuture<'_, Result<Vec<Backup>>> {
        Box::pin(async move {
            // First: one that is complete a moment later is then listed once, or twice, and not left out.
            let running = self.progress.running(|name| self.folder.path_of(name));
            let mut backups = self.on_disk(move |folder| folder.list(max)).await?;
            if let Some(running) = running {
                backups.retain(|other| other.name != running.name);
                backups.insert(0, running);
                backups.truncate(max);
            }
            Ok(backups)
        })
    }

    fn read(&self, name: BackupName, offset: u64, max: usize) -> BoxFuture<'_, Result<Bytes>> {
        Box::pin(self.on_disk(move |folder| folder.read(&name, offset, max)))
    }

    fn delete(&self, name: BackupName) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.delete(name))
    }
}

/// Ends a copy whose caller is gone.
struct StopOnDrop(Arc<Stop>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Writes copies until the store closes.
fn run(source: &Connection, jobs: &Receiver<Job>, copier: &Copier) {
    while let Ok(job) = jobs.recv() {
        let Job {
            name,
            create_time,
            stop,
            caller,
        } = job;
        let written = copier.write(source, &name, create_time, &stop);
        if let Err(error) = &written {
            let cause = std::error::Error::source(error).map(tracing::field::display);
            tracing::warn!(backup = %name, reason = error.reason(), cause, "the store is not copied: {error}");
        }
        copier.progress.end();
        if let Err(Ok(unwanted)) = caller.send(written) {
            // Its caller left as it was completed.
            let _ = copier.folder.remove(&unwanted.name);
        }
    }
}
