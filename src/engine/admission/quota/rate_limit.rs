//! A rate limit: the generic cell rate algorithm (GCRA), one atomic step for each check.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::model::rate::Rate;

/// Limits how many calls pass.
#[derive(Debug)]
pub(in crate::engine) struct RateLimit {
    rate: Rate,
    limiter: RateLimiter<NotKeyed, InMemoryState, Elapsed, NoOpMiddleware<Nanos>>,
}

/// Why calls do not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// They pass after this time, unless other calls come first.
    For(Duration),
    /// They are more than the burst, and never pass together.
    Always,
}

/// The time since a limit was made, by the clock of the runtime's timers.
#[derive(Clone, Debug)]
struct Elapsed(Instant);

impl Clock for Elapsed {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

impl RateLimit {
    pub(in crate::engine) fn new(rate: Rate) -> Self {
        let burst = NonZeroU32::new(rate.burst()).unwrap_or(NonZeroU32::MIN);
        // An interval is at least 1 µs: a rate has a highest value.
        let quota = Quota::with_period(rate.interval());
        let quota = quota.unwrap_or_else(|| Quota::per_second(burst));
        let clock = Elapsed(Instant::now());
        Self {
            rate,
            limiter: RateLimiter::direct_with_clock(quota.allow_burst(burst), clock),
        }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Lets so many calls pass, all of them or none.
    ///
    /// # Errors
    ///
    /// When they pass.
    pub(super) fn check(&self, calls: usize) -> std::result::Result<(), Refused> {
        let Ok(calls) = u32::try_from(calls) else {
            return Err(Refused::Always);
        };
        let Some(calls) = NonZeroU32::new(calls) else {
            return Ok(());
        };
        let refused = match self.limiter.check_n(calls) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(refused)) => refused,
            Err(_) => return Err(Refused::Always),
        };
        let now = self.limiter.clock().now();
        Err(Refused::For(refused.wait_time_from(now)))
    }

    /// As [`check`](Self::check) for the limit of a service.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `RATE_LIMIT`.
    pub(in crate::engine) fn check_service(
        &self,
        service: &ServiceName,
        calls: usize,
    ) -> Result<()> {
        self.check(calls).map_err(|refused| {
            let of = format!("of `{service}`");
            rate_exceeded(refused, &of, calls, self.rate)
                .with_info("service", service)
                .with_info("rate", self.rate)
                .with_info("burst", self.rate.burst())
        })
    }
}

/// `RESOURCE_EXHAUSTED` / `RATE_LIMIT`.
pub(super) fn rate_exceeded(refused: Refused, of: &str, calls: usize, rate: Rate) -> Error {
    let burst = rate.burst();
    match refused {
        Refused::For(delay) => {
            let message = format!("too many calls {of}: at most {rate}, and {burst} at once");
            Error::resource_exhausted(reason::RATE_LIMIT, message).with_retry_after(delay)
        }
        Refused::Always => {
            let message = format!("{calls} calls {of} are more than the {burst} that pass at once");
            Error::resource_exhausted(reason::RATE_LIMIT, message).with_retryable(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_rate() {
        let limit = RateLimit::new(Rate::per_second(10.0).with_burst(3));
        assert_eq!(limit.check(3), Ok(()));
        assert_eq!(
            limit.check(1),
            Err(Refused::For(Duration::from_millis(100)))
        );
        assert_eq!(limit.check(4), Err(Refused::Always));
        assert_eq!(limit.check(0), Ok(()));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(limit.check(1), Ok(()));
        // What is refused is not counted.
        assert_eq!(
            limit.check(2),
            Err(Refused::For(Duration::from_millis(200)))
        );
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(limit.check(3), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn extreme_rates_are_limits_as_well() {
        let limit = RateLimit::new(Rate::per_second(0.0).with_burst(u32::MAX));
        assert_eq!(limit.check(30), Ok(()));
        let a_day = Duration::from_hours(24);
        assert!(matches!(limit.check(1), Err(Refused::For(wait)) if wait <= a_day));
        let limit = RateLimit::new(Rate::per_second(f64::MAX).with_burst(u32::MAX));
        assert_eq!(limit.check(1_000_000), Ok(()));
        assert!(limit.check(1).is_err());
    }
}
