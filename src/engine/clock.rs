//! Tells the time. Nothing else reads the wall clock.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Where instants come from.
#[derive(Clone, Copy, Debug)]
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
    pub fn now(self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Steady { start, since } => later(start, since.elapsed()),
        }
    }

    /// The runtime's time at an instant.
    #[must_use]
    pub fn instant(self, time: Timestamp) -> Instant {
        let wait = time.duration_since(self.now());
        Instant::now() + std::time::Duration::try_from(wait).unwrap_or_default()
    }
}

/// An instant later by a duration; the last instant there is where that is beyond it.
#[must_use]
pub fn later(time: Timestamp, duration: std::time::Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| time.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Resolves at a deadline, if there is one.
pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
