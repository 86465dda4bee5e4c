//! Tells the time. Nothing else reads the wall clock.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

/// Where instants come from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// An instant, and the runtime's own time since then: stands still while the runtime's time is paused.
    Steady {
        /// The instant.
        start: Timestamp,
        /// The runtime's time at that instant.
        since: Instant,
    },
    /// Somebody moves it.
    Manual(ManualClock),
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
impl Clock {
    /// A clock that begins now and then follows the runtime's time.
    #[must_use]
    pub fn steady() -> Self {
        Self::Steady {
            start: Timestamp::now(),
            since: Instant::now(),
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Steady { start, since } => later(*start, since.elapsed()),
            Self::Manual(manual) => manual.now(),
        }
    }

    /// The runtime's time at an instant. By a clock that is moved: where it were not.
    #[must_use]
    pub fn instant(&self, time: Timestamp) -> Instant {
        let wait = time.duration_since(self.now());
        Instant::now() + Duration::try_from(wait).unwrap_or_default()
    }

    /// Resolves at an instant.
    pub(super) async fn sleep_until(&self, time: Timestamp) {
        match self {
            Self::System | Self::Steady { .. } => {
                tokio::time::sleep_until(self.instant(time)).await;
            }
            Self::Manual(manual) => manual.reaches(time).await,
        }
    }

    /// Resolves after a while, and at once where the clock is moved.
    pub(super) async fn pause(&self, pause: Duration) {
        match self {
            Self::System | Self::Steady { .. } => tokio::time::sleep(pause).await,
            Self::Manual(manual) => {
                let _ = tokio::time::timeout(pause, manual.moves()).await;
            }
        }
    }
}

/// A clock that stands still until it is moved. All clones are one clock.
///
/// Delays, backoffs, expirations, deadlines and retention follow it; how long a handler may run does not.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<watch::Sender<Timestamp>>);

impl ManualClock {
    /// A clock that stands at an instant.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new(watch::Sender::new(time)))
    }

    /// A clock that stands at this instant.
    #[must_use]
    pub fn new() -> Self {
        Self::at(Clock::System.now())
    }

    /// What it says.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    /// Moves it. What has become due begins at once, and may not have begun yet when this returns.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now = later(*now, by));
    }

    async fn reaches(&self, time: Timestamp) {
        // The sender is this clock's own: it does not end before.
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

/// An instant later by a duration; the last instant there is where that is beyond it.
#[must_use]
pub fn later(time: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| time.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}
