//! How long a credential is valid, shared by all that was opened with it.

#[cfg(feature = "jwt")]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::engine::clock::Clock;

const SECONDS_PER_MINUTE: i64 = 60;
/// The value for "never".
const NEVER: i64 = i64::MIN;

/// Credentials that end together: tokens whose keys were withdrawn, however many there are.
#[cfg(feature = "jwt")]
#[derive(Debug, Default)]
pub(crate) struct ValidityGroup {
    is_over: AtomicBool,
    over: CancellationToken,
}

#[cfg(feature = "jwt")]
impl ValidityGroup {
    /// Ends all credentials of the group, and what was opened with them.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.over.cancel();
    }
}

/// How long a credential is valid, and when it was used.
#[derive(Debug)]
pub(crate) struct Validity {
    expire_time: Option<Timestamp>,
    #[cfg(feature = "jwt")]
    group: Option<Arc<ValidityGroup>>,
    is_revoked: AtomicBool,
    /// Fires when the credential is revoked.
    revoked: CancellationToken,
    /// The minute of the last use since the node started.
    last_use: AtomicI64,
}

impl Validity {
    /// That of a credential which expires, or not.
    pub(crate) fn new(expire_time: Option<Timestamp>) -> Self {
        Self {
            expire_time,
            #[cfg(feature = "jwt")]
            group: None,
            is_revoked: AtomicBool::new(false),
            revoked: CancellationToken::new(),
            last_use: AtomicI64::new(NEVER),
        }
    }

    /// That of a credential which expires, and ends with its group.
    #[cfg(feature = "jwt")]
    pub(crate) fn of_group(expire_time: Timestamp, group: Arc<ValidityGroup>) -> Self {
        Self {
            revoked: group.over.child_token(),
            group: Some(group),
            ..Self::new(Some(expire_time))
        }
    }

    /// Whether the credential is valid at a time.
    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        !self.is_revoked() && !self.has_expired(now)
    }

    /// Whether it was revoked.
    pub(super) fn is_revoked(&self) -> bool {
        #[cfg(feature = "jwt")]
        let group = self.group.as_ref();
        #[cfg(feature = "jwt")]
        let is_over = group.is_some_and(|group| group.is_over.load(Ordering::Acquire));
        #[cfg(not(feature = "jwt"))]
        let is_over = false;
        is_over || self.is_revoked.load(Ordering::Acquire)
    }

    /// Whether it has expired at a time.
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        self.expire_time.is_some_and(|end| end <= now)
    }

    /// When it expires; `None`: never.
    pub(crate) fn expire_time(&self) -> Option<Timestamp> {
        self.expire_time
    }

    /// Ends it, and all that was opened with it.
    pub(crate) fn revoke(&self) {
        self.is_revoked.store(true, Ordering::Release);
        self.revoked.cancel();
    }

    /// Resolves once it is revoked, which is `true`, or has expired.
    pub(crate) async fn ended(&self, clock: &Clock) -> bool {
        let expired = async {
            match self.expire_time {
                None => std::future::pending().await,
                // The clock can be stepped.
                Some(end) => {
                    while !self.has_expired(clock.now()) {
                        clock.sleep_until(end).await;
                    }
                }
            }
        };
        tokio::select! {
            () = self.revoked.cancelled() => true,
            () = expired => false,
        }
    }

    /// Notes a use. Returns whether it is the first one.
    pub(crate) fn note_use(&self, now: Timestamp) -> bool {
        let minute = now.as_second().div_euclid(SECONDS_PER_MINUTE);
        // Most calls only read: the processors share the line then.
        if self.last_use.load(Ordering::Relaxed) == minute {
            return false;
        }
        self.last_use.swap(minute, Ordering::Relaxed) == NEVER
    }

    /// When it was last used, to the minute.
    pub(super) fn last_use(&self) -> Option<Timestamp> {
        let minute = self.last_use.load(Ordering::Relaxed);
        let second = minute.checked_mul(SECONDS_PER_MINUTE)?;
        Timestamp::from_second(second).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn it_ends_when_it_expires_and_when_it_is_revoked() {
        let validity = Validity::new(Some(at(10)));
        assert!(validity.is_valid(at(9)) && !validity.is_valid(at(10)));
        validity.revoke();
        assert!(!validity.is_valid(at(9)) && validity.revoked.is_cancelled());
    }

    #[test]
    fn uses_are_known_to_the_minute() {
        let validity = Validity::new(None);
        assert_eq!(validity.last_use(), None);
        assert!(validity.note_use(at(121)));
        assert!(!validity.note_use(at(122)) && !validity.note_use(at(190)));
        assert_eq!(validity.last_use(), Some(at(180)));
    }
}
