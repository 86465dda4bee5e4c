//! Copies of the store, written while it is used.
//!
//! ```text
//!  caller ──▶ SqliteBackups ──▶ backup thread ──▶ backups/.NAME.partial, synced, read again ──▶ backups/NAME
//!                  └─▶ reader threads: lists, reads, removals
//! ```

mod copier;
mod folder;
mod progress;
mod room;
mod temporary;
mod verify;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::oneshot;

use self::copier::Copier;
use self::folder::BackupFolder;
use self::progress::{Progress, Stop, Writing};
use self::temporary::Temporary;
use super::directory::StoreDirectory;
use super::error::{closed, failed};
use super::reader::Readers;
use super::shared::StoreShared;
use super::threads::Threads;
use crate::engine::backup::{Backup, BackupName, Backups, NewBackup};
use crate::model::error::{Error, Result, reason};
use crate::service::BoxFuture;

/// The page cache of the connection that is copied from: 256 KiB, in KiB. Each page is read once.
const CACHE_SIZE: i32 = -256;

/// A copy to be written.
struct Job {
    backup: NewBackup,
    writing: Writing,
    caller: oneshot::Sender<Result<Backup>>,
}

/// The copies of a store.
#[derive(Debug)]
pub(super) struct SqliteBackups {
    folder: BackupFolder,
    readers: Readers,
    progress: Arc<Progress>,
    temporary: Arc<Temporary>,
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
        let (progress, temporary) = (Arc::<Progress>::default(), Arc::<Temporary>::default());
        // One copy at a time.
        let (jobs, queue) = sync_channel(1);
        let copier = Copier {
            folder: folder.clone(),
            store: directory.file.clone(),
            min_free_bytes,
            shared: Arc::clone(shared),
            progress: Arc::clone(&progress),
        };
        let (of_thread, written) = (Arc::clone(shared), Arc::clone(&temporary));
        threads.spawn("store-backup", move || {
            run(&connection, &queue, &copier, &written);
            of_thread.before_close(&connection);
            connection
        })?;
        Ok(Self {
            folder,
            readers,
            progress,
            temporary,
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

    async fn write(&self, backup: NewBackup) -> Result<Backup> {
        let writing = self.progress.begin(&backup)?;
        let _stop_on_drop = StopOnDrop(Arc::clone(&writing.stop));
        let (caller, reply) = oneshot::channel();
        let job = Job {
            backup,
            writing,
            caller,
        };
        self.jobs.try_send(job).map_err(|_| closed())?;
        reply.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn delete(&self, name: BackupName) -> Result<()> {
        let ended = self.progress.stop(&name);
        let was_running = ended.is_some();
        if let Some(ended) = ended {
            // It may have been too late to end it: then it has its name now.
            ended.cancelled().await;
        }
        self.temporary.forget(&name);
        let removed = self.on_disk(move |folder| folder.remove(&name)).await;
        match removed {
            Err(error) if was_running && error.reason() == reason::BACKUP_UNKNOWN => Ok(()),
            removed => removed,
        }
    }

    async fn remove_unread(&self, now: Timestamp) -> Result<()> {
        for name in self.temporary.unread(now) {
            tracing::info!(backup = %name, "removing a copy of the store that was made for a caller who is gone");
            match self.delete(name).await {
                Err(error) if error.reason() != reason::BACKUP_UNKNOWN => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Backups for SqliteBackups {
    fn write(&self, backup: NewBackup) -> BoxFuture<'_, Result<Backup>> {
        Box::pin(self.write(backup))
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
        self.temporary.touch(&name);
        Box::pin(self.on_disk(move |folder| folder.read(&name, offset, max)))
    }

    fn delete(&self, name: BackupName) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.delete(name))
    }

    fn remove_unread(&self, now: Timestamp) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.remove_unread(now))
    }
}

/// Ends a copy whose caller is gone.
struct StopOnDrop(Arc<Stop>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Writes copies until the store closes. A panic fails one copy, and not the next one.
fn run(source: &Connection, jobs: &Receiver<Job>, copier: &Copier, temporary: &Temporary) {
    while let Ok(job) = jobs.recv() {
        let Job {
            backup,
            writing,
            caller,
        } = job;
        let write = AssertUnwindSafe(|| copier.write(source, &backup, &writing.stop));
        let written = catch_unwind(write).unwrap_or_else(|_| {
            let message = "the thread that writes copies panicked: see the log of the node";
            Err(Error::internal(reason::STORE_FAILED, message))
        });
        let name = &backup.name;
        if let Err(error) = &written {
            let cause = std::error::Error::source(error).map(tracing::field::display);
            tracing::warn!(backup = %name, reason = error.reason(), cause, "the store is not copied: {error}");
        }
        if written.is_ok() && backup.is_temporary {
            temporary.add(name.clone());
        }
        drop(writing);
        if let Err(Ok(_)) = caller.send(written) {
            // Its caller left as it was completed.
            temporary.forget(name);
            let _ = copier.folder.remove(name);
        }
    }
}
