//! Retry policy: exponential backoff with full jitter, and which failures are retried.

use std::time::Duration;

use crate::model::error::{Error, Kind};

/// When failed attempts are retried: exponential backoff with full jitter.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// The number of attempts in total, the first one included. Default: 25, at most
    /// [`MAX_ATTEMPTS`](Self::MAX_ATTEMPTS).
    pub max_attempts: u32,
    /// The backoff before the first retry. Default: 500 ms, at least [`MIN_INTERVAL`](Self::MIN_INTERVAL).
    pub initial_interval: Duration,
    /// The factor by which the backoff grows. Default: 2, at least 1.
    pub multiplier: f64,
    /// The longest backoff. Default: 10 min.
    pub max_interval: Duration,
}

impl Default for RetryPolicy {
    /// A policy that outlasts an outage of an hour.
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
    /// The upper bound of `max_attempts`, since the history of all attempts is stored.
    pub const MAX_ATTEMPTS: u32 = 10_000;

    /// The shortest backoff: retries without a pause would keep a core busy.
    pub const MIN_INTERVAL: Duration = Duration::from_millis(1);

    /// The longest delay that a handler can ask for with `retry_after`. A longer one is shortened.
    pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(24 * 365);

    /// A policy without retries.
    #[must_use]
    pub fn never() -> Self {
        Self {
            max_attempts: 1,
            ..Self::default()
        }
    }

    /// The backoff after `attempts` attempts; `None` where no attempt is left.
    ///
    /// `random` is from 0 to 1 and selects a point of the interval (full jitter). A longer `retry_after` of the handler
    /// wins.
    #[must_use]
    pub fn backoff(
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
        let backoff = Duration::try_from_secs_f64(jittered).unwrap_or(self.max_interval);
        let backoff = backoff.max(Self::MIN_INTERVAL);
        let retry_after = retry_after.unwrap_or_default();
        Some(backoff.max(retry_after.min(Self::MAX_RETRY_AFTER)))
    }
}

/// Whether a failed attempt is retried while attempts are left.
///
/// The handler's override beats the kind. Failures that the caller must fix are final, and so are cancellations.
#[must_use]
pub fn should_retry(failure: &Error) -> bool {
    match failure.kind() {
        Kind::Cancelled => failure.retryable_override() == Some(true),
        _ => failure.is_retryable(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_max_interval_and_ends_with_max_attempts() {
        let policy = RetryPolicy::default();
        let backoff = |attempts| policy.backoff(attempts, 1.0, None);
        assert_eq!(backoff(1), Some(Duration::from_millis(500)));
        assert_eq!(backoff(2), Some(Duration::from_secs(1)));
        assert_eq!(backoff(20), Some(Duration::from_mins(10)));
        assert_eq!(backoff(24), Some(Duration::from_mins(10)));
        assert_eq!(backoff(25), None);
        assert_eq!(RetryPolicy::never().backoff(1, 1.0, None), None);
    }

    #[test]
    fn jitter_shortens_the_backoff_and_retry_after_lengthens_it() {
        let policy = RetryPolicy::default();
        assert_eq!(
            policy.backoff(1, 0.0, None),
            Some(RetryPolicy::MIN_INTERVAL)
        );
        let asked = Some(Duration::from_secs(7));
        assert_eq!(policy.backoff(1, 0.5, asked), asked);
    }

    #[test]
    fn extreme_policies_do_not_panic() {
        let policy = RetryPolicy {
            max_attempts: u32::MAX,
            initial_interval: Duration::MAX,
            multiplier: f64::NAN,
            max_interval: Duration::MAX,
        };
        let last = RetryPolicy::MAX_ATTEMPTS;
        assert!(policy.backoff(last - 1, f64::NAN, None).is_some());
        assert!(policy.backoff(last, f64::NAN, None).is_none());
    }

    #[test]
    fn invalid_arguments_and_cancellations_are_not_retried() {
        assert!(!should_retry(&Error::invalid_argument("X", "x")));
        assert!(!should_retry(&Error::cancelled("X", "x")));
        assert!(should_retry(&Error::internal("X", "x")));
        assert!(should_retry(&Error::deadline_exceeded("X", "x")));
        assert!(should_retry(
            &Error::not_found("X", "x").with_retryable(true)
        ));
    }
}
