//! What a caller asks of an invocation beyond its input: when, until when, how often, and what follows.

use std::time::Duration;

use jiff::Timestamp;

use super::{RetryPolicy, State};
use crate::model::id::{Cid, ServiceName};

/// The terms under which an invocation was accepted. They never change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// When it is due for the first time. `None`: once it is accepted.
    pub start_time: Option<Timestamp>,
    /// When it gives up unless it has started.
    pub expire_time: Option<Timestamp>,
    /// When it must have ended, retries included.
    pub deadline: Option<Timestamp>,
    /// How failed attempts are repeated. `None`: the service's policy.
    pub retry_policy: Option<RetryPolicy>,
    /// Whether it is held, rather than failed, when no attempt is left.
    pub hold: bool,
    /// Services that are invoked with the response.
    pub callbacks: Vec<ServiceName>,
    /// Services that are invoked with the failure.
    pub failure_callbacks: Vec<ServiceName>,
    /// How long the outcome is kept. `None`: as the service says.
    pub retention: Option<Duration>,
    /// Makes acceptance safe to repeat.
    pub idempotency_key: Option<String>,
    /// At most one invocation with this key runs for the service, in order of due time.
    pub concurrency_key: Option<String>,
    /// Whether it is never attempted again by the platform, whatever becomes of the attempt.
    pub at_most_once: bool,
    /// The invocation whose outcome this one was invoked with.
    pub in_reply_to: Option<InReplyTo>,
    /// The invocation that it repeats.
    pub retry_of: Option<Cid>,
}

/// What a callback knows of the invocation whose outcome it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InReplyTo {
    /// Its CID.
    pub cid: Cid,
    /// Its service.
    pub service: ServiceName,
    /// The number of its last attempt.
    pub attempt: u32,
}

/// When what is held is due: never, unless somebody says so. The last instant that a store can tell from others.
pub const HELD: Timestamp = Timestamp::constant(9_223_372_036, 854_775_807);

impl Terms {
    /// The longest key, of either kind, in bytes.
    pub const MAX_KEY_BYTES: usize = 255;

    /// When somebody has to look at an invocation: when it is due, or when its time is over.
    #[must_use]
    pub fn next_wakeup(&self, state: State, due: Timestamp) -> Timestamp {
        self.expires_at(state).map_or(due, |over| over.min(due))
    }

    /// When its time is over, if ever: its expiration passes before it has started, or its deadline does.
    #[must_use]
    pub fn expires_at(&self, state: State) -> Option<Timestamp> {
        let never_started = matches!(state, State::Pending { started: false });
        let expires = self.expire_time.filter(|_| never_started);
        [expires, self.deadline].into_iter().flatten().min()
    }
}
