//! Doing something again that failed and does no harm when it is done twice.

use std::time::Duration;

use futures_util::TryFutureExt as _;
use tonic::{Response, Status};

use super::sent::failure;
use crate::model::error::{Error, Kind, Result, reason};

/// How often something is tried in all, unless told otherwise: for some five seconds, as long as a node restarts.
pub(super) const TRIES: u32 = 8;
/// The wait before the first repeat, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Tries until it succeeds, fails for good, or has been tried often enough.
pub(super) async fn again<T, F: Future<Output = Result<T>>>(
    tries: u32,
    is_safe: impl Fn(&Error) -> bool,
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

/// Says something to a node until it has heard it.
pub(super) async fn say<T, F>(
    tries: u32,
    is_safe: impl Fn(&Error) -> bool,
    say: impl Fn() -> F,
) -> Result<Response<T>>
where
    F: Future<Output = std::result::Result<Response<T>, Status>>,
{
    let attempt = |_| say().map_err(|status| failure(&status));
    again(tries, is_safe, attempt).await
}

/// Whether a call of a service failed before it was dispatched: the node said so of that service, or was not reached.
///
/// A handler may hand on what became of its own calls: what the node answers has a CID, and names the service that it
/// is about.
pub(super) fn never_began(error: &Error, service: &str) -> bool {
    const BEFORE: [&str; 3] = [reason::NODE_STOPPING, reason::NO_WORKER, reason::QUEUE_FULL];
    if error.cid().is_some() {
        return BEFORE.contains(&error.reason()) && error.fact("service") == Some(service);
    }
    never_sent(error)
}

/// Whether the node was not reached.
pub(super) fn never_sent(error: &Error) -> bool {
    let reached = error.cid().is_some();
    let not_sent = error.reason() == reason::CONNECT_FAILED
        || (is_transport(error) && error.kind() == Kind::Unavailable);
    not_sent && !reached
}

/// Whether what has a name of its own may be said again: it is accepted once.
pub(super) fn may_be_said_again(error: &Error) -> bool {
    const NOT_NOW: [&str; 5] = [
        reason::CONNECT_FAILED,
        reason::NODE_STOPPING,
        reason::NO_WORKER,
        reason::QUEUE_FULL,
        reason::PENDING_LIMIT,
    ];
    NOT_NOW.contains(&error.reason()) || is_transport(error)
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
    use crate::model::id::Cid;

    #[tokio::test(start_paused = true)]
    async fn what_is_safe_is_tried_again_and_nothing_else() {
        let never = |error: &Error| never_began(error, "a.service");
        let count = async |error: fn() -> Error, safe: &dyn Fn(&Error) -> bool| {
            let mut tried = 0;
            let outcome: Result<()> = again(TRIES, safe, |_| {
                tried += 1;
                std::future::ready(Err(error()))
            })
            .await;
            assert!(outcome.is_err());
            tried
        };
        let answered = |error: Error| error.with_cid(Cid::new());
        let stopping = || Error::unavailable(reason::NODE_STOPPING, "x");
        let by_handler = || Error::unavailable("DOWN", "the handler says so");
        let broken = || Error::new(Kind::Unknown, reason::TRANSPORT, "broken pipe");
        let not_reached = || Error::unavailable(reason::CONNECT_FAILED, "x");
        let of = |service: &'static str| {
            let error = Error::unavailable(reason::NO_WORKER, "x").with_cid(Cid::new());
            error.with_info("service", service)
        };
        assert_eq!(count(not_reached, &never).await, TRIES);
        assert!(never(&of("a.service")));
        // What became of a nested call is the handler's to tell: it has run.
        assert!(!never(&of("a.nested")) && !never(&answered(not_reached())));
        assert!(!never(&answered(stopping())));
        assert_eq!(count(by_handler, &never).await, 1);
        assert_eq!(count(broken, &never).await, 1);
        assert_eq!(count(stopping, &may_be_said_again).await, TRIES);
        assert_eq!(count(broken, &may_be_said_again).await, TRIES);
        assert_eq!(count(by_handler, &may_be_said_again).await, 1);
    }
}
