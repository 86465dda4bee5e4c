//! The trait of a store, and its contract in prose. `tests/it/store_contract/` has a test for each sentence.
//!
//! A store makes no decisions. The next state of an invocation is decided by
//! [`State::after`](crate::model::invocation::State::after), and when it is written by the engine.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::backup::Backups;
use crate::engine::metrics::HistogramSnapshot;
pub use crate::engine::page_size::{LIST_PAGE_BYTES, PageSize};
pub use crate::engine::record::Record;
use crate::model::access::{ApiKey, Principal, Principals};
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
pub use crate::model::invocation::Filter;
use crate::model::invocation::{Invocation, Request, State, Summary};
use crate::model::operation::{OperationId, OperationProgress};
use crate::model::service_control::ServiceControl;
use crate::service::BoxFuture;

/// How long the engine waits before it retries what the store refused.
pub(in crate::engine) const STORE_RETRY_DELAY: Duration = Duration::from_secs(1);

/// How often a node looks for work that became due in a shared store without it.
pub(in crate::engine) const SHARED_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How many services [`Store::oldest_due`] looks at, at most. Each costs a look into an index.
pub const OLDEST_DUE_SERVICES: usize = 1_000;

/// A store of invocations.
///
/// All methods may be called concurrently. A write is durable once its future resolves, unless the store keeps nothing
/// beyond the process.
///
/// # Claims
///
/// A claim is the right of one session to run an invocation and to record what comes of it. A session is an opened
/// store: a store that only one process opens keeps its claims in memory, and loses them with the process. Where
/// several nodes share a store ([`is_shared`](Self::is_shared)), the owner of a claim is stored with the invocation,
/// and so is a counter of its claims: a node that was taken for dead can record nothing of what others run since.
///
/// # Cancel safety
///
/// If a future is dropped before it resolves, its write may or may not have happened.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The name of the backend: `memory`, `sqlite`.
    fn name(&self) -> &'static str;

    /// Whether other nodes use the store as well. Then work becomes due without this node, and what "reads a counter"
    /// is an estimate: exact of what this node did, and at most a few seconds behind what others did.
    fn is_shared(&self) -> bool {
        false
    }

    /// The generation of invocations that are accepted now ([`Invocation::generation`]): the upper half of the
    /// sequences of their first events. In a store that is not shared it is that of all invocations, and counts how
    /// often the store was opened, this time included.
    fn first_generation(&self) -> u32;

    /// The generations in which another store gave out events that this one never had: it began as a copy of that
    /// store. The first of them is the one that was copied, the last one that before the copy was opened.
    fn undone_generations(&self) -> Range<u32> {
        0..0
    }

    /// Stores a new invocation as pending, with its `Accepted` event.
    ///
    /// If its CID or its idempotency key is known, nothing is stored, and the reply is the first request or its
    /// tombstone, even when the store is full.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `STORE_FULL`: the rest of the room is reserved for the outcomes of accepted invocations.
    fn accept(&self, invocation: Invocation) -> BoxFuture<'_, Result<Acceptance>>;

    /// Stores a group and its members, all of them or none.
    ///
    /// A group has [no service](ServiceName::none): it is claimed and recorded under that name. It is due once its last
    /// member has ended, and at once if it has no members. If its CID or its idempotency key is known, nothing is
    /// stored, and the reply is that of [`accept`](Self::accept). If a member is known, nothing is stored, and the
    /// reply names the member.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    fn accept_group(
        &self,
        group: Invocation,
        members: Vec<Invocation>,
    ) -> BoxFuture<'_, Result<Acceptance>>;

    /// The members of a group that have not been removed, ordered by position.
    fn members(&self, group: Cid) -> BoxFuture<'_, Result<Vec<(u32, Cid)>>>;

    /// The first `max` children of an invocation in the order in which they were accepted: those that its handler
    /// invoked, and its callbacks.
    fn children(&self, parent: Cid, max: usize) -> BoxFuture<'_, Result<Vec<Child>>>;

    /// Claims pending invocations of a service that are due, or have expired, at `now` ([`Invocation::next_wakeup`]),
    /// those that have been due longest first, within the limit. Of those with the same concurrency key it claims one
    /// at a time. Where the first one has more bytes than the limit, it claims none ([`Claim::too_large`]).
    ///
    /// A claimed invocation is not claimed again until it is [recorded](Self::record) as pending, or its session is
    /// lost: the store is opened again or, where nodes share it, the others have heard nothing of the node that claimed
    /// it. It is [recovered](Invocation::recovered) then. While one with a concurrency key waits for an outcome from
    /// outside ([`Record::completion`]), no other one with that key is claimed.
    fn claim<'a>(
        &'a self,
        service: &'a ServiceName,
        now: Timestamp,
        limit: ClaimLimit,
    ) -> BoxFuture<'a, Result<Claim>>;

    /// Up to `max` pending, unclaimed invocations that have expired at `now` ([`Invocation::expires_at`]), whether or
    /// not they are due and their concurrency key is busy.
    fn expired(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<Vec<Invocation>>>;

    /// Records that attempts of recovered invocations are about to start, and counts each as a crash
    /// ([`Invocation::crash_count`]) in advance: it stays counted unless a [record](Self::record) resets it. A store
    /// whose claims outlast their session counts the crash once the session is lost instead.
    fn record_attempts(&self, cids: Vec<Cid>) -> BoxFuture<'_, Result<()>>;

    /// Records the result of an attempt, or of an invocation: its new state, the events since the last record and the
    /// invocations that follow from it, all of it or nothing. Releases the claim.
    ///
    /// Returns whether the record was taken. The first terminal record wins. A record of a claim is taken only while
    /// that claim lasts: not after another record, and not once it was lost. A record without a claim loses to a claim,
    /// and to an attempt that was recorded since ([`Record::expected_attempts`]). An invocation that follows and is
    /// known, by its CID or its idempotency key, is not accepted again.
    ///
    /// After an error the record may be repeated with the same [`Record::id`]: it is taken once, and the reply is
    /// whether it was taken at all. A record sets values and counts nothing up.
    fn record(&self, record: Record) -> BoxFuture<'_, Result<bool>>;

    /// Records that the cancellation of a running invocation was requested ([`Invocation::cancel_requested`]), and
    /// returns whether the invocation has not ended yet. Unless it is a group, it has expired from then on, whenever it
    /// is not claimed. The reason of the first request that has one is kept ([`Invocation::cancel_reason`]) until the
    /// invocation has ended.
    fn request_cancel(
        &self,
        cid: Cid,
        cancel_reason: Option<String>,
    ) -> BoxFuture<'_, Result<bool>>;

    /// The invocation that was accepted with an idempotency key, until it is removed. A key identifies one invocation
    /// of its owner ([`Request::owner`]), whatever its service: two owners, or one and nobody, have their keys apart.
    /// `service` decides between several in a store of an earlier format.
    fn find_by_idempotency_key(
        &self,
        service: ServiceName,
        key: String,
        owner: Option<Principal>,
    ) -> BoxFuture<'_, Result<Option<Cid>>>;

    /// A page of up to `max` invocations that match a filter, those that were accepted last first. `before` is the
    /// [`Page::next`] of the previous page.
    ///
    /// A page has roughly [`LIST_PAGE_BYTES`] at most, and at least one invocation if there is one; where the store
    /// has to read many invocations that do not match, it may have fewer, or none, before the last page. Invocations
    /// that cannot be read are left out. A filter may have what is held besides some states
    /// ([`Filter::include_held`]), and leave out what was retried ([`Filter::not_retried`]).
    fn list(&self, filter: Filter, before: Option<u64>, max: usize) -> BoxFuture<'_, Result<Page>> {
        self.list_page(filter, before, PageSize::of(max))
    }

    /// As [`list`](Self::list), with roughly so many bytes at most.
    fn list_page(
        &self,
        filter: Filter,
        before: Option<u64>,
        size: PageSize,
    ) -> BoxFuture<'_, Result<Page>>;

    /// Counts the invocations that match a filter by service, state, whether they are held, and reason of the last
    /// failure: a part of them, those that were accepted last first. `before` is the [`SummaryPart::next`] of the
    /// previous part; an invocation is in one part, whatever happens between two of them.
    ///
    /// Those among `running` count as running, as do those that wait for an outcome from outside or for their members.
    fn summarize(
        &self,
        filter: Filter,
        running: Arc<HashSet<Cid>>,
        before: Option<u64>,
    ) -> BoxFuture<'_, Result<SummaryPart>>;

    /// Reads an invocation. A pending one shows whether its concurrency key is busy ([`Invocation::key_busy`]), one
    /// that was retried the last invocation that was accepted with it as [`Terms::retry_of`]
    /// ([`Invocation::retried_as`]), as it does in lists.
    ///
    /// [`Terms::retry_of`]: crate::model::invocation::Terms::retry_of
    fn get(&self, cid: Cid) -> BoxFuture<'_, Result<Stored>>;

    /// Those of the invocations that have ended, removed ones included.
    fn ended(&self, cids: Vec<Cid>) -> BoxFuture<'_, Result<Vec<Cid>>> {
        Box::pin(async move {
            let mut ended = Vec::new();
            for cid in cids {
                match self.get(cid).await? {
                    Stored::Found(found) if !found.state.is_terminal() => {}
                    Stored::Unknown => {}
                    Stored::Found(_) | Stored::Removed(_) => ended.push(cid),
                }
            }
            Ok(ended)
        })
    }

    /// Reads an invocation if its request and its events have at most `max_bytes`; otherwise returns their size.
    fn get_up_to(&self, cid: Cid, max_bytes: usize) -> BoxFuture<'_, Result<BoundedRead>>;

    /// What a pending invocation waits behind: how many unclaimed invocations of its service are claimed before it,
    /// counted up to `max`, and the invocation that holds its concurrency key. Nothing if it is claimed, or has ended.
    /// Those that are claimed or recorded meanwhile may be counted or not.
    fn queue_place<'a>(
        &'a self,
        invocation: &'a Invocation,
        max: usize,
    ) -> BoxFuture<'a, Result<QueuePlace>>;

    /// The number of pending invocations of a service; claimed ones are not pending. Reads a counter, and decides what
    /// is accepted; in a shared store it does not decide whether there is something to claim.
    fn pending_count(&self, service: &ServiceName) -> usize;

    /// The number of pending invocations that belong to a principal ([`Request::owner`]), whatever their service;
    /// groups, and those that are claimed, do not count. Reads a counter.
    fn pending_count_of(&self, owner: &Principal) -> usize;

    /// How many invocations of a service wait for an outcome from outside. Reads a counter.
    fn awaiting_completion_count(&self, service: &ServiceName) -> usize;

    /// The number of pending invocations of all services, groups included, and of the callbacks that are promised by
    /// invocations which were accepted since the store was opened and have not ended
    /// ([`Request::promised_callbacks`]). Reads a counter.
    fn total_pending_count(&self) -> usize;

    /// The services with pending invocations. Groups, which have no service, do not count.
    fn services_with_pending(&self) -> BoxFuture<'_, Result<Vec<ServiceName>>>;

    /// Of each service with pending invocations, the one that has been due longest at `now` and is neither claimed nor
    /// waits for its concurrency key or an outcome from outside; none of a service without such an invocation. In no
    /// particular order. Of more than [`OLDEST_DUE_SERVICES`] services, it looks at those with most pending ones.
    fn oldest_due(&self, now: Timestamp) -> BoxFuture<'_, Result<Vec<OldestDue>>>;

    /// The number of pending invocations of a service that need not be claimed at `now`, but later, counted up to
    /// `max`: those that are due later, are held, or wait for an outcome from outside. Of those with the same
    /// concurrency key the first one counts alone.
    fn later_count(
        &self,
        service: ServiceName,
        now: Timestamp,
        max: usize,
    ) -> BoxFuture<'_, Result<usize>>;

    /// Counts the invocations that failed at `since` or later by service and reason: of more than `max`, those that
    /// failed last. The example of a summary is the last one. Reads no other invocations.
    fn recent_failures(
        &self,
        since: Timestamp,
        max: usize,
    ) -> BoxFuture<'_, Result<RecentFailures>>;

    /// The number of held invocations ([`HELD`](crate::model::invocation::HELD)).
    fn held_count(&self) -> BoxFuture<'_, Result<usize>>;

    /// How much room the store has.
    fn usage(&self) -> BoxFuture<'_, Result<StoreUsage>>;

    /// What the store has counted of its commits since it was opened. Reads counters.
    fn metrics(&self) -> StoreMetrics {
        StoreMetrics::default()
    }

    /// Removes up to `max` invocations whose purge time has passed and leaves a tombstone of each, then tombstones that
    /// have expired. Returns how many were removed in all. The members of a group are kept until it has ended, and from
    /// then on at least as long as the group.
    fn purge(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<usize>>;

    /// Removes an invocation that has ended, whatever its purge time, and leaves a tombstone. Returns `false` if it is
    /// unknown, has not ended, or is a member of a group that has not ended.
    fn remove(&self, cid: Cid) -> BoxFuture<'_, Result<bool>>;

    /// Remembers what workers declare of services, all of it or nothing, in one commit. The time at which a declaration
    /// was first seen stays, and its principal.
    fn remember_declarations(
        &self,
        declarations: Vec<StoredDeclaration>,
    ) -> BoxFuture<'_, Result<()>>;

    /// All declarations that have not been forgotten.
    fn declarations(&self) -> BoxFuture<'_, Result<Vec<StoredDeclaration>>>;

    /// Forgets all declarations of a service, and its control.
    fn forget_declarations(&self, service: ServiceName) -> BoxFuture<'_, Result<()>>;

    /// Remembers that a service is paused or disabled, in place of what was remembered of it.
    fn set_control(&self, control: ServiceControl) -> BoxFuture<'_, Result<()>>;

    /// Forgets that a service is paused or disabled.
    fn remove_control(&self, service: ServiceName) -> BoxFuture<'_, Result<()>>;

    /// The paused and disabled services.
    fn controls(&self) -> BoxFuture<'_, Result<Vec<ServiceControl>>>;

    /// Where a list begins that has all invocations which have been accepted so far, and none that is accepted later:
    /// the `before` of a [list](Self::list). Reads a counter.
    fn next_position(&self) -> u64;

    /// Stores an operation, or replaces what is stored of it, even when the store is full.
    fn save_operation(&self, operation: StoredOperation) -> BoxFuture<'_, Result<()>>;

    /// All operations that have not been removed. Those that cannot be read are left out.
    fn operations(&self) -> BoxFuture<'_, Result<Vec<StoredOperation>>>;

    /// Removes operations. Those that are unknown are ignored.
    fn remove_operations(&self, ids: Vec<OperationId>) -> BoxFuture<'_, Result<()>>;

    /// Reads the keys of an encrypted store again. Once this resolves, what is written is encrypted with the first one;
    /// those that it had before still decrypt, until the store is opened again. A store without keys does nothing.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` or `INVALID_ARGUMENT` / `STORE_KEY_INVALID`: the file cannot be used, or an id has another
    /// key than before. The keys are then those from before.
    fn reload_keys(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Stores an API key, or replaces what is stored of it, even when the store is full.
    fn save_api_key(&self, key: StoredApiKey) -> BoxFuture<'_, Result<()>>;

    /// All API keys that were ever stored, in no particular order.
    ///
    /// # Errors
    ///
    /// `DATA_LOSS` / `STORE_DAMAGED` where one cannot be read: a key that is left out could be a revoked one.
    fn api_keys(&self) -> BoxFuture<'_, Result<Vec<StoredApiKey>>>;

    /// Whether the store accepts writes.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `STORE_FAILED`: the disk failed, or the files are gone, and nothing is written any more.
    /// `DATA_LOSS` / `STORE_DAMAGED`: the same, because the files are damaged.
    fn health(&self) -> Result<()>;

    /// Whether the store answers. Where it does not, it may again: calls fail with `STORE_FAILED` until then, and the
    /// node says in its health that it does not serve.
    fn is_reachable(&self) -> bool {
        true
    }

    /// Ends the session of the store: other nodes need not wait for what it has claimed. Nothing is written after that.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// The copies of the store; `None` if it keeps nothing beyond the process.
    fn backups(&self) -> Option<&dyn Backups> {
        None
    }
}

/// The reply to a request to accept an invocation or a group.
#[derive(Clone, Debug)]
pub enum Acceptance {
    /// It is stored.
    Stored,
    /// Its CID or its idempotency key was accepted before, with this request.
    Known(Arc<Request>),
    /// Its CID was accepted before, and the invocation has been removed.
    Removed(Tombstone),
    /// This member of the group was accepted before, by its CID or its idempotency key.
    MemberKnown(Cid),
}

/// The invocation of a service that has been due longest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldestDue {
    /// The service.
    pub service: ServiceName,
    /// The invocation.
    pub cid: Cid,
    /// When it was due.
    pub due: Timestamp,
}

/// How much room a store has, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreUsage {
    /// How much of it is used.
    pub bytes: u64,
    /// Its size as it was configured. The outcomes of accepted invocations are stored beyond it, too.
    pub bytes_limit: u64,
    /// How much it may use before it refuses new work. The rest is reserved for the outcomes of accepted invocations.
    pub accept_limit: u64,
    /// How much of its file is empty: new work uses that first, and once it is more than a quarter of the file, it is
    /// returned to the disk.
    pub empty: u64,
    /// The disk; `None` for a store in memory, or where the system does not tell.
    pub disk: Option<DiskUsage>,
}

/// What a store has counted of its commits. A store in memory has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreMetrics {
    /// How long commits took, their sync included, in seconds.
    pub commit_duration: HistogramSnapshot,
    /// How many rows they wrote.
    pub commit_rows: HistogramSnapshot,
    /// How many bytes the write-ahead log had at the last commit.
    pub wal_bytes: u64,
    /// How many bytes of writes wait for a commit.
    pub queued_bytes: u64,
}

/// The room on the disk of a store, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskUsage {
    /// How much is free for the user of the node.
    pub free: u64,
    /// How much it has.
    pub total: u64,
    /// How much must stay free: new work is refused beyond that.
    pub min_free: u64,
}

/// A page of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The invocations, those that were accepted last first.
    pub invocations: Vec<Invocation>,
    /// Where the next page begins, if there is one.
    pub next: Option<u64>,
}

/// A part of a summary.
#[derive(Clone, Debug, Default)]
pub struct SummaryPart {
    /// The counts of this part, in no order.
    pub summaries: Vec<Summary>,
    /// Where the next part begins, if there is one.
    pub next: Option<u64>,
}

/// The invocations that failed since some time.
#[derive(Clone, Debug, Default)]
pub struct RecentFailures {
    /// Their counts, in no order.
    pub summaries: Vec<Summary>,
    /// Whether there are more than were counted.
    pub has_more: bool,
}

/// A child of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its CID.
    pub cid: Cid,
    /// Whether it is a callback: it gets the outcome of its parent.
    pub is_callback: bool,
}

/// What a pending invocation waits behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueuePlace {
    /// How many unclaimed invocations of its service are claimed before it.
    pub ahead: usize,
    /// If it waits for its concurrency key: the invocation that holds it, or comes first.
    pub key_holder: Option<Cid>,
}

/// How much one claim takes, at most.
#[derive(Clone, Copy, Debug)]
pub struct ClaimLimit {
    /// How many invocations.
    pub invocations: usize,
    /// How many bytes their requests and their events have, roughly.
    pub bytes: usize,
}

impl ClaimLimit {
    /// A limit on the number of invocations alone.
    #[must_use]
    pub fn invocations(invocations: usize) -> Self {
        Self {
            invocations,
            bytes: usize::MAX,
        }
    }
}

/// Claimed invocations.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// The invocations, those that have been due longest first.
    pub invocations: Vec<Invocation>,
    /// When the next invocation of the service is due, if fewer than the limit allows are due now.
    pub next_due: Option<Timestamp>,
    /// How many bytes the first invocation has, if it has more than the limit: nothing is claimed then.
    pub too_large: Option<usize>,
}

/// What a store contains under a CID.
#[derive(Clone, Debug)]
pub enum Stored {
    /// The invocation.
    Found(Box<Invocation>),
    /// The tombstone of an invocation that was removed.
    Removed(Tombstone),
    /// Nothing.
    Unknown,
}

/// What [`Store::get_up_to`] returns.
#[derive(Clone, Debug)]
pub enum BoundedRead {
    /// What the store contains.
    Read(Stored),
    /// The invocation has so many bytes, which is more than was asked for.
    Larger(usize),
}

/// A declaration of a service by a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDeclaration {
    /// The service.
    pub service: ServiceName,
    /// The hash of the declaration.
    pub hash: String,
    /// When it was first seen.
    pub first_time: Timestamp,
    /// When it was last seen.
    pub last_time: Timestamp,
    /// The encoded `cidery.v1.ServiceDeclaration`.
    pub declaration: Vec<u8>,
    /// The principal of the worker that declared it first; `None` where it had none, or it is not known.
    pub principal: Option<Principal>,
}

/// An operation over many invocations, and how far it is.
#[derive(Clone, Debug)]
pub struct StoredOperation {
    /// Its identifier.
    pub id: OperationId,
    /// When it was started.
    pub create_time: Timestamp,
    /// What was asked: an encoded `cidery.v1.Operation`.
    pub request: Vec<u8>,
    /// Where its next page begins: the `before` of a [list](Store::list).
    pub position: u64,
    /// How far it is.
    pub progress: OperationProgress,
}

/// An API key, and what is kept of its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredApiKey {
    /// The key.
    pub key: ApiKey,
    /// The hash of its secret.
    pub secret_hash: SecretHash,
}

/// The SHA-256 of a secret of 256 random bits. Nobody can guess such a secret, however fast the hash is: a slow one
/// would protect nothing, and each call would pay for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(pub [u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash")
    }
}

/// What a store keeps of an invocation that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Its terminal state.
    pub state: State,
    /// When it ended.
    pub end_time: Timestamp,
    /// To whom it belonged: who acted, and its group.
    pub owner: Option<Arc<Principals>>,
}
