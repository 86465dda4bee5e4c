//! Doing something again that failed and does no harm when it is done twice.

use std::time::Duration;

use crate::model::error::{Error, Kind, Result, reason};

/// How often something is tried in all, unless told otherwise.
pub(super) const TRIES: u32 = 5;
/// The wait before the first repeat, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Tries until it succeeds, fails for good, or has been tried often enough.
pub(super) async fn again<T, F: Future<Output = Result<T>>>(
    tries: u32,
    is_safe: fn(&Error) -> bool,
    mut attempt: impl FnMut(u32) -> F,
) -> Result<T> {
    let mut pause = FIRST_PAUSE;
    let mut tried = 0;
    loop {
        match attempt(tried).await {
            Err(error) if is_safe(&error) && tried + 1 < tries => {
                let asked = error.retry_after().unwrap_or_default();
                let jittered = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
                tokio::time::sleep(jittered.max(asked.min(LONGEST_PAUSE))).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                tried += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Whether a call failed before it was dispatched: the node said so, or was not reached.
pub(super) fn never_began(error: &Error) -> bool {
    const BEFORE: [&str; 4] = [
        reason::CONNECT_FAILED,
        reason::NODE_STOPPING,
        reason::NO_WORKER,
        reason::QUEUE_FULL,
    ];
    BEFORE.contains(&error.reason()) || (is_transport(error) && error.kind() == Kind::Unavailable)
}

/// Whether what has a name of its own may be said again: it is accepted once.
pub(super) fn may_be_said_again(error: &Error) -> bool {
    never_began(error) || is_transport(error) || error.reason() == reason::PENDING_LIMIT
}

/// Whether the connection failed, and not what it was used for.
pub(super) fn is_transport(error: &Error) -> bool {
    let broken = matches!(
        error.kind(),
        Kind::Unavailable | Kind::Unknown | Kind::Internal | Kind::Cancelled
    );
    broken && error.reason() == reason::TRANSPORT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_safe_is_tried_again_and_nothing_else() {
        let count = async |error: fn() -> Error, safe: fn(&Error) -> bool| {
            let mut tried = 0;
            let outcome: Result<()> = again(TRIES, safe, |_| {
                tried += 1;
                std::future::ready(Err(error()))
            })
            .await;
            assert!(outcome.is_err());
            tried
        };
        let stopping = || Error::unavailable(reason::NODE_STOPPING, "x");
        let by_handler = || Error::unavailable("DOWN", "the handler says so");
        let broken = || Error::new(Kind::Unknown, reason::TRANSPORT, "broken pipe");
        assert_eq!(count(stopping, never_began).await, TRIES);
        assert_eq!(count(by_handler, never_began).await, 1);
        assert_eq!(count(broken, never_began).await, 1);
        assert_eq!(count(broken, may_be_said_again).await, TRIES);
        assert_eq!(count(by_handler, may_be_said_again).await, 1);
    }
}
