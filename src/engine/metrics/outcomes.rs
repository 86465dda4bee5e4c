//! How invocations come, how they end, and how many of each: those that did not succeed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::error::{Error, Kind};

/// How invocations come to a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InvocationKind {
    /// A synchronous call from outside that is not stored.
    Sync,
    /// A stored invocation: asynchronous, or a synchronous call that lasts.
    Async,
    /// A call of a handler, which waits for it.
    Nested,
    /// A callback of another invocation.
    Callback,
}

impl InvocationKind {
    /// Its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
            Self::Nested => "nested",
            Self::Callback => "callback",
        }
    }
}

/// How invocations end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutcomeKind {
    /// With a response.
    Succeeded,
    /// With a failure, deadlines included.
    Failed,
    /// By a cancellation, or because the caller disconnected.
    Cancelled,
    /// Not started before the expiration.
    Expired,
    /// Refused before a handler was started.
    Refused,
}

impl OutcomeKind {
    /// Its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Refused => "refused",
        }
    }

    /// That of an error of a handler.
    pub(super) fn of(error: &Error) -> Self {
        match error.kind() {
            Kind::Cancelled => Self::Cancelled,
            _ => Self::Failed,
        }
    }
}

/// How many invocations of one kind had one outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutcomeCount {
    /// How they came.
    pub kind: InvocationKind,
    /// How they ended.
    pub outcome: OutcomeKind,
    /// The kind of their error; `None` for those that succeeded.
    pub error: Option<Kind>,
    /// How many.
    pub count: u64,
}

/// Those that did not succeed. There are as many entries as kinds of invocations, outcomes and errors allow.
#[derive(Debug, Default)]
pub(super) struct Unsuccessful(Mutex<BTreeMap<Key, u64>>);

type Key = (InvocationKind, OutcomeKind, u8);

impl Unsuccessful {
    fn counts(&self) -> MutexGuard<'_, BTreeMap<Key, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, kind: InvocationKind, outcome: OutcomeKind, error: Kind) {
        let key = (kind, outcome, error.grpc_code());
        *self.counts().entry(key).or_default() += 1;
    }

    pub(super) fn read(&self) -> Vec<OutcomeCount> {
        let counts = self.counts();
        let each = counts
            .iter()
            .map(|((kind, outcome, code), count)| OutcomeCount {
                kind: *kind,
                outcome: *outcome,
                error: Kind::from_grpc_code(i32::from(*code)),
                count: *count,
            });
        each.collect()
    }
}
