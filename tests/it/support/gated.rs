//! A store whose calls can be paused before or after they run: forces each interleaving of reads and records.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use cidery::engine::store::{
    Acceptance, BoundedRead, Child, Claim, ClaimLimit, Filter, OldestDue, Page, PageSize,
    QueuePlace, RecentFailures, Record, Store, StoreUsage, Stored, StoredApiKey, StoredDeclaration,
    StoredOperation, SummaryPart,
};
use cidery::model::invocation::Invocation;
use cidery::model::operation::OperationId;
use cidery::model::service_control::ServiceControl;
use cidery::service::BoxFuture;
use cidery::store::MemoryStore;
use cidery::{Cid, Error, Principal, Result, ServiceName};
use jiff::Timestamp;
use tokio::sync::Semaphore;

/// A point of a call at which it can be paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Point {
    BeforeAccept,
    AfterAccept,
    AfterClaim,
    BeforeGet,
    AfterGet,
    BeforeRecord,
    AfterRecord,
    BeforeControl,
}

#[derive(Debug, Default)]
struct Gate {
    arrived: Option<Arc<Semaphore>>,
    released: Option<Arc<Semaphore>>,
}

/// A call of the store that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    CountFailures,
    Forget,
}

/// The gates by point. All of them are open at first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gates {
    faults: Arc<Mutex<HashSet<Fault>>>,
    gates: Arc<Mutex<HashMap<Point, Gate>>>,
    /// How many invocations each list asked for at most.
    lists: Arc<Mutex<Vec<usize>>>,
    /// Why records fail, if they do.
    failing: Arc<Mutex<Option<Error>>>,
}

/// A closed gate: calls are paused there until it is opened.
pub(crate) struct ClosedGate {
    arrived: Arc<Semaphore>,
    released: Arc<Semaphore>,
    gates: Gates,
    point: Point,
}

impl Gates {
    pub(crate) fn close(&self, point: Point) -> ClosedGate {
        let (arrived, released) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let gate = Gate {
            arrived: Some(Arc::clone(&arrived)),
            released: Some(Arc::clone(&released)),
        };
        self.gates.lock().unwrap().insert(point, gate);
        ClosedGate {
            arrived,
            released,
            gates: self.clone(),
            point,
        }
    }

    /// From now on, such calls fail, or no longer.
    pub(crate) fn set_fault(&self, fault: Fault, fails: bool) {
        let mut faults = self.faults.lock().unwrap();
        match fails {
            true => faults.insert(fault),
            false => faults.remove(&fault),
        };
    }

    fn check(&self, fault: Fault) -> Result<()> {
        match self.faults.lock().unwrap().contains(&fault) {
            true => Err(Error::unavailable("STORE_FAILED", "the disk failed")),
            false => Ok(()),
        }
    }

    /// How many invocations each list asked for at most, since they were forgotten.
    pub(crate) fn lists(&self) -> Vec<usize> {
        self.lists.lock().unwrap().clone()
    }

    /// From now on records fail, or no longer.
    pub(crate) fn fail_records(&self, error: Option<Error>) {
        *self.failing.lock().unwrap() = error;
    }

    pub(crate) fn forget_lists(&self) {
        self.lists.lock().unwrap().clear();
    }

    async fn pass(&self, point: Point) {
        let released = {
            let gates = self.gates.lock().unwrap();
            let Some(gate) = gates.get(&point) else {
                return;
            };
            gate.arrived.as_ref().unwrap().add_permits(1);
            Arc::clone(gate.released.as_ref().unwrap())
        };
        released.acquire().await.unwrap().forget();
    }
}

impl ClosedGate {
    /// Waits until a call is paused at the gate.
    pub(crate) async fn arrived(&self) {
        tokio::time::timeout(super::PATIENCE, self.arrived.acquire())
            .await
            .unwrap_or_else(|_| panic!("no call reached {:?}", self.point))
            .unwrap()
            .forget();
    }

    /// Opens the gate for good.
    pub(crate) fn open(self) {
        self.gates.gates.lock().unwrap().remove(&self.point);
        self.released.add_permits(Semaphore::MAX_PERMITS >> 4);
    }
}

#[derive(Debug, Default)]
pub(crate) struct GatedStore {
    inner: MemoryStore,
    gates: Gates,
    is_shared: bool,
}

impl GatedStore {
    /// A store that counts nothing of what other nodes accepted: which is all.
    pub(crate) fn shared() -> Self {
        Self {
            is_shared: true,
            ..Self::default()
        }
    }

    pub(crate) fn new() -> (Self, Gates) {
        let store = Self::default();
        let gates = store.gates.clone();
        (store, gates)
    }
}

impl Store for GatedStore {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }

    fn first_generation(&self) -> u32 {
        self.inner.first_generation()
    }

    fn accept(&self, invocation: Invocation) -> BoxFuture<'_, Result<Acceptance>> {
        Box::pin(async move {
            self.gates.pass(Point::BeforeAccept).await;
            let accepted = self.inner.accept(invocation).await;
            self.gates.pass(Point::AfterAccept).await;
            accepted
        })
    }

    fn accept_group(
        &self,
        group: Invocation,
        members: Vec<Invocation>,
    ) -> BoxFuture<'_, Result<Acceptance>> {
        self.inner.accept_group(group, members)
    }

    fn members(&self, group: Cid) -> BoxFuture<'_, Result<Vec<(u32, Cid)>>> {
        self.inner.members(group)
    }

    fn children(&self, parent: Cid, max: usize) -> BoxFuture<'_, Result<Vec<Child>>> {
        self.inner.children(parent, max)
    }

    fn claim<'a>(
        &'a self,
        service: &'a ServiceName,
        now: Timestamp,
        limit: ClaimLimit,
    ) -> BoxFuture<'a, Result<Claim>> {
        Box::pin(async move {
            let claim = self.inner.claim(service, now, limit).await;
            self.gates.pass(Point::AfterClaim).await;
            claim
        })
    }

    fn record(&self, record: Record) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            self.gates.pass(Point::BeforeRecord).await;
            let failing = self.gates.failing.lock().unwrap().clone();
            if let Some(error) = failing {
                return Err(error);
            }
            let recorded = self.inner.record(record).await;
            self.gates.pass(Point::AfterRecord).await;
            recorded
        })
    }

    fn request_cancel(
        &self,
        cid: Cid,
        cancel_reason: Option<String>,
    ) -> BoxFuture<'_, Result<bool>> {
        self.inner.request_cancel(cid, cancel_reason)
    }

    fn find_by_idempotency_key(
        &self,
        service: ServiceName,
        key: String,
        owner: Option<Principal>,
    ) -> BoxFuture<'_, Result<Option<Cid>>> {
        self.inner.find_by_idempotency_key(service, key, owner)
    }

    fn list_page(
        &self,
        filter: Filter,
        before: Option<u64>,
        size: PageSize,
    ) -> BoxFuture<'_, Result<Page>> {
        self.gates.lists.lock().unwrap().push(size.invocations);
        self.inner.list_page(filter, before, size)
    }

    fn summarize(
        &self,
        filter: Filter,
        running: Arc<HashSet<Cid>>,
        before: Option<u64>,
    ) -> BoxFuture<'_, Result<SummaryPart>> {
        self.inner.summarize(filter, running, before)
    }

    fn record_attempts(&self, cids: Vec<Cid>) -> BoxFuture<'_, Result<()>> {
        self.inner.record_attempts(cids)
    }

    fn remove(&self, cid: Cid) -> BoxFuture<'_, Result<bool>> {
        self.inner.remove(cid)
    }

    fn expired(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<Vec<Invocation>>> {
        self.inner.expired(now, max)
    }

    fn remember_declarations(
        &self,
        declarations: Vec<StoredDeclaration>,
    ) -> BoxFuture<'_, Result<()>> {
        self.inner.remember_declarations(declarations)
    }

    fn declarations(&self) -> BoxFuture<'_, Result<Vec<StoredDeclaration>>> {
        self.inner.declarations()
    }

    fn forget_declarations(&self, service: ServiceName) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.gates.check(Fault::Forget)?;
            self.inner.forget_declarations(service).await
        })
    }

    fn set_control(&self, control: ServiceControl) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.gates.pass(Point::BeforeControl).await;
            self.inner.set_control(control).await
        })
    }

    fn remove_control(&self, service: ServiceName) -> BoxFuture<'_, Result<()>> {
        self.inner.remove_control(service)
    }

    fn controls(&self) -> BoxFuture<'_, Result<Vec<ServiceControl>>> {
        self.inner.controls()
    }

    fn next_position(&self) -> u64 {
        self.inner.next_position()
    }

    fn save_operation(&self, operation: StoredOperation) -> BoxFuture<'_, Result<()>> {
        self.inner.save_operation(operation)
    }

    fn operations(&self) -> BoxFuture<'_, Result<Vec<StoredOperation>>> {
        self.inner.operations()
    }

    fn remove_operations(&self, ids: Vec<OperationId>) -> BoxFuture<'_, Result<()>> {
        self.inner.remove_operations(ids)
    }

    fn save_api_key(&self, key: StoredApiKey) -> BoxFuture<'_, Result<()>> {
        self.inner.save_api_key(key)
    }

    fn api_keys(&self) -> BoxFuture<'_, Result<Vec<StoredApiKey>>> {
        self.inner.api_keys()
    }

    fn health(&self) -> Result<()> {
        self.inner.health()
    }

    fn get(&self, cid: Cid) -> BoxFuture<'_, Result<Stored>> {
        Box::pin(async move {
            self.gates.pass(Point::BeforeGet).await;
            let found = self.inner.get(cid).await;
            self.gates.pass(Point::AfterGet).await;
            found
        })
    }

    fn queue_place<'a>(
        &'a self,
        invocation: &'a Invocation,
        max: usize,
    ) -> BoxFuture<'a, Result<QueuePlace>> {
        self.inner.queue_place(invocation, max)
    }

    fn get_up_to(&self, cid: Cid, max_bytes: usize) -> BoxFuture<'_, Result<BoundedRead>> {
        Box::pin(async move {
            self.gates.pass(Point::BeforeGet).await;
            let found = self.inner.get_up_to(cid, max_bytes).await;
            self.gates.pass(Point::AfterGet).await;
            found
        })
    }

    fn pending_count(&self, service: &ServiceName) -> usize {
        match self.is_shared {
            true => 0,
            false => self.inner.pending_count(service),
        }
    }

    fn pending_count_of(&self, owner: &Principal) -> usize {
        self.inner.pending_count_of(owner)
    }

    fn awaiting_completion_count(&self, service: &ServiceName) -> usize {
        self.inner.awaiting_completion_count(service)
    }

    fn total_pending_count(&self) -> usize {
        self.inner.total_pending_count()
    }

    fn services_with_pending(&self) -> BoxFuture<'_, Result<Vec<ServiceName>>> {
        self.inner.services_with_pending()
    }

    fn oldest_due(&self, now: Timestamp) -> BoxFuture<'_, Result<Vec<OldestDue>>> {
        self.inner.oldest_due(now)
    }

    fn later_count(
        &self,
        service: ServiceName,
        now: Timestamp,
        max: usize,
    ) -> BoxFuture<'_, Result<usize>> {
        self.inner.later_count(service, now, max)
    }

    fn recent_failures(
        &self,
        since: Timestamp,
        max: usize,
    ) -> BoxFuture<'_, Result<RecentFailures>> {
        Box::pin(async move {
            self.gates.check(Fault::CountFailures)?;
            self.inner.recent_failures(since, max).await
        })
    }

    fn held_count(&self) -> BoxFuture<'_, Result<usize>> {
        self.inner.held_count()
    }

    fn usage(&self) -> BoxFuture<'_, Result<StoreUsage>> {
        self.inner.usage()
    }

    fn purge(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<usize>> {
        self.inner.purge(now, max)
    }
}
