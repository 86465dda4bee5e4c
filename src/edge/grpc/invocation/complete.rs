//! `CompleteInvocation`: async completion by an external caller.

use std::time::Duration;

use tokio::time::Instant;

use crate::codec::convert::{completion_from_proto, state_to_proto};
use crate::codec::proto::v1;
use crate::engine::Invoker;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::Cid;
use crate::remote::worker_registry::WorkerRegistry;

/// How long a completion waits for the worker to return the dispatch as "later".
const DISPATCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the dispatch is checked meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Completes an invocation with an outcome.
///
/// # Errors
///
/// As for [`Invoker::complete`].
pub(super) async fn complete(
    invoker: &Invoker,
    workers: &WorkerRegistry,
    cid: Cid,
    mut message: v1::CompleteInvocationRequest,
) -> Result<v1::CompleteInvocationResponse> {
    let token = std::mem::take(&mut message.token);
    if token.is_empty() {
        let violation = Violation::new("/token", "MISSING", "is required");
        return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
    }
    let outcome = completion_from_proto(message)?;
    // A handler may hand out its token before its worker returns the dispatch: until then the attempt still runs.
    let until = Instant::now() + DISPATCH_TIMEOUT;
    while workers.context(&token).is_ok() && Instant::now() < until {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let state = invoker.complete(cid, &token, outcome).await?;
    Ok(v1::CompleteInvocationResponse {
        state: state_to_proto(state).into(),
    })
}
