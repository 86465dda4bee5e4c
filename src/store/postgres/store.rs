//! The store, as the engine uses it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::connection::{Connector, Link};
use super::counts::Counts;
use super::end::EndRow;
use super::error::{Failed, no_answer, store_full};
use super::lane::Lanes;
use super::new_rows::{NewRow, idempotency_key, insert};
use super::options::PostgresOptions;
use super::own_claims::OwnClaims;
use super::services::Services;
use super::shared::Shared;
use super::{
    batch, claims, list, lookup, migrate, plain, recount, retention, session, settings, status,
};
use crate::engine::store::{
    Acceptance, BoundedRead, Child, Claim, ClaimLimit, Filter, OldestDue, Page, PageSize,
    QueuePlace, RecentFailures, Record, Store, StoreUsage, Stored, StoredApiKey, StoredDeclaration,
    StoredOperation, SummaryPart,
};
use crate::model::access::Principal;
use crate::model::error::{Error, Result};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;
use crate::model::operation::OperationId;
use crate::model::service_control::ServiceControl;
use crate::service::BoxFuture;
use crate::service::runtime::Tasks;
use crate::store::blob;
use crate::store::cipher::BlobCipher;

/// How many connections write.
const LANES: usize = 4;
/// How often what was claimed by nobody else is tried again.
const CLAIM_ATTEMPTS: u32 = 3;

/// Stores invocations in a PostgreSQL that several nodes share.
///
/// It keeps a few connections, and tasks of its own on the current runtime.
#[derive(Debug)]
pub struct PostgresStore {
    shared: Arc<Shared>,
    lanes: Lanes,
    /// For what is short: one invocation, one count.
    reads: Connected,
    /// For what may take long: lists.
    lists: Connected,
    /// Also for what is written one by one.
    claims: Connected,
    closed: CancellationToken,
    /// Fires when the session has ended.
    ended: CancellationToken,
}

/// A connection that is opened again when it was lost.
#[derive(Debug)]
struct Connected {
    shared: Arc<Shared>,
    link: Mutex<Arc<Link>>,
}

impl Connected {
    async fn open(shared: &Arc<Shared>) -> Result<Self, Failed> {
        let link = Arc::new(shared.connect().await?);
        Ok(Self {
            shared: Arc::clone(shared),
            link: Mutex::new(link),
        })
    }

    /// The connection, opened again by one caller at a time, and not before the session has reached the database.
    async fn get(&self) -> Result<Arc<Link>, Failed> {
        let mut link = self.link.lock().await;
        if link.is_closed() {
            if !self.shared.is_reachable() {
                return Err(no_answer().into());
            }
            *link = Arc::new(self.shared.connect().await?);
        }
        Ok(Arc::clone(&link))
    }
}

impl PostgresStore {
    /// Opens the store at a URL, `postgres://user@host:5432/database`, with default options.
    ///
    /// # Errors
    ///
    /// As for [`open_with`](Self::open_with); `INVALID_ARGUMENT` / `CONFIG_INVALID`.
    pub async fn open(url: &str) -> Result<Self> {
        Self::open_with(PostgresOptions::parse(url)?).await
    }

    /// Opens the store, and creates its tables where they are missing.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `STORE_FAILED`: the database cannot be reached, or does not accept the user.
    /// `FAILED_PRECONDITION` / `STORE_UNUSABLE`: it is not set as it must be, or what is there is no store, or a newer
    /// one.
    ///
    /// # Panics
    ///
    /// If there is no current runtime.
    pub async fn open_with(options: PostgresOptions) -> Result<Self> {
        let connector = Connector {
            options: Arc::new(options),
            tasks: Tasks::new(),
        };
        let place = connector.options.place();
        let connected = Self::connect(connector).await;
        connected.map_err(|failed| failed.into_error_at_start(&place))
    }

    async fn connect(connector: Connector) -> Result<Self, Failed> {
        let link = connector.connect().await?;
        settings::check(&link, &connector.options).await?;
        let first_claim = migrate::migrate(&link, &connector.options).await?;
        let services = Services::default();
        services.load(&link).await?;
        let own = session::begin(&link).await?;
        let shared = Arc::new(Shared {
            cipher: BlobCipher::default(),
            services,
            counts: Counts::default(),
            own_claims: OwnClaims::default(),
            session: AtomicI64::new(own),
            is_reachable: AtomicBool::new(true),
            first_claim,
            queued_bytes: AtomicU64::new(0),
            connector: connector.clone(),
        });
        recount::count_on(&link, &shared).await?;
        let closed = CancellationToken::new();
        let lanes = Lanes::start(&shared, LANES);
        let reads = Connected::open(&shared).await?;
        let lists = Connected::open(&shared).await?;
        let claims = Connected::open(&shared).await?;
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        let beats = session::run(Arc::clone(&shared), link, closed.clone(), end);
        connector.tasks.spawn("store session", beats);
        let counts = recount::run(Arc::clone(&shared), closed.clone());
        connector.tasks.spawn("store counts", counts);
        Ok(Self {
            shared,
            lanes,
            reads,
            lists,
            claims,
            closed,
            ended,
        })
    }

    async fn accept_all(&self, group: Invocation, members: Vec<Invocation>) -> Result<Acceptance> {
        let cipher = &self.shared.cipher;
        let group = NewRow::encode(&group, cipher)?;
        let members = members.iter().map(|member| NewRow::encode(member, cipher));
        let members = members.collect::<Result<Vec<_>>>()?;
        let cid = group.cid;
        let rows: Arc<Vec<NewRow>> = Arc::new(std::iter::once(group).chain(members).collect());
        let (known_first, is_full) = {
            let link = self.reads.get().await.map_err(Failed::into_error)?;
            let services = rows.iter().map(|row| &row.service);
            let met = self.shared.services.meet(&link, services).await;
            met.map_err(Failed::into_error)?;
            (self.known(&rows).await?, self.is_full())
        };
        match known_first {
            Some(known) => return Ok(known),
            None if is_full => return Err(store_full()),
            None => {}
        }
        if self.insert_all(cid, &rows).await? {
            return Ok(Acceptance::Stored);
        }
        let known = self.known(&rows).await?;
        known.ok_or_else(super::error::closed)
    }

    /// Stores new invocations, all or none of them. Returns whether it did.
    async fn insert_all(&self, cid: Cid, rows: &Arc<Vec<NewRow>>) -> Result<bool> {
        let (to_store, to_count) = (Arc::clone(rows), Arc::clone(rows));
        let count = move |shared: &Shared, stored: &Vec<(Cid, i64)>| {
            for row in to_count.iter().filter(|_| stored.len() == to_count.len()) {
                if let Some((_, id)) = stored.iter().find(|(cid, _)| *cid == row.cid) {
                    shared.counts.accepted(row, *id);
                }
            }
        };
        let stored = self.lanes.work(
            cid,
            move |tx, shared| {
                let rows = Arc::clone(&to_store);
                Box::pin(async move {
                    let all: Vec<&NewRow> = rows.iter().collect();
                    let stored = insert(tx, &all, &shared.services, shared.first_claim).await?;
                    let is_whole = stored.len() == all.len();
                    Ok((stored, is_whole))
                })
            },
            count,
        );
        Ok(stored.await?.len() == rows.len())
    }

    /// What is known of a group, or of the first of its members that is known.
    async fn known(&self, rows: &[NewRow]) -> Result<Option<Acceptance>> {
        let link = self.reads.get().await.map_err(Failed::into_error)?;
        for (position, row) in rows.iter().enumerate() {
            let known = batch::known(&link, &self.shared, row).await;
            match known.map_err(Failed::into_error)? {
                None => {}
                // This very group, whose answer was lost.
                Some(batch::Known::Own(_)) => return Ok(Some(Acceptance::Stored)),
                Some(batch::Known::Other(known)) if position == 0 => return known.map(Some),
                Some(batch::Known::Other(_)) => return Ok(Some(Acceptance::MemberKnown(row.cid))),
            }
        }
        Ok(None)
    }

    fn is_full(&self) -> bool {
        self.shared.counts.bytes() >= self.shared.connector.options.accept_limit()
    }

    async fn claim_due(&self, service: &ServiceName, now: i64, limit: ClaimLimit) -> Result<Claim> {
        let mut attempt = 1;
        loop {
            let claimed = async {
                let link = self.claims.get().await?;
                claims::claim(&link, &self.shared, service, now, limit).await
            };
            match claimed.await {
                Err(failed) if failed.is_conflict() && attempt < CLAIM_ATTEMPTS => attempt += 1,
                claimed => return claimed.map_err(Failed::into_error),
            }
        }
    }
}

impl Drop for PostgresStore {
    /// Ends the session: the others need not wait for it. Writes that are queued are still committed.
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

/// A read on one of the connections.
macro_rules! read {
    ($store:ident.$connection:ident, |$link:ident, $shared:ident| $read:expr) => {
        Box::pin(async move {
            let read = async {
                let $link = $store.$connection.get().await?;
                let $shared = &$store.shared;
                $read.await
            };
            read.await.map_err(Failed::into_error)
        })
    };
}

impl Store for PostgresStore {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn first_generation(&self) -> u32 {
        u32::try_from(self.shared.first_claim).unwrap_or(u32::MAX)
    }

    fn accept(&self, invocation: Invocation) -> BoxFuture<'_, Result<Acceptance>> {
        Box::pin(async move {
            let row = NewRow::encode(&invocation, &self.shared.cipher)?;
            self.lanes.accept(row).await
        })
    }

    fn accept_group(
        &self,
        group: Invocation,
        members: Vec<Invocation>,
    ) -> BoxFuture<'_, Result<Acceptance>> {
        Box::pin(self.accept_all(group, members))
    }

    fn members(&self, group: Cid) -> BoxFuture<'_, Result<Vec<(u32, Cid)>>> {
        read!(self.lists, |link, _shared| lookup::members(&link, group))
    }

    fn children(&self, parent: Cid, max: usize) -> BoxFuture<'_, Result<Vec<Child>>> {
        read!(self.lists, |link, shared| lookup::children(
            &link, shared, parent, max
        ))
    }

    fn claim<'a>(
        &'a self,
        service: &'a ServiceName,
        now: Timestamp,
        limit: ClaimLimit,
    ) -> BoxFuture<'a, Result<Claim>> {
        Box::pin(self.claim_due(service, blob::nanos(now), limit))
    }

    /// Does nothing: claims outlast their session, and each that is lost is counted when it is released.
    fn record_attempts(&self, _: Vec<Cid>) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn record(&self, record: Record) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let row = EndRow::encode(record, &self.shared.cipher)?;
            self.lanes.record(row).await
        })
    }

    fn request_cancel(
        &self,
        cid: Cid,
        cancel_reason: Option<String>,
    ) -> BoxFuture<'_, Result<bool>> {
        let cancel_reason = Arc::new(cancel_reason);
        Box::pin(self.lanes.work(
            cid,
            move |tx, shared| {
                let cancel_reason = Arc::clone(&cancel_reason);
                Box::pin(async move {
                    let reason = cancel_reason.as_deref();
                    let requested = retention::request_cancel(tx, shared, cid, reason).await?;
                    Ok((requested, requested))
                })
            },
            |_, _| {},
        ))
    }

    fn find_by_idempotency_key(
        &self,
        _: ServiceName,
        key: String,
        owner: Option<Principal>,
    ) -> BoxFuture<'_, Result<Option<Cid>>> {
        let key = idempotency_key(owner.as_ref(), &key);
        read!(self.reads, |link, _shared| lookup::by_idempotency_key(
            &link, &key
        ))
    }

    fn expired(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<Vec<Invocation>>> {
        let now = blob::nanos(now);
        read!(self.lists, |link, shared| status::expired(
            &link, shared, now, max
        ))
    }

    fn list_page(
        &self,
        filter: Filter,
        before: Option<u64>,
        size: PageSize,
    ) -> BoxFuture<'_, Result<Page>> {
        read!(self.lists, |link, shared| list::list(
            &link, shared, &filter, before, size
        ))
    }

    fn summarize(
        &self,
        filter: Filter,
        running: Arc<HashSet<Cid>>,
        before: Option<u64>,
    ) -> BoxFuture<'_, Result<SummaryPart>> {
        read!(self.lists, |link, shared| list::summarize(
            &link, shared, &filter, &running, before
        ))
    }

    fn get(&self, cid: Cid) -> BoxFuture<'_, Result<Stored>> {
        read!(self.reads, |link, shared| lookup::get(&link, shared, cid))
    }

    fn get_up_to(&self, cid: Cid, max_bytes: usize) -> BoxFuture<'_, Result<BoundedRead>> {
        read!(self.reads, |link, shared| lookup::get_up_to(
            &link, shared, cid, max_bytes
        ))
    }

    fn queue_place<'a>(
        &'a self,
        invocation: &'a Invocation,
        max: usize,
    ) -> BoxFuture<'a, Result<QueuePlace>> {
        let request = &invocation.request;
        read!(self.reads, |link, shared| claims::queue_place(
            &link, shared, request, max
        ))
    }

    fn pending_count(&self, service: &ServiceName) -> usize {
        self.shared.counts.pending(service)
    }

    fn pending_count_of(&self, owner: &Principal) -> usize {
        self.shared.counts.of_owner(owner)
    }

    fn awaiting_completion_count(&self, service: &ServiceName) -> usize {
        self.shared.counts.awaiting(service)
    }

    fn total_pending_count(&self) -> usize {
        self.shared.counts.total()
    }

    fn services_with_pending(&self) -> BoxFuture<'_, Result<Vec<ServiceName>>> {
        read!(self.reads, |link, shared| status::services_with_pending(
            &link, shared
        ))
    }

    fn oldest_due(&self, now: Timestamp) -> BoxFuture<'_, Result<Vec<OldestDue>>> {
        let now = blob::nanos(now);
        read!(self.reads, |link, shared| status::oldest_due(
            &link, shared, now
        ))
    }

    fn later_count(
        &self,
        service: ServiceName,
        now: Timestamp,
        max: usize,
    ) -> BoxFuture<'_, Result<usize>> {
        let now = blob::nanos(now);
        read!(self.reads, |link, shared| status::later_count(
            &link, shared, &service, now, max
        ))
    }

    fn recent_failures(
        &self,
        since: Timestamp,
        max: usize,
    ) -> BoxFuture<'_, Result<RecentFailures>> {
        let since = blob::nanos(since);
        read!(self.lists, |link, shared| status::recent_failures(
            &link, shared, since, max
        ))
    }

    fn held_count(&self) -> BoxFuture<'_, Result<usize>> {
        read!(self.lists, |link, _shared| status::held_count(&link))
    }

    fn usage(&self) -> BoxFuture<'_, Result<StoreUsage>> {
        let options = &self.shared.connector.options;
        Box::pin(std::future::ready(Ok(StoreUsage {
            bytes: self.shared.counts.bytes(),
            bytes_limit: options.bytes_limit,
            accept_limit: options.accept_limit(),
            empty: 0,
            disk: None,
        })))
    }

    fn purge(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<usize>> {
        let now = blob::nanos(now);
        Box::pin(async move {
            // No invocation is concerned more than another: any lane will do.
            let purged = self.lanes.work(
                Cid::new(),
                move |tx, _| {
                    Box::pin(async move { Ok((retention::purge(tx, now, max).await?, true)) })
                },
                |shared, (_, bytes)| shared.counts.removed(*bytes),
            );
            Ok(purged.await?.0)
        })
    }

    fn remove(&self, cid: Cid) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let removed = self.lanes.work(
                cid,
                move |tx, _| Box::pin(async move { Ok((retention::remove(tx, cid).await?, true)) }),
                |shared, (_, bytes)| shared.counts.removed(*bytes),
            );
            Ok(removed.await?.0)
        })
    }

    fn remember_declarations(
        &self,
        declarations: Vec<StoredDeclaration>,
    ) -> BoxFuture<'_, Result<()>> {
        read!(self.claims, |link, _shared| plain::remember(
            &link,
            &declarations
        ))
    }

    fn declarations(&self) -> BoxFuture<'_, Result<Vec<StoredDeclaration>>> {
        read!(self.reads, |link, _shared| plain::declarations(&link))
    }

    fn forget_declarations(&self, service: ServiceName) -> BoxFuture<'_, Result<()>> {
        read!(self.claims, |link, _shared| plain::forget(&link, &service))
    }

    fn set_control(&self, control: ServiceControl) -> BoxFuture<'_, Result<()>> {
        read!(self.claims, |link, _shared| plain::set_control(
            &link, &control
        ))
    }

    fn remove_control(&self, service: ServiceName) -> BoxFuture<'_, Result<()>> {
        read!(self.claims, |link, _shared| plain::remove_control(
            &link, &service
        ))
    }

    fn controls(&self) -> BoxFuture<'_, Result<Vec<ServiceControl>>> {
        read!(self.reads, |link, _shared| plain::controls(&link))
    }

    fn next_position(&self) -> u64 {
        self.shared.counts.last_id() + 1
    }

    fn save_operation(&self, operation: StoredOperation) -> BoxFuture<'_, Result<()>> {
        read!(self.claims, |link, shared| plain::save_operation(
            &link, shared, operation
        ))
    }

    fn operations(&self) -> BoxFuture<'_, Result<Vec<StoredOperation>>> {
        read!(self.lists, |link, shared| plain::operations(&link, shared))
    }

    fn remove_operations(&self, ids: Vec<OperationId>) -> BoxFuture<'_, Result<()>> {
        read!(self.claims, |link, _shared| plain::remove_operations(
            &link, &ids
        ))
    }

    fn save_api_key(&self, key: StoredApiKey) -> BoxFuture<'_, Result<()>> {
        read!(self.claims, |link, _shared| plain::save_api_key(
            &link, &key
        ))
    }

    fn api_keys(&self) -> BoxFuture<'_, Result<Vec<StoredApiKey>>> {
        read!(self.reads, |link, _shared| plain::api_keys(&link))
    }

    /// No failure of the database is for good: while one lasts, the store [is not reachable](Store::is_reachable).
    fn health(&self) -> Result<(), Error> {
        Ok(())
    }

    fn is_reachable(&self) -> bool {
        self.shared.is_reachable()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.closed.cancel();
        Box::pin(self.ended.cancelled())
    }

    fn ended(&self, cids: Vec<Cid>) -> BoxFuture<'_, Result<Vec<Cid>>> {
        read!(self.lists, |link, _shared| lookup::ended(&link, &cids))
    }
}
