//! Durable synchronous calls: stored before they are dispatched, so that the outcome outlives the caller.
//!
//! There are two kinds. With `on_deadline = CONTINUE` the call is an asynchronous invocation whose caller waits. With
//! an idempotency key alone it is attempted at most once, and not beyond the deadline of the caller: a caller that
//! repeats the call gets the first outcome. A caller that disconnects cancels neither: it may return with its CID or
//! its key.

use std::time::Duration;

use crate::codec::sio;
use crate::engine::clock::saturating_add;
use crate::engine::execution::runtime::HandlerRuntime;
use crate::model::call::{Call, OnDeadline};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::Invocation;
use crate::model::payload::Reply;

/// Accepts a call and waits for its outcome. Returns it with the CID of its invocation, which is that of the first call
/// where this one repeats it.
///
/// # Errors
///
/// As for accepting it; the failure of the service; `DEADLINE_EXCEEDED`, with the reason `STILL_RUNNING` where the
/// invocation continues.
pub(in crate::engine) async fn invoke_durable(
    runtime: &HandlerRuntime,
    mut call: Call,
) -> Result<(Cid, Reply)> {
    runtime.lifecycle.check_accepting()?;
    let route = runtime.routes.find(&call.service)?;
    let timeout = call.timeout.take().unwrap_or(route.options.timeout);
    let options = call.durable();
    let continues = options.on_deadline == OnDeadline::Continue;
    if !continues {
        options.deadline = Some(saturating_add(runtime.clock.now(), timeout));
        options.at_most_once = true;
    }
    let cid = runtime.acceptor.accept(call, None).await?.cid;
    let found = runtime.results.find(cid, timeout).await;
    let invocation = found.map_err(|error| error.with_cid(cid))?.invocation;
    match invocation.outcome() {
        Some(Ok(Reply { payload, metadata })) => {
            let declaration = route.definition.declaration();
            let payload = sio::read_output(declaration, payload.clone()).unwrap_or(payload);
            Ok((cid, Reply { payload, metadata }))
        }
        Some(Err(error)) => Err(error.with_cid(cid)),
        None => Err(wait_timed_out(&invocation, timeout, continues)),
    }
}

fn wait_timed_out(invocation: &Invocation, timeout: Duration, continues: bool) -> Error {
    let (cid, service) = (invocation.request.cid, &invocation.request.service);
    let timeout = timeout.as_millis();
    let error = if continues {
        let message = format!(
            "`{service}` did not answer within {timeout} ms and continues: \
             fetch or stream the outcome of {cid}"
        );
        Error::deadline_exceeded(reason::STILL_RUNNING, message)
    } else {
        let message = format!("service `{service}` did not answer within {timeout} ms");
        Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message)
    };
    error.with_info("timeout_ms", timeout).with_cid(cid)
}
