//! What is written of an invocation.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::access::Principal;
use crate::model::error::Error;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{
    AsyncCompletion, Event, Invocation, ProgressRecord, State, failure_of,
};

/// The result of an attempt, or of an invocation.
#[derive(Clone, Debug)]
pub struct Record {
    /// Identifies the record where it is repeated: random.
    pub id: u64,
    /// The generation of the invocation when this was decided ([`Invocation::generation`]): that of the claim which
    /// the record is of or, without a claim, the one that begins with it.
    pub generation: u32,
    /// The invocation.
    pub cid: Cid,
    /// Its service, by which writes are scheduled round-robin.
    pub service: ServiceName,
    /// To whom it belongs ([`Request::owner`]): its pending invocations are counted.
    ///
    /// [`Request::owner`]: crate::model::invocation::Request::owner
    pub owner: Option<Principal>,
    /// Its new state: pending or terminal.
    pub state: State,
    /// How many attempts were started.
    pub attempts: u32,
    /// How often the node or a worker was lost during an attempt, since one ended by itself.
    pub crash_count: u32,
    /// When it is due, if it is pending.
    pub due: Timestamp,
    /// When it has to be claimed next, if it is pending: when it is due, or when it expires.
    pub next_wakeup: Timestamp,
    /// When it expires, if it is pending.
    pub expires_at: Option<Timestamp>,
    /// When its first attempt started.
    pub first_attempt_time: Option<Timestamp>,
    /// The events since the last record, in order.
    pub events: Vec<Arc<Event>>,
    /// The last progress that was reported.
    pub progress: Option<Arc<ProgressRecord>>,
    /// Why the last attempt failed, if another one follows.
    pub last_failure: Option<Error>,
    /// Whether it is deferred ([`Invocation::deferred`]).
    pub deferred: bool,
    /// When it ended, if it did.
    pub end_time: Option<Timestamp>,
    /// When it is purged, if it ended.
    pub purge_time: Option<Timestamp>,
    /// When its tombstone expires.
    pub tombstone_until: Option<Timestamp>,
    /// The invocations that are accepted with it: callbacks, and those that its handler invoked with its outcome.
    pub followed_by: Vec<Invocation>,
    /// The completion from outside that it waits for, or that it got.
    pub completion: Option<AsyncCompletion>,
    /// The guard of a record without a claim: the number of attempts when it was decided. Such a record is taken only
    /// if the invocation is not claimed and has had no further attempt.
    pub expected_attempts: Option<u32>,
}

impl Record {
    /// Why the invocation failed, or its last attempt.
    #[must_use]
    pub fn failure(&self) -> Option<&Error> {
        failure_of(&self.events, self.last_failure.as_ref())
    }
}
