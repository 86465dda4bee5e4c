//! The refused messages of one worker: how many are logged, and how many protocol errors end its stream.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::error::{Error, reason};

/// The time in which protocol errors are counted, and in which [`MAX_LOGGED`] refusals are logged.
const WINDOW: Duration = Duration::from_mins(1);
/// How many refusals of one worker are logged in a [`WINDOW`]; the others are counted.
const MAX_LOGGED: usize = 20;
/// The most bytes of a worker's text that an answer repeats.
const MAX_ECHO_BYTES: usize = 256;

/// The refusals of one worker in the current [`WINDOW`].
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<RefusalCounts>);

#[derive(Debug, Default)]
struct RefusalCounts {
    /// `None` before the first refusal.
    start: Option<Instant>,
    errors: usize,
    logged: usize,
    suppressed: usize,
    /// Why the stream has to end.
    failure: Option<Error>,
}

/// What follows from a refusal.
pub(super) struct Counted {
    pub(super) is_logged: bool,
    /// The refusals of the window before that were not logged.
    pub(super) suppressed_before: usize,
}

impl Refusals {
    fn counts(&self) -> MutexGuard<'_, RefusalCounts> {
        // Every change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a refusal. With more than `limit` protocol errors in a window, the stream has to end.
    pub(super) fn count(&self, error: &Error, is_protocol_error: bool, limit: usize) -> Counted {
        let mut counts = self.counts();
        let is_current = |start: Instant| start.elapsed() < WINDOW;
        let mut suppressed_before = 0;
        if !counts.start.is_some_and(is_current) {
            suppressed_before = counts.suppressed;
            *counts = RefusalCounts {
                start: Some(Instant::now()),
                failure: counts.failure.take(),
                ..RefusalCounts::default()
            };
        }
        counts.errors += usize::from(is_protocol_error);
        if counts.errors > limit && counts.failure.is_none() {
            counts.failure = Some(too_many_errors(error, limit));
        }
        let is_logged = counts.logged < MAX_LOGGED;
        match is_logged {
            true => counts.logged += 1,
            false => counts.suppressed += 1,
        }
        Counted {
            is_logged,
            suppressed_before,
        }
    }

    /// Takes the number of refusals that were not logged.
    pub(super) fn take_suppressed(&self) -> usize {
        std::mem::take(&mut self.counts().suppressed)
    }

    /// Why the stream has to end.
    pub(super) fn failure(&self) -> Option<Error> {
        self.counts().failure.clone()
    }
}

/// `RESOURCE_EXHAUSTED` / `PROTOCOL_ERRORS`.
fn too_many_errors(last: &Error, limit: usize) -> Error {
    let message = format!(
        "the worker made more than {limit} protocol errors within {} s; the last one: {}",
        WINDOW.as_secs(),
        echo(last.message())
    );
    Error::resource_exhausted(reason::PROTOCOL_ERRORS, message)
        .with_retryable(false)
        .with_info("worker_errors", limit)
}

/// A worker's text, cut to a length that is safe to repeat.
pub(super) fn echo(text: &str) -> String {
    match text.split_at_checked(text.floor_char_boundary(MAX_ECHO_BYTES)) {
        Some((kept, rest)) if !rest.is_empty() => format!("{kept}…"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refusals_are_logged_a_few_times_a_minute_and_counted() {
        const REFUSED: usize = 1_000;
        let refusals = Refusals::default();
        let late = Error::failed_precondition(reason::DISPATCH_VOID, "late");
        let count = || refusals.count(&late, false, 0);
        let logged = (0..REFUSED).filter(|_| count().is_logged).count();
        assert_eq!(logged, MAX_LOGGED);
        tokio::time::advance(WINDOW).await;
        let next = count();
        assert!(next.is_logged);
        assert_eq!(next.suppressed_before, REFUSED - MAX_LOGGED);
        assert!(refusals.failure().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn protocol_errors_of_different_minutes_do_not_add_up() {
        let refusals = Refusals::default();
        let junk = Error::failed_precondition(reason::WORKER_PROTOCOL, "x".repeat(1_000));
        for _ in 0..5 {
            refusals.count(&junk, true, 2);
            refusals.count(&junk, true, 2);
            tokio::time::advance(WINDOW).await;
        }
        assert!(refusals.failure().is_none());
        for _ in 0..3 {
            refusals.count(&junk, true, 2);
        }
        let failure = refusals.failure().unwrap();
        assert_eq!(failure.reason(), reason::PROTOCOL_ERRORS);
        assert_eq!(failure.fact("worker_errors"), Some("2"));
        assert!(failure.message().len() < 500);
    }
}
