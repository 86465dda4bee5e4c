//! The tally of one service: how many of its calls and attempts failed in the last hour, and why. What succeeds is
//! counted by the metrics of the service alone; failures take a short lock.
//!
//! It knows no clock: [`Tally::advance`] is called each minute.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::engine::metrics::{InvocationKind, NameRoom, Run, ServiceMetrics};
use crate::model::error::{Error, Kind, reason};
use crate::model::id::Cid;

/// How many minutes are kept.
const MINUTES: usize = 60;
/// How many reasons are kept of one service. Failures with other reasons are counted without theirs.
const MAX_REASONS: usize = 20;
/// How many reasons are kept of all services.
const MAX_NODE_REASONS: usize = 20_000;
/// How many characters of a message are kept.
const MAX_MESSAGE: usize = 500;

/// How many calls and attempts of a service succeeded and failed.
#[derive(Debug)]
pub(in crate::engine) struct Tally {
    /// What is counted for as long as the node runs.
    pub(in crate::engine) metrics: ServiceMetrics,
    /// Those that did not fail, since the window last looked, besides the answers that the metrics have.
    answered: AtomicU64,
    window: Mutex<Window>,
    room: ReasonRoom,
}

/// Room for what the tallies of all services keep.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct TallyRoom {
    reasons: ReasonRoom,
    names: NameRoom,
}

/// Room for the reasons of all services.
#[derive(Clone, Debug)]
struct ReasonRoom(Arc<Semaphore>);

impl Default for ReasonRoom {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_NODE_REASONS)))
    }
}

/// The last hour.
#[derive(Debug, Default)]
struct Window {
    /// The answers that the metrics had when the window last looked.
    answers: u64,
    answered: Minutes,
    failed: Minutes,
    /// How many have failed in all: tells which reason is the last one.
    failures: u64,
    reasons: Vec<ReasonTally>,
}

/// The failures with one reason.
#[derive(Debug)]
struct ReasonTally {
    reason: String,
    failed: Minutes,
    /// The last of them: which of all failures it is.
    last: u64,
    example: Cid,
    message: String,
    _room: OwnedSemaphorePermit,
}

/// Counts by minute, the current one last. Empty until something is counted.
#[derive(Debug, Default)]
struct Minutes(VecDeque<u32>);

/// What failed in some minutes, by reason.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Failures {
    /// How many calls and attempts there were.
    pub(in crate::engine) calls: u64,
    /// How many of them failed.
    pub(in crate::engine) failed: u64,
    /// By reason, the most frequent first.
    pub(in crate::engine) reasons: Vec<ReasonFailures>,
}

/// The failures with one reason.
#[derive(Clone, Debug)]
pub(in crate::engine) struct ReasonFailures {
    pub(in crate::engine) reason: String,
    pub(in crate::engine) failed: u64,
    /// The CID and the message of the last one.
    pub(in crate::engine) example: Cid,
    pub(in crate::engine) message: String,
}

impl Tally {
    pub(in crate::engine) fn new(room: TallyRoom) -> Arc<Self> {
        Arc::new(Self {
            metrics: ServiceMetrics::new(room.names),
            answered: AtomicU64::new(0),
            window: Mutex::default(),
            room: room.reasons,
        })
    }

    /// Counts a call that has ended. Without the instant at which its handler started, one that fails was refused.
    #[inline]
    pub(in crate::engine) fn call_ended<T>(
        &self,
        kind: InvocationKind,
        cid: Cid,
        started: Option<Instant>,
        outcome: &Result<T, Error>,
    ) {
        match (outcome, started) {
            (Ok(_), Some(started)) => {
                let run = match kind {
                    InvocationKind::Nested => Run::Nested,
                    _ => Run::Sync,
                };
                self.metrics.answered(run, started.elapsed());
            }
            (Ok(_), None) => self.metrics.answered(Run::Sync, Duration::ZERO),
            (Err(error), started) => self.call_failed(kind, cid, started, error),
        }
    }

    #[cold]
    fn call_failed(&self, kind: InvocationKind, cid: Cid, started: Option<Instant>, error: &Error) {
        match started {
            Some(started) => {
                self.metrics.ran(started.elapsed());
                self.metrics.failed(kind, error);
            }
            None => self.metrics.refused(kind, error),
        }
        self.count_error(cid, error);
    }

    /// Counts an attempt whose handler has ended by itself, after this time.
    pub(in crate::engine) fn attempt_ended<T>(
        &self,
        cid: Cid,
        elapsed: Duration,
        outcome: &Result<T, Error>,
    ) {
        match outcome {
            Ok(_) => self.metrics.answered(Run::Attempt, elapsed),
            Err(error) => {
                self.metrics.ran(elapsed);
                self.count_error(cid, error);
            }
        }
    }

    /// Counts an outcome that came from outside, after the handler had ended.
    pub(in crate::engine) fn completed<T>(&self, cid: Cid, outcome: &Result<T, Error>) {
        match outcome {
            Ok(_) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => self.count_error(cid, error),
        }
    }

    /// Counts a failure for the last hour.
    #[cold]
    pub(in crate::engine) fn count_error(&self, cid: Cid, error: &Error) {
        match blame(error) {
            Blame::Caller => {
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            Blame::Service => self.window().add(cid, error, &self.room),
            Blame::Nobody => {}
        }
    }

    /// Begins the next minute.
    pub(in crate::engine) fn advance(&self) {
        let mut window = self.current();
        window.answered.advance();
        window.failed.advance();
        for reason in &mut window.reasons {
            reason.failed.advance();
        }
        window.reasons.retain(|reason| !reason.failed.0.is_empty());
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The window, with what was answered since it last looked.
    fn current(&self) -> MutexGuard<'_, Window> {
        let mut window = self.window();
        let answers = self.metrics.answers();
        let before = std::mem::replace(&mut window.answers, answers);
        let more = self.answered.swap(0, Ordering::Relaxed);
        window.answered.add(answers.saturating_sub(before) + more);
        window
    }

    /// The reason of the last failure in the last hour, if there was one.
    pub(in crate::engine) fn last_reason(&self) -> Option<String> {
        let window = self.window();
        let last = window.reasons.iter().max_by_key(|reason| reason.last);
        last.map(|last| last.reason.clone())
    }

    /// How many calls and attempts ended in the last minutes, at most 60, the current one included, and how many of
    /// them failed.
    pub(in crate::engine) fn recent(&self, minutes: usize) -> (u64, u64) {
        self.current().counts(minutes)
    }

    /// What failed in the last minutes, at most 60, the current one included.
    pub(in crate::engine) fn failures(&self, minutes: usize) -> Failures {
        let window = self.current();
        let (calls, failed) = window.counts(minutes);
        let reasons = window.reasons.iter().map(|reason| ReasonFailures {
            reason: reason.reason.clone(),
            failed: reason.failed.sum(minutes),
            example: reason.example,
            message: reason.message.clone(),
        });
        let mut reasons: Vec<_> = reasons.filter(|reason| reason.failed > 0).collect();
        reasons.sort_by(|one, other| {
            let by_count = other.failed.cmp(&one.failed);
            by_count.then_with(|| one.reason.cmp(&other.reason))
        });
        Failures {
            calls,
            failed,
            reasons,
        }
    }
}

impl Window {
    /// How many calls and attempts there were, and how many of them failed.
    fn counts(&self, minutes: usize) -> (u64, u64) {
        let failed = self.failed.sum(minutes);
        (failed + self.answered.sum(minutes), failed)
    }

    fn add(&mut self, cid: Cid, error: &Error, room: &ReasonRoom) {
        self.failed.add(1);
        self.failures += 1;
        let last = self.failures;
        let message = || error.message().chars().take(MAX_MESSAGE).collect();
        let mut known = self.reasons.iter_mut();
        if let Some(known) = known.find(|known| known.reason == error.reason()) {
            known.failed.add(1);
            (known.last, known.example, known.message) = (last, cid, message());
        } else if self.reasons.len() < MAX_REASONS
            && let Ok(room) = Arc::clone(&room.0).try_acquire_owned()
        {
            let mut failed = Minutes::default();
            failed.add(1);
            self.reasons.push(ReasonTally {
                reason: error.reason().to_owned(),
                failed,
                last,
                example: cid,
                message: message(),
                _room: room,
            });
        }
    }
}

impl Minutes {
    fn add(&mut self, count: u64) {
        if count == 0 {
            return;
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        match self.0.back_mut() {
            Some(current) => *current = current.saturating_add(count),
            None => self.0.push_back(count),
        }
    }

    fn advance(&mut self) {
        if self.0.is_empty() {
            return;
        }
        self.0.push_back(0);
        if self.0.len() > MINUTES {
            self.0.pop_front();
        }
        if self.0.iter().all(|count| *count == 0) {
            self.0 = VecDeque::new();
        }
    }

    fn sum(&self, minutes: usize) -> u64 {
        let last = self.0.iter().rev().take(minutes);
        last.map(|count| u64::from(*count)).sum()
    }
}

/// Who is to mend a failure.
enum Blame {
    /// Its caller: the service did what it should.
    Caller,
    /// The service, or the platform.
    Service,
    /// An operator did it on purpose, or the node stops.
    Nobody,
}

fn blame(error: &Error) -> Blame {
    match (error.kind(), error.reason()) {
        (_, reason::SERVICE_PAUSED | reason::NODE_HELD | reason::NODE_STOPPING) => Blame::Nobody,
        (Kind::Cancelled, _) => Blame::Nobody,
        (
            Kind::Internal
            | Kind::Unknown
            | Kind::DataLoss
            | Kind::DeadlineExceeded
            | Kind::Unavailable
            | Kind::ResourceExhausted
            | Kind::Aborted,
            _,
        ) => Blame::Service,
        _ => Blame::Caller,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(reason: &str) -> Result<(), Error> {
        let message = format!("why {reason}");
        Err(Error::internal(reason.to_owned(), message))
    }

    #[test]
    fn failures_are_counted_by_reason_for_an_hour() {
        let tally = Tally::new(TallyRoom::default());
        let cids: Vec<Cid> = (0..4).map(|_| Cid::new()).collect();
        tally.completed(cids[0], &Ok(()));
        tally.completed(cids[1], &failed("RARE"));
        tally.advance();
        tally.completed(cids[2], &failed("OFTEN"));
        tally.completed(cids[3], &failed("OFTEN"));
        let found = tally.failures(10);
        assert_eq!((found.calls, found.failed), (4, 3));
        let often = &found.reasons[0];
        assert_eq!((&*often.reason, often.failed), ("OFTEN", 2));
        assert_eq!((often.example, &*often.message), (cids[3], "why OFTEN"));
        assert_eq!(found.reasons[1].reason, "RARE");
        assert_eq!(tally.last_reason().as_deref(), Some("OFTEN"));
        // Only the current minute.
        let found = tally.failures(1);
        assert_eq!((found.calls, found.failed, found.reasons.len()), (2, 2, 1));
        assert_eq!(
            [1, 2].map(|minutes| tally.recent(minutes)),
            [(2, 2), (4, 3)]
        );
        for _ in 0..MINUTES - 1 {
            tally.advance();
        }
        let found = tally.failures(MINUTES);
        assert_eq!((found.calls, found.failed), (2, 2));
        tally.advance();
        let found = tally.failures(MINUTES);
        assert_eq!((found.calls, found.failed, found.reasons.len()), (0, 0, 0));
        assert!(tally.window().reasons.is_empty(), "the room is free");
    }

    #[test]
    fn mistakes_of_callers_are_no_failures_of_the_service() {
        let tally = Tally::new(TallyRoom::default());
        for error in [
            Error::invalid_argument("A", "a"),
            Error::not_found("B", "b"),
            Error::failed_precondition("C", "c"),
            Error::unavailable(reason::SERVICE_PAUSED, "paused"),
            Error::cancelled(reason::CANCELLED, "cancelled"),
        ] {
            tally.count_error(Cid::new(), &error);
        }
        let found = tally.failures(MINUTES);
        assert_eq!((found.calls, found.failed), (3, 0));
    }

    #[test]
    fn what_the_metrics_count_is_counted_once() {
        let tally = Tally::new(TallyRoom::default());
        let kind = InvocationKind::Sync;
        tally.call_ended(kind, Cid::new(), Some(Instant::now()), &Ok(()));
        tally.attempt_ended(Cid::new(), Duration::ZERO, &Ok(()));
        tally.call_ended(kind, Cid::new(), Some(Instant::now()), &failed("R"));
        for _ in 0..2 {
            let found = tally.failures(1);
            assert_eq!((found.calls, found.failed), (3, 1));
        }
        assert_eq!(tally.metrics.duration().count(), 3);
        assert_eq!(tally.last_reason().as_deref(), Some("R"));
    }

    #[test]
    fn what_has_no_room_is_counted_without_its_reason() {
        let tally = Tally::new(TallyRoom::default());
        for at in 0..=MAX_REASONS {
            tally.completed(Cid::new(), &failed(&format!("R{at}")));
        }
        let found = tally.failures(1);
        assert_eq!((found.failed, found.reasons.len()), (21, MAX_REASONS));
    }
}
