//! Retry of failed calls: exponential backoff with jitter, and which failures are safe to retry.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt as _;
use tokio::time::Instant;
use tonic::{Response, Status};

use super::backoff::Backoff;
use super::transport::{error_from_status, is_transport_error};
use crate::model::error::{Error, Kind, Result, reason};

/// The default number of attempts. With the backoff they take about five seconds, as long as a node restarts.
pub(in crate::remote) const DEFAULT_MAX_ATTEMPTS: u32 = 8;
/// The longest backoff. A longer retry delay that the node asks for is shortened to it.
const MAX_RETRY_BACKOFF: Duration = Duration::from_secs(2);

/// Called before a retry: with the error of the last attempt, and the time from the first attempt to the next one.
pub(crate) type OnRetry = Arc<dyn Fn(&Error, Duration) + Send + Sync>;

/// How often calls are attempted, and who is told.
#[derive(Clone)]
pub(in crate::remote) struct Retries {
    pub(in crate::remote) max_attempts: u32,
    pub(in crate::remote) on_retry: Option<OnRetry>,
}

impl Retries {
    pub(in crate::remote) fn at_most(max_attempts: u32) -> Self {
        Self {
            max_attempts,
            on_retry: None,
        }
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self::at_most(DEFAULT_MAX_ATTEMPTS)
    }
}

impl fmt::Debug for Retries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retries")
            .field("max_attempts", &self.max_attempts)
            .finish_non_exhaustive()
    }
}

/// Repeats `attempt` until it succeeds, fails with an error that is not safe to retry, or the number of attempts is
/// reached.
pub(in crate::remote) async fn retry<T, F: Future<Output = Result<T>>>(
    retries: &Retries,
    is_safe: impl Fn(&Error) -> bool,
    attempt: impl FnMut() -> F,
) -> Result<T> {
    retry_until(None, retries, is_safe, attempt).await
}

/// As [`retry`]; no attempt begins after `until`.
async fn retry_until<T, F: Future<Output = Result<T>>>(
    until: Option<Instant>,
    retries: &Retries,
    is_safe: impl Fn(&Error) -> bool,
    mut attempt: impl FnMut() -> F,
) -> Result<T> {
    let start = Instant::now();
    let mut backoff = Backoff::new(MAX_RETRY_BACKOFF);
    let mut attempts = 1;
    loop {
        match attempt().await {
            Err(error) if is_safe(&error) && attempts < retries.max_attempts => {
                let retry_after = error.retry_after().unwrap_or_default();
                let delay = backoff.next_delay().max(retry_after.min(MAX_RETRY_BACKOFF));
                if until.is_some_and(|until| Instant::now() + delay >= until) {
                    return Err(error);
                }
                if let Some(on_retry) = &retries.on_retry {
                    on_retry(&error, start.elapsed() + delay);
                }
                tokio::time::sleep(delay).await;
                attempts += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Makes a unary call, and retries it as [`retry`] does; no attempt begins after `until`.
pub(in crate::remote) async fn call_with_retry<T, F>(
    until: Option<Instant>,
    retries: &Retries,
    is_safe: impl Fn(&Error) -> bool,
    call: impl Fn() -> F,
) -> Result<Response<T>>
where
    F: Future<Output = std::result::Result<Response<T>, Status>>,
{
    let attempt = || call().map_err(|status| error_from_status(&status));
    retry_until(until, retries, is_safe, attempt).await
}

/// Whether a call of `service` failed before it was dispatched: the node refused it, or did not process it.
///
/// A handler may return the failure of a nested call. A refusal by the node has a CID and names the service.
pub(in crate::remote) fn was_not_dispatched(error: &Error, service: &str) -> bool {
    const REFUSALS: [&str; 3] = [reason::NODE_STOPPING, reason::NO_WORKER, reason::QUEUE_FULL];
    if error.cid().is_some() {
        return REFUSALS.contains(&error.reason()) && error.fact("service") == Some(service);
    }
    was_not_processed(error)
}

/// Whether the node did not process the call.
pub(in crate::remote) fn was_not_processed(error: &Error) -> bool {
    let is_unprocessed = error.reason() == reason::CONNECT_FAILED
        || (is_transport_error(error) && error.kind() == Kind::Unavailable);
    is_unprocessed && error.cid().is_none()
}

/// Whether a call that is idempotent, or is accepted once by its CID or key, is safe to retry.
pub(crate) fn is_safe_to_retry(error: &Error) -> bool {
    const TEMPORARY: [&str; 5] = [
        reason::CONNECT_FAILED,
        reason::NODE_STOPPING,
        reason::NO_WORKER,
        reason::QUEUE_FULL,
        reason::PENDING_LIMIT,
    ];
    TEMPORARY.contains(&error.reason()) || is_transport_error(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::Cid;

    async fn attempts(error: fn() -> Error, is_safe: &dyn Fn(&Error) -> bool) -> u32 {
        let mut attempts = 0;
        let outcome: Result<()> = retry(&Retries::default(), is_safe, || {
            attempts += 1;
            std::future::ready(Err(error()))
        })
        .await;
        assert!(outcome.is_err());
        attempts
    }

    fn connect_failed() -> Error {
        Error::unavailable(reason::CONNECT_FAILED, "x")
    }

    fn node_stopping() -> Error {
        Error::unavailable(reason::NODE_STOPPING, "x")
    }

    fn broken_pipe() -> Error {
        Error::new(Kind::Unknown, reason::TRANSPORT, "broken pipe")
    }

    fn failure_of_the_handler() -> Error {
        Error::unavailable("DOWN", "a failure of the handler")
    }

    #[tokio::test(start_paused = true)]
    async fn only_failures_that_are_safe_to_retry_are_retried() {
        let not_dispatched = |error: &Error| was_not_dispatched(error, "a.service");
        assert_eq!(
            attempts(connect_failed, &not_dispatched).await,
            DEFAULT_MAX_ATTEMPTS
        );
        assert_eq!(attempts(failure_of_the_handler, &not_dispatched).await, 1);
        assert_eq!(attempts(broken_pipe, &not_dispatched).await, 1);
        let safe = is_safe_to_retry;
        assert_eq!(attempts(node_stopping, &safe).await, DEFAULT_MAX_ATTEMPTS);
        assert_eq!(attempts(broken_pipe, &safe).await, DEFAULT_MAX_ATTEMPTS);
        assert_eq!(attempts(failure_of_the_handler, &safe).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn each_retry_is_announced_with_the_time_until_it() {
        let waits = Arc::new(std::sync::Mutex::new(Vec::new()));
        let retries = Retries {
            max_attempts: 4,
            on_retry: Some({
                let waits = Arc::clone(&waits);
                Arc::new(move |error: &Error, wait| {
                    assert_eq!(error.reason(), reason::CONNECT_FAILED);
                    waits.lock().unwrap().push(wait);
                })
            }),
        };
        let start = Instant::now();
        let failed = || std::future::ready(Err(connect_failed()));
        let outcome: Result<()> = retry(&retries, is_safe_to_retry, failed).await;
        outcome.unwrap_err();
        let waits = waits.lock().unwrap();
        assert_eq!(waits.len(), 3);
        assert!(waits.is_sorted(), "{waits:?}");
        // Timers have a resolution of a millisecond.
        assert!(start.elapsed().abs_diff(waits[2]) <= Duration::from_millis(3));
    }

    #[tokio::test(start_paused = true)]
    async fn no_attempt_begins_after_the_timeout_of_the_call() {
        let until = Instant::now() + Duration::from_secs(1);
        let mut attempts = 0;
        let outcome: Result<()> = retry_until(
            Some(until),
            &Retries::at_most(100),
            is_safe_to_retry,
            || {
                attempts += 1;
                std::future::ready(Err(connect_failed()))
            },
        )
        .await;
        assert_eq!(outcome.unwrap_err().reason(), reason::CONNECT_FAILED);
        assert!(attempts > 1 && Instant::now() < until, "{attempts}");
    }

    #[test]
    fn the_failure_of_a_nested_call_is_not_a_refusal_of_the_call() {
        let refusal_of = |service: &'static str| {
            let error = Error::unavailable(reason::NO_WORKER, "x").with_cid(Cid::new());
            error.with_info("service", service)
        };
        assert!(was_not_dispatched(&refusal_of("a.service"), "a.service"));
        for error in [
            refusal_of("a.nested"),
            connect_failed().with_cid(Cid::new()),
            node_stopping().with_cid(Cid::new()),
        ] {
            assert!(!was_not_dispatched(&error, "a.service"), "{error}");
        }
    }
}
