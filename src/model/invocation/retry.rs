//! Which failures are repeated, and when.

use std::time::Duration;

use crate::model::error::{Error, Kind};

/// How failed attempts are repeated: exponential, with full jitter.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How many attempts there are in all, the first one included. Default: 25, at most
    /// [`MAX_ATTEMPTS`](Self::MAX_ATTEMPTS).
    pub max_attempts: u32,
    /// The first wait. Default: 500 ms.
    pub initial_interval: Duration,
    /// How much longer each wait is than the one before. Default: 2, at least 1.
    pub multiplier: f64,
    /// The longest wait. Default: 10 min.
    pub max_interval: Duration,
}

impl Default for RetryPolicy {
    /// Outlasts an outage of an hour.
    fn default() -> Self {
        Self {
            max_attempts: 25,
            initial_interval: Duration::from_millis(500),
            multiplier: 2.0,
            max_interval: Duration::from_mins(10),
        }
    }
}

impl RetryPolicy {
    /// The story of all attempts is kept: there are not more of them than this.
    pub const MAX_ATTEMPTS: u32 = 10_000;

    /// One attempt, and no other.
    #[must_use]
    pub fn never() -> Self {
        Self {
            max_attempts: 1,
            ..Self::default()
        }
    }

    /// How long to wait after `attempts` attempts; `None` where no attempt is left.
    ///
    /// `random` is from 0 to 1 and chooses within the interval ("full jitter"). A handler that asks for a later time
    /// (`retry_after`) gets it.
    #[must_use]
    pub fn wait(
        &self,
        attempts: u32,
        random: f64,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        if attempts >= self.max_attempts.min(Self::MAX_ATTEMPTS) {
            return None;
        }
        let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        let longest = self.max_interval.as_secs_f64();
        let interval =
            self.initial_interval.as_secs_f64() * self.multiplier.max(1.0).powi(exponent);
        let jittered = interval.min(longest) * random.clamp(0.0, 1.0);
        let wait = Duration::try_from_secs_f64(jittered).unwrap_or(self.max_interval);
        Some(wait.max(retry_after.unwrap_or_default()))
    }
}

/// Whether an attempt that failed like this is repeated, while attempts are left.
///
/// A handler's own mark beats the kind. What a caller must mend is final; what someone cancelled stays cancelled.
#[must_use]
pub fn is_retried(failure: &Error) -> bool {
    match failure.kind() {
        Kind::Cancelled => failure.retryable_mark() == Some(true),
        _ => failure.is_retryable(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_end_with_the_attempts() {
        let policy = RetryPolicy::default();
        let wait = |attempts| policy.wait(attempts, 1.0, None);
        assert_eq!(wait(1), Some(Duration::from_millis(500)));
        assert_eq!(wait(2), Some(Duration::from_secs(1)));
        assert_eq!(wait(20), Some(Duration::from_mins(10)));
        assert_eq!(wait(24), Some(Duration::from_mins(10)));
        assert_eq!(wait(25), None);
        assert_eq!(RetryPolicy::never().wait(1, 1.0, None), None);
    }

    #[test]
    fn jitter_shortens_and_a_handler_lengthens() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.wait(1, 0.0, None), Some(Duration::ZERO));
        let asked = Some(Duration::from_secs(7));
        assert_eq!(policy.wait(1, 0.5, asked), asked);
    }

    #[test]
    fn absurd_policies_do_not_panic() {
        let policy = RetryPolicy {
            max_attempts: u32::MAX,
            initial_interval: Duration::MAX,
            multiplier: f64::NAN,
            max_interval: Duration::MAX,
        };
        let last = RetryPolicy::MAX_ATTEMPTS;
        assert!(policy.wait(last - 1, f64::NAN, None).is_some());
        assert!(policy.wait(last, f64::NAN, None).is_none());
    }

    #[test]
    fn what_a_caller_must_mend_is_final() {
        assert!(!is_retried(&Error::invalid_argument("X", "x")));
        assert!(!is_retried(&Error::cancelled("X", "x")));
        assert!(is_retried(&Error::internal("X", "x")));
        assert!(is_retried(&Error::deadline_exceeded("X", "x")));
        assert!(is_retried(&Error::not_found("X", "x").with_retryable(true)));
    }
}
