//! The clock: the only place that reads the wall-clock time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

/// A source of wall-clock time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The clock of the machine.
    System,
    /// An instant, and the time of the tokio runtime since then, which tests can pause.
    Steady {
        /// The instant at which the clock was made.
        start: Timestamp,
        /// The time of the runtime at that instant.
        since: Instant,
    },
    /// As `Steady`, with steps that a test makes: as NTP, or a machine that was suspended, makes them.
    #[doc(hidden)]
    Stepped(SteppedClock),
    /// A clock that a test moves.
    Manual(ManualClock),
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
impl Clock {
    /// Creates a clock that starts at the current time and follows the time of the tokio runtime.
    #[must_use]
    pub fn steady() -> Self {
        Self::Steady {
            start: Timestamp::now(),
            since: Instant::now(),
        }
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Steady { start, since } => saturating_add(*start, since.elapsed()),
            Self::Stepped(stepped) => stepped.now(),
            Self::Manual(manual) => manual.now(),
        }
    }

    /// The tokio `Instant` of a wall-clock time. A manual clock is assumed to stand still.
    #[must_use]
    pub fn instant(&self, time: Timestamp) -> Instant {
        let wait = time.duration_since(self.now());
        Instant::now() + Duration::try_from(wait).unwrap_or_default()
    }

    /// Whether it may be stepped, so that it no longer agrees with the time of the runtime.
    pub(super) fn can_step(&self) -> bool {
        match self {
            Self::System | Self::Stepped(_) => true,
            Self::Steady { .. } | Self::Manual(_) => false,
        }
    }

    /// Sleeps until an instant, unless the clock is stepped meanwhile: see `Timer`.
    pub(crate) async fn sleep_until(&self, time: Timestamp) {
        match self {
            Self::System | Self::Steady { .. } | Self::Stepped(_) => {
                tokio::time::sleep_until(self.instant(time)).await;
            }
            Self::Manual(manual) => manual.reaches(time).await,
        }
    }

    /// Sleeps for a duration, and less where a manual clock is moved.
    pub(crate) async fn pause(&self, pause: Duration) {
        match self {
            Self::System | Self::Steady { .. } | Self::Stepped(_) => {
                tokio::time::sleep(pause).await;
            }
            Self::Manual(manual) => {
                let _ = tokio::time::timeout(pause, manual.moves()).await;
            }
        }
    }
}

/// A clock that follows the time of the tokio runtime until it is stepped. Clones share one time.
#[derive(Clone, Debug)]
pub struct SteppedClock {
    start: Timestamp,
    since: Instant,
    /// The sum of the steps.
    steps: Arc<Mutex<SignedDuration>>,
}

impl SteppedClock {
    /// A clock that starts at an instant.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self {
            start,
            since: Instant::now(),
            steps: Arc::default(),
        }
    }

    /// Its time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let steps = *self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let now = saturating_add(self.start, self.since.elapsed());
        now.saturating_add(steps).unwrap_or(now)
    }

    /// Steps it, forwards or back.
    pub fn step(&self, by: SignedDuration) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        *steps = steps.saturating_add(by);
    }
}

/// A clock that stands still until it is moved. Clones share one time.
///
/// Delays, backoff, expirations, deadlines and retention follow it; timeouts of handlers do not.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<watch::Sender<Timestamp>>);

impl ManualClock {
    /// Creates a clock that starts at an instant.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new(watch::Sender::new(time)))
    }

    /// Creates a clock that starts at the current time.
    #[must_use]
    pub fn new() -> Self {
        Self::at(Clock::System.now())
    }

    /// Its time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    /// Moves it forward. Work that becomes due starts soon afterwards: it may not have started when this returns.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now = saturating_add(*now, by));
    }

    async fn reaches(&self, time: Timestamp) {
        // The clock owns the sender: the channel stays open.
        let _ = self.0.subscribe().wait_for(|now| *now >= time).await;
    }

    async fn moves(&self) {
        let _ = self.0.subscribe().changed().await;
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

/// An instant plus a duration, at most the last instant that can be represented.
#[must_use]
pub fn saturating_add(time: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| time.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}
