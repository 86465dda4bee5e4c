//! The handle of the embedded store: each method of the trait is a command to the writer or a query to the readers.

mod claims;
mod counts;
mod keys;
mod options;
mod reads;

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{TrySendError, sync_channel};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::time::Instant;

use self::counts::load_counts;
pub use self::options::SqliteOptions;
use crate::engine::backup::Backups;
use crate::engine::store::{
    Acceptance, BoundedRead, Child, Claim, ClaimLimit, Filter, OldestDue, Page, PageSize,
    QueuePlace, RecentFailures, Record, Store, StoreMetrics, StoreUsage, Stored, StoredApiKey,
    StoredDeclaration, StoredOperation, SummaryPart,
};
use crate::model::access::Principal;
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;
use crate::model::operation::OperationId;
use crate::model::service_control::ServiceControl;
use crate::service::BoxFuture;
use crate::store::blob;
use crate::store::cipher::BlobCipher;
use crate::store::sqlite::backup::SqliteBackups;
use crate::store::sqlite::checkpointer;
use crate::store::sqlite::commands::{
    Accept, AcceptGroup, Command, ForgetDeclarations, Purge, RecordAttempts, RecordResult,
    RememberDeclarations, Remove, RemoveControl, RemoveOperations, RequestCancel, SaveApiKey,
    SaveOperation, SetControl, queue,
};
use crate::store::sqlite::directory::StoreDirectory;
use crate::store::sqlite::error::{closed, queue_full};
use crate::store::sqlite::index_tail::index_tail;
use crate::store::sqlite::queries;
use crate::store::sqlite::queue::{Sender, bounded};
use crate::store::sqlite::reader::Readers;
use crate::store::sqlite::shared::StoreShared;
use crate::store::sqlite::threads::Threads;
use crate::store::sqlite::writer::space::{BytesLimit, Space, SpaceLimits};
use crate::store::sqlite::writer::wal::Wal;
use crate::store::sqlite::writer::{MAX_QUEUED_COMMANDS, Writer, WriterMessage};

/// How many bytes of new invocations are queued for the writer at most: 256 MiB.
const MAX_QUEUED_BYTES: u64 = 256 << 20;
/// How many threads read for callers. One more reads for claims, which must not wait behind a long list.
const READERS: usize = 2;

/// Stores invocations in a directory. An invocation is on disk before its CID is returned.
///
/// ```no_run
/// use cidery::{Node, Result, SqliteStore};
///
/// # async fn example() -> Result<()> {
/// Node::builder().store(SqliteStore::open("cidery-data")?).run().await
/// # }
/// ```
///
/// # Faster syncs
///
/// On Linux, SQLite syncs with `fsync` unless it is compiled for `fdatasync`, which does not write the time of
/// modification. Only the program that is built can choose this, in its own `.cargo/config.toml`:
///
/// ```toml
/// [env]
/// LIBSQLITE3_FLAGS = "-DHAVE_FDATASYNC=1"
/// ```
///
/// Without these lines the store is as safe, and slower; opening it logs a warning.
#[derive(Debug)]
pub struct SqliteStore {
    shared: Arc<StoreShared>,
    limits: SpaceLimits,
    generation: u32,
    /// An invocation that was last written before this generation may have been running when a node crashed.
    recovering: Option<u32>,
    undone: Range<u32>,
    writer: Sender<WriterMessage>,
    readers: Readers,
    backups: SqliteBackups,
    claim_reader: Readers,
    /// One claim at a time: the next one must see what this one takes.
    claim_lock: tokio::sync::Mutex<()>,
    /// The keys are read again by one at a time.
    keys_lock: tokio::sync::Mutex<()>,
    /// After all senders, so that the threads end before they are joined.
    _threads: Threads,
    /// Last, so that the directory is locked until the threads have ended.
    _directory: StoreDirectory,
}

impl SqliteStore {
    /// Opens the store in a directory, which is created if it is missing.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `STORE_UNUSABLE`: another process uses the directory, it belongs to another user, the
    /// file belongs to another program, or a newer version wrote it.
    ///
    /// `FAILED_PRECONDITION` / `STORE_KEY_MISSING`, `STORE_KEY_INVALID`: the store is encrypted with a key that is not
    /// there, or that is another one with the same id.
    ///
    /// `DATA_LOSS` / `STORE_DAMAGED`: the file is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, SqliteOptions::default())
    }

    /// Opens the store in a directory with limits and keys of its own.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self> {
        let path = path.as_ref();
        let directory = StoreDirectory::lock(path)?;
        let mut threads = Threads::default();
        let cipher = BlobCipher::new(options.keys, options.encrypted_only);
        let (mut connection, opened) = directory.writer(&cipher)?;
        let wal = Wal::watch(&mut connection)?;
        // One notification in the queue is enough.
        let (checkpointer, notifications) = sync_channel(1);
        let shared = Arc::new(StoreShared::new(checkpointer, cipher));
        shared.bookkeeping.lock().newest.limits = index_tail(&mut connection, opened.generation)?;
        let services = load_counts(&connection, &shared)?;
        let (writer, messages) = bounded(MAX_QUEUED_COMMANDS);
        let limits = SpaceLimits {
            directory: PathBuf::from(path),
            bytes_limit: BytesLimit::new(options.bytes_limit),
            min_free_bytes: options.min_free_bytes,
        };
        let thread = Writer {
            connection,
            shared: Arc::clone(&shared),
            generation: opened.generation,
            services,
            space: Space {
                limits: limits.clone(),
                had_room: None,
            },
            wal,
            files: directory.files()?,
            files_checked: Instant::now(),
            writes_indexes: true,
            damaged_writes: 0,
            syncing: Duration::ZERO,
        };
        threads.spawn("store-writer", move || thread.run(&messages))?;
        let readers = Readers::start(&directory, &shared, READERS, &mut threads)?;
        let claim_reader = Readers::start(&directory, &shared, 1, &mut threads)?;
        let backups = SqliteBackups::start(
            &directory,
            &shared,
            readers.clone(),
            options.min_free_bytes,
            &mut threads,
        )?;
        let (connection, of_checkpointer) = (directory.reader()?, Arc::clone(&shared));
        threads.spawn("store-checkpoint", move || {
            checkpointer::run(connection, &notifications, &of_checkpointer)
        })?;
        Ok(Self {
            shared,
            limits,
            generation: opened.generation,
            recovering: opened.recovering,
            undone: opened.undone.unwrap_or_default(),
            writer,
            readers,
            backups,
            claim_reader,
            claim_lock: tokio::sync::Mutex::new(()),
            keys_lock: tokio::sync::Mutex::new(()),
            _threads: threads,
            _directory: directory,
        })
    }

    /// The limit of its size, which can be changed while it is open.
    #[cfg(feature = "cli")]
    pub(crate) fn bytes_limit(&self) -> BytesLimit {
        self.limits.bytes_limit.clone()
    }

    /// Queues a command, and waits until it is on disk.
    async fn write<C: Command>(&self, command: C) -> Result<C::Reply> {
        let (command, reply) = queue(command);
        let bytes = command.bytes();
        let queued = self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        // Only new work is refused; outcomes must always be written.
        let is_full = C::IS_NEW_WORK && queued.saturating_add(bytes) > MAX_QUEUED_BYTES;
        let message = WriterMessage::Command(command);
        let sent = match is_full {
            true => Err(TrySendError::Full(message)),
            false => self.writer.try_send(message),
        };
        if sent.is_err() {
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        match sent {
            Ok(()) => reply.await.unwrap_or_else(|_| Err(closed())),
            Err(TrySendError::Full(_)) => Err(queue_full("writes")),
            Err(TrySendError::Disconnected(_)) => Err(closed()),
        }
    }
}

impl Drop for SqliteStore {
    /// Closes cleanly: all queued commands are written first. The threads are joined as the fields are dropped.
    fn drop(&mut self) {
        let _ = self.writer.send(WriterMessage::Close);
        self.shared.close_checkpointer();
    }
}

impl Store for SqliteStore {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn first_generation(&self) -> u32 {
        self.generation
    }

    fn undone_generations(&self) -> Range<u32> {
        self.undone.clone()
    }

    fn accept(&self, mut invocation: Invocation) -> BoxFuture<'_, Result<Acceptance>> {
        // It may be claimed as it is.
        invocation.generation = self.generation;
        Box::pin(async move {
            self.write(Accept::new(invocation, &self.shared.cipher)?)
                .await
        })
    }

    fn accept_group(
        &self,
        group: Invocation,
        members: Vec<Invocation>,
    ) -> BoxFuture<'_, Result<Acceptance>> {
        Box::pin(async move {
            {
                let command = AcceptGroup::new(&group, &members, &self.shared.cipher)?;
                self.write(command).await
            }
        })
    }

    fn members(&self, group: Cid) -> BoxFuture<'_, Result<Vec<(u32, Cid)>>> {
        let query = move |connection: &Connection| queries::members(connection, group);
        Box::pin(self.readers.query(query))
    }

    fn children(&self, parent: Cid, max: usize) -> BoxFuture<'_, Result<Vec<Child>>> {
        let cipher = self.cipher();
        let query =
            move |connection: &Connection| queries::children(connection, parent, max, &cipher);
        Box::pin(self.readers.query(query))
    }

    fn claim<'a>(
        &'a self,
        service: &'a ServiceName,
        now: Timestamp,
        limit: ClaimLimit,
    ) -> BoxFuture<'a, Result<Claim>> {
        Box::pin(self.claim_due(service, blob::nanos(now), limit))
    }

    fn record_attempts(&self, cids: Vec<Cid>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(RecordAttempts(cids)))
    }

    fn record(&self, record: Record) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let (cid, has_claim) = (record.cid, record.expected_attempts.is_none());
            let command = RecordResult::new(record, &self.shared.cipher)?;
            let bookkeeping = &self.shared.bookkeeping;
            let _in_flight = match has_claim {
                true if bookkeeping.lock().ledger.is_claimed(cid) => None,
                true => return Ok(false),
                false => match bookkeeping.begin_unclaimed_record(cid) {
                    None => return Ok(false),
                    in_flight => in_flight,
                },
            };
            let recorded = self.write(command).await?;
            Ok(recorded.is_some())
        })
    }

    fn request_cancel(
        &self,
        cid: Cid,
        cancel_reason: Option<String>,
    ) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.write(RequestCancel { cid, cancel_reason }))
    }

    fn find_by_idempotency_key(
        &self,
        service: ServiceName,
        key: String,
        owner: Option<Principal>,
    ) -> BoxFuture<'_, Result<Option<Cid>>> {
        let query = move |connection: &Connection| {
            queries::find_by_idempotency_key(connection, &service, &key, owner.as_ref())
        };
        Box::pin(self.readers.query(query))
    }

    fn expired(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<Vec<Invocation>>> {
        let now = blob::nanos(now);
        Box::pin(async move {
            let claims = self.shared.bookkeeping.lock().ledger.claim_count();
            let limit = max.saturating_add(claims);
            let cipher = self.cipher();
            let query =
                move |connection: &Connection| queries::expired(connection, now, limit, &cipher);
            let mut expired = self.readable(self.readers.query(query).await?);
            let entries = self.shared.bookkeeping.lock();
            expired.retain(|found| !entries.ledger.is_claimed(found.request.cid));
            expired.truncate(max);
            Ok(expired)
        })
    }

    fn list_page(
        &self,
        filter: Filter,
        before: Option<u64>,
        size: PageSize,
    ) -> BoxFuture<'_, Result<Page>> {
        Box::pin(async move {
            let last_id = self.shared.bookkeeping.lock().newest.limits.id;
            let cipher = self.cipher();
            let query = move |connection: &Connection| {
                queries::list(connection, &filter, before, size, last_id, &cipher)
            };
            let (found, next) = self.readers.query(query).await?;
            let mut invocations = self.readable(found);
            self.set_key_busy(&mut invocations);
            Ok(Page { invocations, next })
        })
    }

    fn summarize(
        &self,
        filter: Filter,
        running: Arc<HashSet<Cid>>,
        before: Option<u64>,
    ) -> BoxFuture<'_, Result<SummaryPart>> {
        Box::pin(async move {
            let last_id = self.shared.bookkeeping.lock().newest.limits.id;
            let cipher = self.cipher();
            let query = move |connection: &Connection| {
                queries::summarize(connection, &filter, &running, before, last_id, &cipher)
            };
            let (part, damage) = self.readers.query(query).await?;
            if let Some(error) = damage {
                self.shared.failures.log(&error);
            }
            Ok(part)
        })
    }

    fn get(&self, cid: Cid) -> BoxFuture<'_, Result<Stored>> {
        Box::pin(async move {
            let lookup = self.lookup(cid);
            let cipher = self.cipher();
            let query = move |connection: &Connection| queries::get(connection, lookup, &cipher);
            let mut stored = self.readers.query(query).await?;
            if let Stored::Found(invocation) = &mut stored {
                invocation.generation = self.generation;
                self.set_key_busy([&mut **invocation]);
            }
            Ok(stored)
        })
    }

    fn get_up_to(&self, cid: Cid, max_bytes: usize) -> BoxFuture<'_, Result<BoundedRead>> {
        Box::pin(async move {
            let lookup = self.lookup(cid);
            let cipher = self.cipher();
            let query = move |connection: &Connection| {
                queries::get_up_to(connection, lookup, max_bytes, &cipher)
            };
            let mut read = self.readers.query(query).await?;
            if let BoundedRead::Read(Stored::Found(invocation)) = &mut read {
                invocation.generation = self.generation;
                self.set_key_busy([&mut **invocation]);
            }
            Ok(read)
        })
    }

    fn queue_place<'a>(
        &'a self,
        invocation: &'a Invocation,
        max: usize,
    ) -> BoxFuture<'a, Result<QueuePlace>> {
        Box::pin(self.find_queue_place(&invocation.request, max))
    }

    fn pending_count(&self, service: &ServiceName) -> usize {
        let entries = self.shared.bookkeeping.lock();
        entries.ledger.pending_count(service)
    }

    fn pending_count_of(&self, owner: &Principal) -> usize {
        let entries = self.shared.bookkeeping.lock();
        entries.ledger.pending_count_of(owner)
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

    fn oldest_due(&self, now: Timestamp) -> BoxFuture<'_, Result<Vec<OldestDue>>> {
        Box::pin(async move {
            let now = blob::nanos(now);
            let services = self.shared.bookkeeping.lock().due_services(now);
            let query =
                move |connection: &Connection| queries::oldest_due(connection, services, now);
            self.readers.query(query).await
        })
    }

    fn later_count(
        &self,
        service: ServiceName,
        now: Timestamp,
        max: usize,
    ) -> BoxFuture<'_, Result<usize>> {
        let now = blob::nanos(now);
        let query =
            move |connection: &Connection| queries::later_count(connection, &service, now, max);
        Box::pin(self.readers.query(query))
    }

    fn recent_failures(
        &self,
        since: Timestamp,
        max: usize,
    ) -> BoxFuture<'_, Result<RecentFailures>> {
        let since = blob::nanos(since);
        let query = move |connection: &Connection| queries::recent_failures(connection, since, max);
        Box::pin(self.readers.query(query))
    }

    fn held_count(&self) -> BoxFuture<'_, Result<usize>> {
        Box::pin(self.readers.query(queries::held_count))
    }

    fn usage(&self) -> BoxFuture<'_, Result<StoreUsage>> {
        let limits = self.limits.clone();
        let query = move |connection: &Connection| Ok(limits.store_usage(connection));
        Box::pin(self.readers.query(query))
    }

    fn metrics(&self) -> StoreMetrics {
        let queued_bytes = self.shared.queued_bytes.load(Ordering::Relaxed);
        self.shared.commit_metrics.read(queued_bytes)
    }

    fn purge(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<usize>> {
        let now = blob::nanos(now);
        Box::pin(self.write(Purge { now, max }))
    }

    fn remove(&self, cid: Cid) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.write(Remove(cid)))
    }

    fn remember_declarations(
        &self,
        declarations: Vec<StoredDeclaration>,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(RememberDeclarations(declarations)))
    }

    fn declarations(&self) -> BoxFuture<'_, Result<Vec<StoredDeclaration>>> {
        Box::pin(self.readers.query(queries::declarations))
    }

    fn forget_declarations(&self, service: ServiceName) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(ForgetDeclarations(service)))
    }

    fn set_control(&self, control: ServiceControl) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(SetControl(control)))
    }

    fn remove_control(&self, service: ServiceName) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(RemoveControl(service)))
    }

    fn controls(&self) -> BoxFuture<'_, Result<Vec<ServiceControl>>> {
        Box::pin(async move {
            let (controls, damaged) = self.readers.query(queries::controls).await?;
            for error in &damaged {
                self.shared.failures.log(error);
            }
            Ok(controls)
        })
    }

    fn next_position(&self) -> u64 {
        let last_id = self.shared.bookkeeping.lock().newest.limits.id;
        u64::try_from(last_id).unwrap_or_default() + 1
    }

    fn save_operation(&self, operation: StoredOperation) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let command = SaveOperation::new(operation, &self.shared.cipher)?;
            self.write(command).await
        })
    }

    fn operations(&self) -> BoxFuture<'_, Result<Vec<StoredOperation>>> {
        Box::pin(async move {
            let (operations, damaged) = {
                let cipher = self.cipher();
                let query = move |connection: &Connection| queries::operations(connection, &cipher);
                self.readers.query(query).await?
            };
            for error in &damaged {
                self.shared.failures.log(error);
            }
            Ok(operations)
        })
    }

    fn remove_operations(&self, ids: Vec<OperationId>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(RemoveOperations(ids)))
    }

    fn reload_keys(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.read_keys_again())
    }

    fn save_api_key(&self, key: StoredApiKey) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(SaveApiKey(key)))
    }

    fn api_keys(&self) -> BoxFuture<'_, Result<Vec<StoredApiKey>>> {
        Box::pin(self.readers.query(queries::api_keys))
    }

    fn health(&self) -> Result<()> {
        self.shared.write_failure().map_or(Ok(()), Err)
    }

    fn backups(&self) -> Option<&dyn Backups> {
        Some(&self.backups)
    }
}
