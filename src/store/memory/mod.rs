//! The store in memory: for tests and trials, and for nodes whose invocations need not survive a restart.

mod contents;
mod due;
mod groups;
mod keys;
mod retention;
mod weight;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use self::contents::{Contents, GENERATION};
use self::weight::weight;
use crate::engine::store::{
    Acceptance, BoundedRead, Child, Claim, ClaimLimit, Filter, OldestDue, Page, PageSize,
    QueuePlace, RecentFailures, Record, Store, StoreUsage, Stored, StoredApiKey, StoredDeclaration,
    StoredOperation, SummaryPart,
};
use crate::model::access::Principal;
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;
use crate::model::operation::OperationId;
use crate::model::service_control::ServiceControl;
use crate::service::BoxFuture;

/// How many bytes a memory store holds by default: 1 GiB.
const DEFAULT_BYTES_LIMIT: usize = 1 << 30;
/// One eighth of the limit is reserved for the outcomes of accepted invocations.
const RESERVED_FRACTION: usize = 8;

/// Stores invocations in memory, up to a limit in bytes. They are lost when the process ends.
///
/// New work is refused once seven eighths are full; the rest is reserved for outcomes. If outcomes outgrow that as
/// well, the oldest of them are removed before their retention ends, and leave a tombstone.
#[derive(Debug)]
pub struct MemoryStore {
    contents: Mutex<Contents>,
    bytes_limit: usize,
}

impl MemoryStore {
    /// Creates an empty store with a limit of 1 GiB.
    #[must_use]
    pub fn new() -> Self {
        Self::with_bytes_limit(DEFAULT_BYTES_LIMIT)
    }

    /// Creates an empty store that holds roughly this many bytes.
    #[must_use]
    pub fn with_bytes_limit(bytes_limit: usize) -> Self {
        Self {
            contents: Mutex::default(),
            bytes_limit,
        }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // No critical section panics between two changes that belong together.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, invocation: Invocation) -> Result<Acceptance> {
        let mut contents = self.contents();
        if let Some(known) = contents.known(&invocation) {
            return Ok(known);
        }
        let bytes = weight(&invocation);
        self.check_room(&contents, bytes)?;
        contents.insert(invocation, bytes);
        Ok(Acceptance::Stored)
    }

    fn insert_group(&self, group: Invocation, members: Vec<Invocation>) -> Result<Acceptance> {
        let mut contents = self.contents();
        if let Some(known) = contents
            .known(&group)
            .or_else(|| contents.known_member(&members))
        {
            return Ok(known);
        }
        let bytes = weight(&group) + members.iter().map(weight).sum::<usize>();
        self.check_room(&contents, bytes)?;
        contents.insert_group(group, members);
        Ok(Acceptance::Stored)
    }

    /// How many bytes it may hold before it refuses new work.
    fn accept_limit(&self) -> usize {
        self.bytes_limit - self.bytes_limit / RESERVED_FRACTION
    }

    /// `RESOURCE_EXHAUSTED` / `STORE_FULL` if new work of this size would use the reserve.
    fn check_room(&self, contents: &Contents, bytes: usize) -> Result<()> {
        if contents.bytes.saturating_add(bytes) <= self.accept_limit() {
            return Ok(());
        }
        let message = format!(
            "the memory store is full: it holds at most {} bytes, and the rest is reserved for outcomes",
            self.bytes_limit
        );
        Err(Error::resource_exhausted(reason::STORE_FULL, message)
            .with_info("bytes", self.bytes_limit)
            .with_retry_after(Duration::from_secs(1)))
    }

    fn remember(&self, declarations: Vec<StoredDeclaration>) {
        let mut contents = self.contents();
        for declaration in declarations {
            let key = (declaration.service.clone(), declaration.hash.clone());
            let known = contents.declarations.get(&key);
            let (first_time, principal) = match known {
                Some(known) => (known.first_time, known.principal.clone()),
                None => (declaration.first_time, declaration.principal),
            };
            let declaration = StoredDeclaration {
                first_time,
                principal,
                ..declaration
            };
            contents.declarations.insert(key, declaration);
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

fn ready<T: Send + 'static>(value: T) -> BoxFuture<'static, T> {
    Box::pin(std::future::ready(value))
}

impl Store for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn first_generation(&self) -> u32 {
        GENERATION
    }

    fn accept(&self, invocation: Invocation) -> BoxFuture<'_, Result<Acceptance>> {
        ready(self.insert(invocation))
    }

    fn accept_group(
        &self,
        group: Invocation,
        members: Vec<Invocation>,
    ) -> BoxFuture<'_, Result<Acceptance>> {
        ready(self.insert_group(group, members))
    }

    fn members(&self, group: Cid) -> BoxFuture<'_, Result<Vec<(u32, Cid)>>> {
        ready(Ok(self.contents().members_of(group)))
    }

    fn children(&self, parent: Cid, max: usize) -> BoxFuture<'_, Result<Vec<Child>>> {
        ready(Ok(self.contents().children(parent, max)))
    }

    fn claim<'a>(
        &'a self,
        service: &'a ServiceName,
        now: Timestamp,
        limit: ClaimLimit,
    ) -> BoxFuture<'a, Result<Claim>> {
        ready(Ok(self.contents().claim(service, now, limit)))
    }

    /// Does nothing: a memory store never recovers an invocation.
    fn record_attempts(&self, _: Vec<Cid>) -> BoxFuture<'_, Result<()>> {
        ready(Ok(()))
    }

    fn record(&self, record: Record) -> BoxFuture<'_, Result<bool>> {
        let mut contents = self.contents();
        let is_recorded = contents.record(record);
        contents.make_room(self.bytes_limit);
        ready(Ok(is_recorded))
    }

    fn request_cancel(
        &self,
        cid: Cid,
        cancel_reason: Option<String>,
    ) -> BoxFuture<'_, Result<bool>> {
        ready(Ok(self.contents().request_cancel(cid, cancel_reason)))
    }

    fn find_by_idempotency_key(
        &self,
        _: ServiceName,
        key: String,
        owner: Option<Principal>,
    ) -> BoxFuture<'_, Result<Option<Cid>>> {
        ready(Ok(self.contents().keys.get(owner.as_ref(), &key)))
    }

    fn expired(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<Vec<Invocation>>> {
        ready(Ok(self.contents().expired(now, max)))
    }

    fn list_page(
        &self,
        filter: Filter,
        before: Option<u64>,
        size: PageSize,
    ) -> BoxFuture<'_, Result<Page>> {
        ready(Ok(self.contents().list(&filter, before, size)))
    }

    fn summarize(
        &self,
        filter: Filter,
        running: Arc<HashSet<Cid>>,
        before: Option<u64>,
    ) -> BoxFuture<'_, Result<SummaryPart>> {
        ready(Ok(self.contents().summarize(&filter, &running, before)))
    }

    fn get(&self, cid: Cid) -> BoxFuture<'_, Result<Stored>> {
        ready(Ok(self.contents().get(cid)))
    }

    fn get_up_to(&self, cid: Cid, max_bytes: usize) -> BoxFuture<'_, Result<BoundedRead>> {
        let contents = self.contents();
        ready(Ok(match contents.bytes_of(cid) {
            bytes if bytes > max_bytes => BoundedRead::Larger(bytes),
            _ => BoundedRead::Read(contents.get(cid)),
        }))
    }

    fn queue_place<'a>(
        &'a self,
        invocation: &'a Invocation,
        max: usize,
    ) -> BoxFuture<'a, Result<QueuePlace>> {
        ready(Ok(self.contents().queue_place(invocation.request.cid, max)))
    }

    fn pending_count(&self, service: &ServiceName) -> usize {
        self.contents().ledger.pending_count(service)
    }

    fn pending_count_of(&self, owner: &Principal) -> usize {
        self.contents().ledger.pending_count_of(owner)
    }

    fn awaiting_completion_count(&self, service: &ServiceName) -> usize {
        self.contents().ledger.awaiting_completion_count(service)
    }

    fn total_pending_count(&self) -> usize {
        self.contents().ledger.total_pending_count()
    }

    fn services_with_pending(&self) -> BoxFuture<'_, Result<Vec<ServiceName>>> {
        ready(Ok(self.contents().ledger.services_with_pending()))
    }

    fn oldest_due(&self, now: Timestamp) -> BoxFuture<'_, Result<Vec<OldestDue>>> {
        ready(Ok(self.contents().oldest_due(now)))
    }

    fn later_count(
        &self,
        service: ServiceName,
        now: Timestamp,
        max: usize,
    ) -> BoxFuture<'_, Result<usize>> {
        ready(Ok(self.contents().later_count(&service, now, max)))
    }

    fn recent_failures(
        &self,
        since: Timestamp,
        max: usize,
    ) -> BoxFuture<'_, Result<RecentFailures>> {
        ready(Ok(self.contents().recent_failures(since, max)))
    }

    fn held_count(&self) -> BoxFuture<'_, Result<usize>> {
        ready(Ok(self.contents().dead_letters))
    }

    fn usage(&self) -> BoxFuture<'_, Result<StoreUsage>> {
        let long = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        ready(Ok(StoreUsage {
            bytes: long(self.contents().bytes),
            bytes_limit: long(self.bytes_limit),
            accept_limit: long(self.accept_limit()),
            empty: 0,
            disk: None,
        }))
    }

    fn purge(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<usize>> {
        ready(Ok(self.contents().purge(now, max)))
    }

    fn remove(&self, cid: Cid) -> BoxFuture<'_, Result<bool>> {
        ready(Ok(self.contents().remove(cid)))
    }

    fn remember_declarations(
        &self,
        declarations: Vec<StoredDeclaration>,
    ) -> BoxFuture<'_, Result<()>> {
        self.remember(declarations);
        ready(Ok(()))
    }

    fn declarations(&self) -> BoxFuture<'_, Result<Vec<StoredDeclaration>>> {
        ready(Ok(self.contents().declarations.values().cloned().collect()))
    }

    fn forget_declarations(&self, service: ServiceName) -> BoxFuture<'_, Result<()>> {
        let mut contents = self.contents();
        contents
            .declarations
            .retain(|(name, _), _| *name != service);
        contents.controls.remove(&service);
        ready(Ok(()))
    }

    fn set_control(&self, control: ServiceControl) -> BoxFuture<'_, Result<()>> {
        let service = control.service.clone();
        self.contents().controls.insert(service, control);
        ready(Ok(()))
    }

    fn remove_control(&self, service: ServiceName) -> BoxFuture<'_, Result<()>> {
        self.contents().controls.remove(&service);
        ready(Ok(()))
    }

    fn controls(&self) -> BoxFuture<'_, Result<Vec<ServiceControl>>> {
        ready(Ok(self.contents().controls.values().cloned().collect()))
    }

    fn next_position(&self) -> u64 {
        self.contents().next_position()
    }

    fn save_operation(&self, operation: StoredOperation) -> BoxFuture<'_, Result<()>> {
        let mut contents = self.contents();
        contents.operations.insert(operation.id, operation);
        ready(Ok(()))
    }

    fn operations(&self) -> BoxFuture<'_, Result<Vec<StoredOperation>>> {
        ready(Ok(self.contents().operations.values().cloned().collect()))
    }

    fn remove_operations(&self, ids: Vec<OperationId>) -> BoxFuture<'_, Result<()>> {
        let mut contents = self.contents();
        contents.operations.retain(|id, _| !ids.contains(id));
        ready(Ok(()))
    }

    fn save_api_key(&self, key: StoredApiKey) -> BoxFuture<'_, Result<()>> {
        let id = Arc::clone(&key.key.id);
        self.contents().api_keys.insert(id, key);
        ready(Ok(()))
    }

    fn api_keys(&self) -> BoxFuture<'_, Result<Vec<StoredApiKey>>> {
        ready(Ok(self.contents().api_keys.values().cloned().collect()))
    }

    fn health(&self) -> Result<()> {
        Ok(())
    }
}

/// Starts an engine without services over an empty store, for unit tests of other rooms.
#[cfg(test)]
pub(crate) async fn started_engine() -> crate::engine::Invoker {
    let parts = crate::engine::Parts {
        registry: crate::service::Registry::new(),
        states: crate::service::States::default(),
        hooks: Vec::new(),
        store: Arc::new(MemoryStore::new()),
        limits: crate::engine::Limits::default(),
        clock: crate::engine::clock::Clock::System,
        hold: false,
        requires_authentication: false,
        tracer: crate::engine::trace::Tracer::default(),
    };
    let tasks = crate::service::runtime::Tasks::new();
    crate::engine::Invoker::start(parts, tasks).await.unwrap()
}
