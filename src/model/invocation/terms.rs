//! The terms of an invocation: schedule, expiration, deadline, retries, holding as a dead letter, callbacks, retention,
//! keys.

use std::time::Duration;

use jiff::Timestamp;

use super::{RetryPolicy, State};
use crate::model::id::{Cid, ServiceName};

/// The terms under which an invocation was accepted. They never change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// When it is due for the first time. `None`: immediately.
    pub start_time: Option<Timestamp>,
    /// When it expires unless it has started.
    pub expire_time: Option<Timestamp>,
    /// When it must have ended, retries included.
    pub deadline: Option<Timestamp>,
    /// The retry policy. `None`: the service's.
    pub retry_policy: Option<RetryPolicy>,
    /// What becomes of it when no attempt is left. `None`: as the service declares.
    pub on_exhausted: Option<OnExhausted>,
    /// Services that are invoked with the response.
    pub callbacks: Vec<ServiceName>,
    /// Services that are invoked with the failure.
    pub failure_callbacks: Vec<ServiceName>,
    /// The retention of the outcome. `None`: the service's.
    pub retention: Option<Duration>,
    /// Idempotency key, which makes acceptance safe to retry.
    pub idempotency_key: Option<String>,
    /// At most one invocation with this key runs for the service, in order of due time.
    pub concurrency_key: Option<String>,
    /// Whether the platform attempts it at most once, even where the attempt is lost.
    pub at_most_once: bool,
    /// The invocation whose outcome this one was invoked with.
    pub in_reply_to: Option<InReplyTo>,
    /// The invocation that it retries.
    pub retry_of: Option<Cid>,
}

/// What becomes of an asynchronous invocation when no attempt is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExhausted {
    /// It fails.
    #[default]
    Fail,
    /// It is held as a dead letter ([`HELD`]) until an operator retries or cancels it, or its deadline passes.
    Hold,
}

/// The invocation whose outcome a callback is invoked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InReplyTo {
    /// Its CID.
    pub cid: Cid,
    /// Its service.
    pub service: ServiceName,
    /// The number of its last attempt.
    pub attempt: u32,
}

/// The due time of held invocations (dead letters): the last instant that a store can represent.
///
/// Held invocations are the dead-letter queue: no attempt is left, and they wait until an operator retries or cancels
/// them.
pub const HELD: Timestamp = Timestamp::constant(9_223_372_036, 854_775_807);

impl Terms {
    /// The longest key, of either kind, in bytes.
    pub const MAX_KEY_BYTES: usize = 255;

    /// When the scheduler has to process an invocation: when it is due, or when it expires.
    #[must_use]
    pub fn next_wakeup(&self, state: State, due: Timestamp) -> Timestamp {
        self.expires_at(state)
            .map_or(due, |expires_at| expires_at.min(due))
    }

    /// When it expires, if ever: at its expiration where it has not started, or at its deadline.
    #[must_use]
    pub fn expires_at(&self, state: State) -> Option<Timestamp> {
        let never_started = matches!(state, State::Pending { started: false });
        let expires = self.expire_time.filter(|_| never_started);
        [expires, self.deadline].into_iter().flatten().min()
    }
}
