//! `CompleteInvocation`: async completion by an external caller.

use std::time::Duration;

use crate::codec::convert::{completion_from_proto, state_to_proto};
use crate::codec::proto::v1;
use crate::engine::Invoker;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::Cid;
use crate::remote::worker_registry::WorkerRegistry;

/// How long a completion waits for a worker to answer a call that is not stored with "later".
const DISPATCH_TIMEOUT: Duration = Duration::from_secs(5);

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
    // A worker's handler may give its token away before it answers "later". The engine knows the tokens of stored
    // invocations, but not that of a call that is not stored, until then.
    if let Some(context) = workers.dispatch(&token)
        && context.cid() == cid
        && !context.info().asynchronous
    {
        let answered = workers.token_void(&token);
        let _ = tokio::time::timeout(DISPATCH_TIMEOUT, answered).await;
    }
    let state = invoker.complete(cid, &token, outcome).await?;
    Ok(v1::CompleteInvocationResponse {
        state: state_to_proto(state).into(),
    })
}
