//! How long a session of the console lasts.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::engine::access::Validity;
use crate::engine::clock::Clock;

/// How long a session lasts, shared by all that was opened with it.
#[derive(Debug)]
pub(in crate::edge) struct SessionLife {
    /// The end that no use puts off, or the end that someone put to it.
    validity: Validity,
    idle: SignedDuration,
    /// When it was used last, in milliseconds since 1970.
    last_use: AtomicI64,
}

impl SessionLife {
    /// That of a session which begins now, and lasts so long without a use, and at most.
    pub(super) fn new(now: Timestamp, idle: Duration, lifetime: Duration) -> Self {
        Self {
            validity: Validity::new(now.checked_add(lifetime).ok()),
            idle: SignedDuration::try_from(idle).unwrap_or(SignedDuration::MAX),
            last_use: AtomicI64::new(now.as_millisecond()),
        }
    }

    /// Ends it.
    pub(super) fn end(&self) {
        self.validity.revoke();
    }

    /// When it was used last, in milliseconds since 1970.
    pub(super) fn last_use(&self) -> i64 {
        self.last_use.load(Ordering::Relaxed)
    }

    /// Notes a use.
    pub(super) fn touch(&self, now: Timestamp) {
        self.last_use
            .fetch_max(now.as_millisecond(), Ordering::Relaxed);
    }

    /// When it ends unless it is used before.
    fn idle_end(&self) -> Timestamp {
        let last = Timestamp::from_millisecond(self.last_use());
        let end = last.ok().and_then(|last| last.checked_add(self.idle).ok());
        end.unwrap_or(Timestamp::MAX)
    }

    /// Whether it lasts at a time.
    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        self.validity.is_valid(now) && now < self.idle_end()
    }

    /// When it ends at the latest.
    pub(in crate::edge) fn expire_time(&self) -> Option<Timestamp> {
        self.validity.expire_time()
    }

    /// Resolves once it has ended.
    pub(super) async fn ended(&self, clock: &Clock) {
        let idle = async {
            while clock.now() < self.idle_end() {
                clock.sleep_until(self.idle_end()).await;
            }
        };
        tokio::select! {
            _ = self.validity.ended(clock) => {}
            () = idle => {}
        }
    }
}
