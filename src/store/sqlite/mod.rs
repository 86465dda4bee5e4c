//! The embedded store: SQLite in a directory of the node's own. What is accepted is on disk.
//!
//! ```text
//!  callers ──▶ channel ──▶ writer thread ──▶ WAL, synced ──▶ answers
//!                                              │
//!  callers ──▶ channel ──▶ reader threads ─────┤
//!                          checkpoint thread ──┴──▶ cidery.db
//! ```
//!
//! One thread writes and commits what it finds waiting together: the sync that makes one caller's invocation durable
//! makes all of them so. `schema.sql` says what is kept, `docs/store.md` what is promised.

mod blob;
mod bookkeeping;
mod groups;
mod list;
mod migrate;
mod open;
mod queue;
mod reader;
mod rows;
mod threads;
mod work;
mod writer;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use self::bookkeeping::Bookkeeping;
use self::open::Directory;
use self::reader::Due;
use self::rows::{Change, New, NewGroup};
use self::threads::{Query, ask, busy, checkpoint, closed, read, spawn};
use self::writer::{Job, Writer};
use crate::engine::store::{
    Acceptance, Claim, Filter, Page, Record, Store, Stored, StoredDeclaration,
};
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;
use crate::service::BoxFuture;

/// How much the store holds unless told otherwise: 64 GiB.
const DEFAULT_BYTES: u64 = 64 << 30;
/// How much of the disk is left free unless told otherwise: 64 MiB.
const DEFAULT_FREE: u64 = 64 << 20;
/// How many writes wait for the writer, at most; as many again wait for their turn.
const QUEUE: usize = 32_768;
/// How many bytes of new invocations wait for the writer, at most: 256 MiB.
const QUEUED_BYTES: u64 = 256 << 20;
/// How many threads read for callers; one more reads for lanes.
const READERS: usize = 2;
/// How many reads wait, at most.
const READS: usize = 65_536;

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub struct SqliteOptions {
    /// How many bytes it holds, at most. New work is refused while seven eighths are full. Default: 64 GiB.
    pub bytes_limit: u64,
    /// How much of the disk is left free. Default: 64 MiB.
    pub free_kept: u64,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            bytes_limit: DEFAULT_BYTES,
            free_kept: DEFAULT_FREE,
        }
    }
}

/// Keeps invocations in a directory.
#[derive(Debug)]
pub struct SqliteStore {
    shared: Arc<Shared>,
    generation: u32,
    /// What was last written before this generation may have been running when a node ended.
    recovering: Option<u32>,
    jobs: SyncSender<Job>,
    queries: SyncSender<Query>,
    /// For lanes, which must not wait behind somebody's long list.
    claims: SyncSender<Query>,
    threads: Vec<thread::JoinHandle<()>>,
    /// Held while something is claimed: one claim after another.
    order: tokio::sync::Mutex<()>,
    /// Last, so that the lock is held until all else has gone.
    _directory: Directory,
}

/// What the threads share.
#[derive(Debug, Default)]
struct Shared {
    bookkeeping: Bookkeeping,
    /// Why nothing is written any more.
    broken: Mutex<Option<Error>>,
    checkpoint: Mutex<Option<Sender<()>>>,
    /// How many bytes wait for the writer.
    queued: AtomicU64,
}

impl Shared {
    fn broken(&self) -> Option<Error> {
        self.broken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What was written may or may not be on disk, and a sync that is tried again can succeed without having done
    /// anything: nothing is written any more.
    fn break_with(&self, error: &rusqlite::Error) -> Error {
        tracing::error!(%error, "the store cannot be written any more: the disk failed");
        let message = format!("the disk failed, and nothing is accepted any more: {error}");
        let error = Error::unavailable(reason::STORE_FAILED, message);
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        error
    }

    fn wake_checkpointer(&self) {
        let bell = self
            .checkpoint
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = &*bell {
            let _ = bell.send(());
        }
    }
}

/// `UNAVAILABLE` / `STORE_FAILED`, or `STORE_FULL` where that is what SQLite says.
fn failed(error: &rusqlite::Error) -> Error {
    let message = format!("the store failed: {error}");
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::resource_exhausted(reason::STORE_FULL, message),
        _ => Error::unavailable(reason::STORE_FAILED, message),
    }
}

/// Whether it is the disk that failed.
fn is_broken(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

impl SqliteStore {
    /// Opens the store in a directory, which is made where there is none.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `STORE_UNUSABLE`: another process uses it, it is another program's, or of a newer
    /// version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, SqliteOptions::default())
    }

    /// Opens the store in a directory with limits of its own.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self> {
        let path = path.as_ref();
        let directory = Directory::lock(path)?;
        let (mut connection, opened) = directory.writer()?;
        let log_pages = writer::count_log_pages(&mut connection)?;
        let shared = Arc::new(Shared::default());
        let mut services = HashMap::new();
        for (name, id, open) in reader::open(&connection)? {
            let open = usize::try_from(open).unwrap_or_default();
            shared.bookkeeping.lock().ledger.add_pending(&name, open);
            services.insert(name, id);
        }
        for (name, count) in reader::awaited(&connection)? {
            let ledger = &mut shared.bookkeeping.lock().ledger;
            ledger.add_awaiting_completion(&name, count);
        }
        let (jobs, waiting) = sync_channel(QUEUE);
        let writer = Writer {
            connection,
            shared: Arc::clone(&shared),
            directory: PathBuf::from(path),
            log_pages,
            log_limit: writer::LOG_PAGES,
            generation: opened.generation,
            bytes_limit: options.bytes_limit,
            free_kept: options.free_kept,
            services,
            syncing: Duration::ZERO,
        };
        let mut threads = vec![spawn("store-writer", move || writer.run(&waiting))?];
        let mut readers = |count: usize| -> Result<SyncSender<Query>> {
            let (queries, waiting) = sync_channel(READS);
            let waiting = Arc::new(Mutex::new(waiting));
            for _ in 0..count {
                let (connection, waiting) = (directory.reader()?, Arc::clone(&waiting));
                threads.push(spawn("store-reader", move || read(&connection, &waiting))?);
            }
            Ok(queries)
        };
        let (queries, claims) = (readers(READERS)?, readers(1)?);
        let (bell, rings) = channel();
        *shared
            .checkpoint
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(bell);
        let (connection, of_checkpoints) = (directory.reader()?, Arc::clone(&shared));
        threads.push(spawn("store-checkpoint", move || {
            checkpoint(&connection, &rings, &of_checkpoints)
        })?);
        Ok(Self {
            shared,
            generation: opened.generation,
            recovering: opened.recovering,
            jobs,
            queries,
            claims,
            threads,
            order: tokio::sync::Mutex::new(()),
            _directory: directory,
        })
    }

    async fn write<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T>>) -> Job) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job = job(answer);
        let bytes = job.bytes();
        let queued = self.shared.queued.fetch_add(bytes, Ordering::Relaxed);
        // What ends something is taken all the same: it makes room.
        let sent = match job.is_new_work() && queued.saturating_add(bytes) > QUEUED_BYTES {
            true => Err(TrySendError::Full(job)),
            false => self.jobs.try_send(job),
        };
        if sent.is_err() {
            self.shared.queued.fetch_sub(bytes, Ordering::Relaxed);
        }
        match sent {
            Ok(()) => answered.await.unwrap_or_else(|_| Err(closed())),
            Err(TrySendError::Full(_)) => Err(busy("writes")),
            Err(TrySendError::Disconnected(_)) => Err(closed()),
        }
    }

    /// What is due of a service and not claimed. What cannot be read nobody can run: it is out of the way until the
    /// store is opened again.
    async fn due(&self, service: &ServiceName, now: i64, max: usize) -> Result<Due> {
        let (name, recovering) = (service.clone(), self.recovering);
        let claims = self
            .shared
            .bookkeeping
            .lock()
            .ledger
            .claims(service)
            .cloned();
        let claims = claims.unwrap_or_default();
        let found = ask(&self.claims, move |connection| {
            reader::due(connection, &name, now, max, &claims, recovering)
        });
        let found = found.await?;
        let mut entries = self.shared.bookkeeping.lock();
        for cid in &found.damaged {
            entries.ledger.quarantine(service, *cid);
        }
        drop(entries);
        Ok(found)
    }

    async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        ask(&self.queries, query).await
    }
}

impl Drop for SqliteStore {
    /// Closes in order: everything that was asked for is written first.
    fn drop(&mut self) {
        let (answer, _) = oneshot::channel();
        let _ = self.jobs.send(Job::Close(answer));
        let (nobody, _) = sync_channel(0);
        self.queries = nobody.clone();
        self.claims = nobody;
        *self
            .shared
            .checkpoint
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Store for SqliteStore {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn generation(&self) -> u32 {
        self.generation
    }

    fn accept(&self, invocation: Invocation) -> BoxFuture<'_, Result<Acceptance>> {
        Box::pin(async move {
            let new = New::of(&invocation)?;
            self.write(|answer| Job::Accept(new, answer)).await
        })
    }

    fn accept_group(
        &self,
        group: Invocation,
        members: Vec<Invocation>,
    ) -> BoxFuture<'_, Result<Acceptance>> {
        Box::pin(async move {
            let new = Box::new(NewGroup::of(&group, &members)?);
            self.write(|answer| Job::AcceptGroup(new, answer)).await
        })
    }

    fn members(&self, group: Cid) -> BoxFuture<'_, Result<Vec<(u32, Cid)>>> {
        Box::pin(self.query(move |connection| groups::members(connection, group)))
    }

    fn claim<'a>(
        &'a self,
        service: &'a ServiceName,
        now: Timestamp,
        max: usize,
    ) -> BoxFuture<'a, Result<Claim>> {
        Box::pin(async move {
            if let Some(error) = self.shared.broken() {
                return Err(error);
            }
            let _order = self.order.lock().await;
            let _claiming = self.shared.bookkeeping.begin_claim();
            let now = blob::nanos(now);
            let Due {
                mut invocations,
                next,
                ..
            } = loop {
                let found = self.due(service, now, max).await?;
                // Behind those that cannot be read there may be others.
                if found.damaged.is_empty() || !found.invocations.is_empty() {
                    break found;
                }
            };
            let mut entries = self.shared.bookkeeping.lock();
            invocations.retain(|found| !entries.has_unclaimed_record(found.request.cid));
            for invocation in &invocations {
                let request = &invocation.request;
                let key = request.terms.concurrency_key.clone();
                entries.ledger.claim(service, request.cid, key);
            }
            drop(entries);
            let next_due = next
                .filter(|_| invocations.len() < max)
                .map(blob::timestamp);
            Ok(Claim {
                invocations,
                next_due,
            })
        })
    }

    fn record_attempts(&self, cids: Vec<Cid>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(|answer| Job::Begin(cids, answer)))
    }

    fn record(&self, record: Record) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let (cid, expected_attempts) = (record.cid, record.expected_attempts);
            let change = Change::of(record)?;
            let _ending = match expected_attempts
                .map(|_| self.shared.bookkeeping.begin_unclaimed_record(cid))
            {
                Some(None) => return Ok(false),
                ending => ending.flatten(),
            };
            self.write(|answer| Job::Record(change, answer)).await
        })
    }

    fn request_cancel(&self, cid: Cid) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.write(move |answer| Job::Cancel(cid, answer)))
    }

    fn find_by_idempotency_key(
        &self,
        service: ServiceName,
        key: String,
    ) -> BoxFuture<'_, Result<Option<Cid>>> {
        Box::pin(self.query(move |connection| reader::with_key(connection, &service, &key)))
    }

    fn expired(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<Vec<Invocation>>> {
        let now = blob::nanos(now);
        Box::pin(async move {
            let claimed = self.shared.bookkeeping.lock().ledger.claim_count();
            let read = move |connection: &Connection| {
                reader::overdue(connection, now, max.saturating_add(claimed))
            };
            let mut overdue = self.query(read).await?;
            let entries = self.shared.bookkeeping.lock();
            overdue.retain(|found| !entries.ledger.is_claimed(found.request.cid));
            overdue.truncate(max);
            Ok(overdue)
        })
    }

    fn list(&self, filter: Filter, before: Option<u64>, max: usize) -> BoxFuture<'_, Result<Page>> {
        Box::pin(async move {
            let list = move |connection: &Connection| list::list(connection, &filter, before, max);
            let mut page = self.query(list).await?;
            let entries = self.shared.bookkeeping.lock();
            for invocation in &mut page.invocations {
                let is_head = !invocation.key_busy;
                entries.ledger.set_key_busy(invocation, is_head);
            }
            Ok(page)
        })
    }

    fn get(&self, cid: Cid) -> BoxFuture<'_, Result<Stored>> {
        Box::pin(async move {
            let mut stored = self
                .query(move |connection| reader::get(connection, cid))
                .await?;
            if let Stored::Found(invocation) = &mut stored {
                let is_head = !invocation.key_busy;
                let entries = self.shared.bookkeeping.lock();
                entries.ledger.set_key_busy(invocation, is_head);
            }
            Ok(stored)
        })
    }

    fn pending_count(&self, service: &ServiceName) -> usize {
        let entries = self.shared.bookkeeping.lock();
        entries.ledger.pending_count(service)
    }

    fn awaiting_completion_count(&self, service: &ServiceName) -> usize {
        let entries = self.shared.bookkeeping.lock();
        entries.ledger.awaiting_completion_count(service)
    }

    fn total_pending_count(&self) -> usize {
        self.shared.bookkeeping.lock().ledger.total_pending_count()
    }

    fn services_with_pending(&self) -> BoxFuture<'_, Result<Vec<ServiceName>>> {
        let services = self
            .shared
            .bookkeeping
            .lock()
            .ledger
            .services_with_pending();
        Box::pin(std::future::ready(Ok(services)))
    }

    fn purge(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<usize>> {
        let now = blob::nanos(now);
        Box::pin(self.write(move |answer| Job::Purge(now, max, answer)))
    }

    fn remove(&self, cid: Cid) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.write(move |answer| Job::Remove(cid, answer)))
    }

    fn remember_declaration(&self, announced: StoredDeclaration) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(move |answer| Job::Announce(announced, answer)))
    }

    fn declarations(&self) -> BoxFuture<'_, Result<Vec<StoredDeclaration>>> {
        Box::pin(self.query(reader::announced))
    }

    fn forget_declarations(&self, service: ServiceName) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(move |answer| Job::Forget(service, answer)))
    }

    fn health(&self) -> Result<()> {
        self.shared.broken().map_or(Ok(()), Err)
    }
}
