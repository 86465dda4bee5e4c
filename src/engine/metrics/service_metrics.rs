//! What is counted of one service.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::histogram::{Histogram, HistogramSnapshot, SECONDS};
use super::outcomes::{InvocationKind, OutcomeCount, OutcomeKind, Unsuccessful};
use super::shard::{SHARDS, shard};
use crate::model::error::{Error, Kind};

/// How many services are named in metrics. The others are counted together.
const MAX_NAMED: usize = 1_000;

/// Room for the names of services.
#[derive(Clone, Debug)]
pub(in crate::engine) struct NameRoom(Arc<Semaphore>);

impl Default for NameRoom {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_NAMED)))
    }
}

/// What is counted of one service. Most services are never called: they take little room.
#[derive(Debug)]
pub(in crate::engine) struct ServiceMetrics {
    calls: OnceLock<Box<[Calls; SHARDS]>>,
    queue_wait: OnceLock<Box<Histogram>>,
    unsuccessful: Unsuccessful,
    /// The stored invocations that succeeded: callbacks, and all others.
    callbacks: AtomicU64,
    stored: AtomicU64,
    attempts: AtomicU64,
    retries: AtomicU64,
    crashes: AtomicU64,
    /// Whether metrics name the service, once that is decided.
    name: OnceLock<Option<OwnedSemaphorePermit>>,
    room: NameRoom,
}

/// What every call adds to: the copy of one core, in cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Calls {
    /// Calls from outside that succeeded.
    sync: AtomicU64,
    /// Nested calls that succeeded.
    nested: AtomicU64,
    /// Attempts that succeeded.
    attempts: AtomicU64,
    /// How long handlers ran, whatever their outcome.
    duration: Histogram,
}

/// What ran a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Run {
    /// A call from outside.
    Sync,
    /// A nested call.
    Nested,
    /// An attempt of a stored invocation.
    Attempt,
}

impl ServiceMetrics {
    pub(in crate::engine) fn new(room: NameRoom) -> Self {
        Self {
            calls: OnceLock::new(),
            queue_wait: OnceLock::new(),
            unsuccessful: Unsuccessful::default(),
            callbacks: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            attempts: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            crashes: AtomicU64::new(0),
            name: OnceLock::new(),
            room,
        }
    }

    #[inline]
    fn calls(&self) -> &Calls {
        shard(self.calls.get_or_init(Box::default))
    }

    /// Counts a handler that has returned a response.
    #[inline]
    pub(in crate::engine) fn answered(&self, run: Run, elapsed: Duration) {
        let calls = self.calls();
        let count = match run {
            Run::Sync => &calls.sync,
            Run::Nested => &calls.nested,
            Run::Attempt => &calls.attempts,
        };
        count.fetch_add(1, Ordering::Relaxed);
        calls.duration.observe_duration(elapsed);
    }

    /// Counts a handler that has ended without a response.
    pub(in crate::engine) fn ran(&self, elapsed: Duration) {
        self.calls().duration.observe_duration(elapsed);
    }

    /// How many handlers have returned a response.
    pub(in crate::engine) fn answers(&self) -> u64 {
        let calls = self.calls.get().map(|calls| &**calls).into_iter().flatten();
        let answers = calls.map(|calls| {
            [&calls.sync, &calls.nested, &calls.attempts].map(|count| count.load(Ordering::Relaxed))
        });
        answers.flatten().sum()
    }

    /// Counts a call that failed, or whose caller disconnected.
    pub(in crate::engine) fn failed(&self, kind: InvocationKind, error: &Error) {
        let outcome = OutcomeKind::of(error);
        self.unsuccessful.count(kind, outcome, error.kind());
    }

    /// Counts a call whose caller disconnected.
    pub(in crate::engine) fn abandoned(&self, kind: InvocationKind) {
        let outcome = OutcomeKind::Cancelled;
        self.unsuccessful.count(kind, outcome, Kind::Cancelled);
    }

    /// Counts a call, or an invocation to be accepted, that was refused before a handler was started.
    pub(in crate::engine) fn refused(&self, kind: InvocationKind, error: &Error) {
        let outcome = OutcomeKind::Refused;
        self.unsuccessful.count(kind, outcome, error.kind());
    }

    /// Counts an attempt of a stored invocation.
    pub(in crate::engine) fn attempted(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts how long a stored invocation waited from when it was due to its attempt.
    pub(in crate::engine) fn waited(&self, waited: Duration) {
        let queue_wait = self.queue_wait.get_or_init(Box::default);
        queue_wait.observe_duration(waited);
    }

    /// Counts an attempt or a call that was lost with its worker, or with the node.
    pub(in crate::engine) fn crashed(&self) {
        self.crashes.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a stored invocation that has ended.
    pub(in crate::engine) fn ended(
        &self,
        kind: InvocationKind,
        outcome: OutcomeKind,
        error: Option<Kind>,
    ) {
        match (error, kind) {
            (Some(error), kind) => self.unsuccessful.count(kind, outcome, error),
            (None, InvocationKind::Callback) => {
                self.callbacks.fetch_add(1, Ordering::Relaxed);
            }
            (None, _) => {
                self.stored.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Counts an attempt that failed and is followed by another.
    pub(in crate::engine) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// How its invocations and calls ended. Those without any are left out.
    pub(in crate::engine) fn outcomes(&self) -> Vec<OutcomeCount> {
        let calls = self.calls.get().map(|calls| &**calls).into_iter().flatten();
        let (mut sync, mut nested) = (0, 0);
        for calls in calls {
            sync += calls.sync.load(Ordering::Relaxed);
            nested += calls.nested.load(Ordering::Relaxed);
        }
        let succeeded = [
            (InvocationKind::Sync, sync),
            (InvocationKind::Async, self.stored.load(Ordering::Relaxed)),
            (InvocationKind::Nested, nested),
            (
                InvocationKind::Callback,
                self.callbacks.load(Ordering::Relaxed),
            ),
        ];
        let succeeded = succeeded.into_iter().filter(|(_, count)| *count > 0);
        let succeeded = succeeded.map(|(kind, count)| OutcomeCount {
            kind,
            outcome: OutcomeKind::Succeeded,
            error: None,
            count,
        });
        succeeded.chain(self.unsuccessful.read()).collect()
    }

    /// Whether nothing was counted yet.
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.calls.get().is_none() && self.outcomes().is_empty()
    }

    /// How long handlers ran.
    pub(in crate::engine) fn duration(&self) -> HistogramSnapshot {
        let calls = self.calls.get().map(|calls| &**calls).into_iter().flatten();
        Histogram::snapshot(&SECONDS, calls.map(|calls| &calls.duration))
    }

    /// How long stored invocations waited.
    pub(in crate::engine) fn queue_wait(&self) -> HistogramSnapshot {
        Histogram::snapshot(
            &SECONDS,
            self.queue_wait.get().map(|queue_wait| &**queue_wait),
        )
    }

    /// How many attempts of stored invocations have started.
    pub(in crate::engine) fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// How many attempts failed and were followed by another.
    pub(in crate::engine) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// How many attempts and calls were lost.
    pub(in crate::engine) fn crashes(&self) -> u64 {
        self.crashes.load(Ordering::Relaxed)
    }

    /// Whether metrics name the service: decided when it is asked first, for as long as the service exists. A series
    /// must not move from one name to another.
    pub(in crate::engine) fn is_named(&self) -> bool {
        let name = || Arc::clone(&self.room.0).try_acquire_owned().ok();
        self.name.get_or_init(name).is_some()
    }
}
