//! What the engine needs of a store, as a contract in prose. `tests/it/store_contract/` has a test for each sentence.
//!
//! A store keeps what is written; it decides nothing. Which state follows which change is decided by
//! [`State::after`](crate::model::invocation::State::after), when by the engine.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::error::{Error, Result};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{
    AsyncCompletion, Event, Invocation, ProgressRecord, Request, State, failure_of,
};
use crate::service::BoxFuture;

/// Where invocations are kept.
///
/// All methods may be called at once by anybody. Where a future is dropped before it resolves, what was asked for may
/// have happened or not.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// What it is called: `memory`, `sqlite`.
    fn name(&self) -> &'static str;

    /// How often it was opened: the high half of the sequences given out now. Rises with each opening.
    fn generation(&self) -> u32;

    /// Stores a new invocation as pending, with its `Accepted` event. Durable when it resolves.
    ///
    /// Where the CID is known already, or the idempotency key, nothing is stored and the first request is answered, or
    /// its tombstone: also where there is no room for a new one.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `STORE_FULL`: room is kept for the outcomes of what was accepted before.
    fn accept(&self, invocation: Invocation) -> BoxFuture<'_, Result<Acceptance>>;

    /// Stores a group and its members, all of them or none. Durable when it resolves.
    ///
    /// A group is due once its last member has ended, and at once where it has none; it is claimed and recorded as what
    /// has [no service](ServiceName::none). Where its CID is known already, or its idempotency key, nothing is stored
    /// and it is answered as by [`accept`](Self::accept); nor is anything stored where a member is known, which is
    /// named then.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    fn accept_group(
        &self,
        group: Invocation,
        members: Vec<Invocation>,
    ) -> BoxFuture<'_, Result<Acceptance>>;

    /// The members of a group with their places, in that order; not those that have been removed.
    fn members(&self, group: Cid) -> BoxFuture<'_, Result<Vec<(u32, Cid)>>>;

    /// The first `max` children of an invocation in the order in which they were accepted: those that its handler
    /// invoked, and its callbacks.
    fn children(&self, parent: Cid, max: usize) -> BoxFuture<'_, Result<Vec<Child>>>;

    /// Takes up to `max` invocations of a service that are pending and due at `now`, or whose time
    /// is over then ([`Invocation::next_wakeup`]), those that are due longest first. Of those with the
    /// same concurrency key one at a time is taken.
    ///
    /// What was taken is not handed out again before it is [`record`](Self::record)ed as pending, or the store is
    /// opened again. Where one of a concurrency key waits for an outcome from outside ([`Record::completion`]), none of the
    /// others is taken.
    fn claim<'a>(
        &'a self,
        service: &'a ServiceName,
        now: Timestamp,
        max: usize,
    ) -> BoxFuture<'a, Result<Claim>>;

    /// Up to `max` pending invocations that are not claimed and whose time is over at `now` ([`Terms::expires_at`]): whether
    /// they are due or not, and whatever waits before them.
    ///
    /// [`Terms::expires_at`]: crate::model::invocation::Terms::over
    fn expired(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<Vec<Invocation>>>;

    /// Notes that attempts of recovered invocations are about to run. Durable when it resolves: where the node ends
    /// before a [`record`](Self::record) follows, they count as lost ([`Invocation::crash_count`]).
    fn record_attempts(&self, cids: Vec<Cid>) -> BoxFuture<'_, Result<()>>;

    /// Records what became of an invocation: its new state and the events since the last record, together or not at
    /// all, and with them the invocations that follow from it. Durable when it resolves.
    ///
    /// The first terminal record wins, and a claim beats whoever has none, and so does an attempt since then
    /// ([`Record::expected_attempts`]): answers whether this one was taken. What follows and is known already, by its CID or
    /// its key, is not accepted again.
    fn record(&self, record: Record) -> BoxFuture<'_, Result<bool>>;

    /// Notes that somebody wants an invocation cancelled whose handler runs ([`Invocation::cancel_requested`]): it is
    /// overdue from then on, whenever it is not claimed, unless it is a group. Durable when it resolves; answers
    /// whether it has not ended yet.
    fn request_cancel(&self, cid: Cid) -> BoxFuture<'_, Result<bool>>;

    /// The invocation that was accepted with an idempotency key, as long as it is kept: whatever its service, which may
    /// be another one.
    fn find_by_idempotency_key(
        &self,
        service: ServiceName,
        key: String,
    ) -> BoxFuture<'_, Result<Option<Cid>>>;

    /// Up to `max` invocations that a filter lets through, those accepted last first. `before` is the
    /// [`Page::next`] of the page before.
    fn list(&self, filter: Filter, before: Option<u64>, max: usize) -> BoxFuture<'_, Result<Page>>;

    /// Reads an invocation. A pending one says whether another one with its concurrency key comes first
    /// ([`Invocation::key_busy`]).
    fn get(&self, cid: Cid) -> BoxFuture<'_, Result<Stored>>;

    /// How many invocations of a service are pending. Kept, not counted; claimed ones are not pending.
    fn pending_count(&self, service: &ServiceName) -> usize;

    /// How many of them wait for an outcome from outside. Kept, not counted.
    fn awaiting_completion_count(&self, service: &ServiceName) -> usize;

    /// How many invocations are pending in all. Kept, not counted.
    fn total_pending_count(&self) -> usize;

    /// The services that have pending invocations: groups, which have none, do not count.
    fn services_with_pending(&self) -> BoxFuture<'_, Result<Vec<ServiceName>>>;

    /// Removes up to `max` invocations whose purge time has passed, leaving a tombstone of each, and tombstones that
    /// have been kept long enough. Answers how many were removed in all. The members of a group are kept until it has
    /// ended, and from then on as long as it is, or longer.
    fn purge(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<usize>>;

    /// Removes an invocation that has ended, whenever its purge time is, leaving a tombstone. Durable when it resolves;
    /// answers whether it was there and had ended, and so had the group that it is a member of.
    fn remove(&self, cid: Cid) -> BoxFuture<'_, Result<bool>>;

    /// Remembers what workers declare of services, all of it or nothing. The time at which a declaration was first seen
    /// stays. Durable when it resolves, in one commit however many there are.
    fn remember_declarations(
        &self,
        declarations: Vec<StoredDeclaration>,
    ) -> BoxFuture<'_, Result<()>>;

    /// All that was declared and not forgotten.
    fn declarations(&self) -> BoxFuture<'_, Result<Vec<StoredDeclaration>>>;

    /// Forgets what was declared of a service. Durable when it resolves.
    fn forget_declarations(&self, service: ServiceName) -> BoxFuture<'_, Result<()>>;

    /// Whether what is written is safe.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `STORE_FAILED` where the disk failed: nothing is written any more.
    fn health(&self) -> Result<()>;
}

/// What became of a request to accept.
#[derive(Clone, Debug)]
pub enum Acceptance {
    /// It is stored.
    Stored,
    /// The CID was accepted before, for this request.
    Known(Arc<Request>),
    /// The CID was accepted before and has been removed.
    Removed(Tombstone),
    /// Of a group: this member was accepted before, by its CID or its key.
    MemberKnown(Cid),
}

/// Which invocations are meant. What is empty, or not there, lets all through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one of these services.
    pub services: Vec<ServiceName>,
    /// In one of these states, as the store has them: what runs is pending there.
    pub states: Vec<State>,
    /// Or, whatever their state, these.
    pub cids: Vec<Cid>,
    /// Or waiting for an outcome from outside, or, as a group, for its members.
    pub include_waiting: bool,
    /// Accepted at or after this instant.
    pub accepted_after: Option<Timestamp>,
    /// Accepted before this instant.
    pub accepted_before: Option<Timestamp>,
    /// Ended at or after this instant.
    pub ended_after: Option<Timestamp>,
    /// Ended before this instant.
    pub ended_before: Option<Timestamp>,
    /// Failed for one of these reasons, the last time it was attempted.
    pub failure_reasons: Vec<String>,
    /// Invoked by this one.
    pub parent: Option<Cid>,
    /// Invoked by this one, or by one that it invoked, and so on.
    pub root: Option<Cid>,
    /// A member of this group.
    pub group: Option<Cid>,
}

/// A page of invocations.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Those accepted last first.
    pub invocations: Vec<Invocation>,
    /// Where the next page begins, if there is one.
    pub next: Option<u64>,
}

/// A child of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its CID.
    pub cid: Cid,
    /// Whether it is a callback: it gets the outcome of its parent.
    pub is_callback: bool,
}

/// Invocations taken from a store, to be run.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// Due ones, those that are due longest first.
    pub invocations: Vec<Invocation>,
    /// When the next one of the service is due, where none is due now.
    pub next_due: Option<Timestamp>,
}

/// What became of an invocation.
#[derive(Clone, Debug)]
pub struct Record {
    /// The invocation.
    pub cid: Cid,
    /// Its service: what is written of one does not keep the others waiting.
    pub service: ServiceName,
    /// Its state now: pending or terminal.
    pub state: State,
    /// How many attempts were started.
    pub attempts: u32,
    /// How often its worker was lost in the middle of an attempt, since one ended by itself.
    pub crash_count: u32,
    /// When it is due, if it is pending.
    pub due: Timestamp,
    /// When somebody has to look at it, if it is pending.
    pub next_wakeup: Timestamp,
    /// When its time is over, if it is pending and ever is.
    pub expires_at: Option<Timestamp>,
    /// When its first attempt started.
    pub first_attempt_time: Option<Timestamp>,
    /// The events since the last record, in order.
    pub events: Vec<Arc<Event>>,
    /// The last progress reported.
    pub progress: Option<Arc<ProgressRecord>>,
    /// Why the last attempt failed, if another one follows.
    pub last_failure: Option<Error>,
    /// When it ended, if it did.
    pub end_time: Option<Timestamp>,
    /// When it is to be removed, if it ended.
    pub purge_time: Option<Timestamp>,
    /// How long it is then remembered that it was there.
    pub tombstone_until: Option<Timestamp>,
    /// What is accepted together with it: callbacks.
    pub followed_by: Vec<Invocation>,
    /// Whether its outcome is awaited from outside, or came so.
    pub completion: Option<AsyncCompletion>,
    /// Of somebody who did not claim the invocation: how many attempts it had when that was decided. It is only taken
    /// where it is not claimed, and has not been attempted since.
    pub expected_attempts: Option<u32>,
}

impl Record {
    /// Why the invocation failed, or its last attempt, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&Error> {
        failure_of(&self.events, self.last_failure.as_ref())
    }
}

/// What a store knows of a CID.
#[derive(Clone, Debug)]
pub enum Stored {
    /// The invocation.
    Found(Box<Invocation>),
    /// It was there and has been removed.
    Removed(Tombstone),
    /// Never heard of it.
    Unknown,
}

/// What a worker declared of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDeclaration {
    /// The service.
    pub service: ServiceName,
    /// Names the declaration.
    pub hash: String,
    /// When it was first seen.
    pub first_time: Timestamp,
    /// When it was last seen.
    pub last_time: Timestamp,
    /// The declaration: a `cidery.v1.ServiceDeclaration`.
    pub declaration: Vec<u8>,
}

/// What is left of a removed invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// How it ended.
    pub state: State,
    /// When it ended.
    pub end_time: Timestamp,
}
