//! The tally of one service: how many of its calls and attempts failed in the last hour, and why. A call that succeeds
//! costs one atomic addition; failures take a short lock.
//!
//! It knows no clock: [`Tally::advance`] is called each minute.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    /// Those that did not fail, since the window last looked.
    answered: AtomicU64,
    window: Mutex<Window>,
    room: ReasonRoom,
}

/// Room for the reasons of all services.
#[derive(Clone, Debug)]
pub(in crate::engine) struct ReasonRoom(Arc<Semaphore>);

impl Default for ReasonRoom {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_NODE_REASONS)))
    }
}

/// The last hour.
#[derive(Debug, Default)]
struct Window {
    answered: Minutes,
    failed: Minutes,
    reasons: Vec<ReasonTally>,
}

/// The failures with one reason.
#[derive(Debug)]
struct ReasonTally {
    reason: String,
    failed: Minutes,
    /// The last of them.
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
    pub(in crate::engine) fn new(room: ReasonRoom) -> Arc<Self> {
        Arc::new(Self {
            answered: AtomicU64::new(0),
            window: Mutex::default(),
            room,
        })
    }

    /// Counts a call or an attempt that has ended.
    #[inline]
    pub(in crate::engine) fn count<T>(&self, cid: Cid, outcome: &Result<T, Error>) {
        match outcome {
            Ok(_) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => self.count_error(cid, error),
        }
    }

    /// Counts one that has failed.
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
        let mut window = self.window();
        window
            .answered
            .add(self.answered.swap(0, Ordering::Relaxed));
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

    /// What failed in the last minutes, at most 60, the current one included.
    pub(in crate::engine) fn failures(&self, minutes: usize) -> Failures {
        let mut window = self.window();
        window
            .answered
            .add(self.answered.swap(0, Ordering::Relaxed));
        let failed = window.failed.sum(minutes);
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
            calls: failed + window.answered.sum(minutes),
            failed,
            reasons,
        }
    }
}

impl Window {
    fn add(&mut self, cid: Cid, error: &Error, room: &ReasonRoom) {
        self.failed.add(1);
        let message = || error.message().chars().take(MAX_MESSAGE).collect();
        let mut known = self.reasons.iter_mut();
        if let Some(known) = known.find(|known| known.reason == error.reason()) {
            known.failed.add(1);
            (known.example, known.message) = (cid, message());
        } else if self.reasons.len() < MAX_REASONS
            && let Ok(room) = Arc::clone(&room.0).try_acquire_owned()
        {
            let mut failed = Minutes::default();
            failed.add(1);
            self.reasons.push(ReasonTally {
                reason: error.reason().to_owned(),
                failed,
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
        let tally = Tally::new(ReasonRoom::default());
        let cids: Vec<Cid> = (0..4).map(|_| Cid::new()).collect();
        tally.count(cids[0], &Ok(()));
        tally.count(cids[1], &failed("RARE"));
        tally.advance();
        tally.count(cids[2], &failed("OFTEN"));
        tally.count(cids[3], &failed("OFTEN"));
        let found = tally.failures(10);
        assert_eq!((found.calls, found.failed), (4, 3));
        let often = &found.reasons[0];
        assert_eq!((&*often.reason, often.failed), ("OFTEN", 2));
        assert_eq!((often.example, &*often.message), (cids[3], "why OFTEN"));
        assert_eq!(found.reasons[1].reason, "RARE");
        // Only the current minute.
        let found = tally.failures(1);
        assert_eq!((found.calls, found.failed, found.reasons.len()), (2, 2, 1));
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
        let tally = Tally::new(ReasonRoom::default());
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
    fn what_has_no_room_is_counted_without_its_reason() {
        let tally = Tally::new(ReasonRoom::default());
        for at in 0..=MAX_REASONS {
            tally.count(Cid::new(), &failed(&format!("R{at}")));
        }
        let found = tally.failures(1);
        assert_eq!((found.failed, found.reasons.len()), (21, MAX_REASONS));
    }
}
