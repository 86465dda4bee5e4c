//! Synchronous invocations that last: stored before they are dispatched, so that the outcome can be had by CID,
//! whatever becomes of the caller.
//!
//! Two kinds. Where the caller asked for `on_deadline = CONTINUE`, it is an asynchronous invocation that somebody waits
//! for. With an idempotency key alone it is attempted at most once, and not beyond the caller's deadline: a caller who
//! says it again gets the first outcome. A caller that goes away cancels neither: it may come back with its CID or key.

use std::time::Duration;

use crate::codec::sio;
use crate::engine::Invoker;
use crate::engine::clock::later;
use crate::engine::results::lookup::InvocationView;
use crate::model::call::{Call, OnDeadline};
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::Invocation;
use crate::model::payload::Reply;

impl Invoker {
    /// Accepts a call, waits for its outcome, and answers with it and the CID of the invocation that it is of.
    pub(in crate::engine) async fn invoke_stored(&self, mut call: Call) -> Result<(Cid, Reply)> {
        let route = self.0.routes.find(&call.service)?;
        let timeout = call.timeout.take().unwrap_or(route.options.timeout);
        let asked = call.durable();
        let continues = asked.on_deadline == OnDeadline::Continue;
        if !continues {
            asked.deadline = Some(later(self.0.clock.now(), timeout));
            asked.at_most_once = true;
        }
        let cid = self.invoke_async(call).await?.cid;
        let found = self.find(cid, timeout).await;
        let InvocationView { invocation, .. } = found.map_err(|error| error.with_cid(cid))?;
        match invocation.outcome() {
            Some(Ok(Reply { payload, metadata })) => {
                let declaration = route.definition.declaration();
                let payload = sio::read_output(declaration, payload.clone()).unwrap_or(payload);
                Ok((cid, Reply { payload, metadata }))
            }
            Some(Err(error)) => Err(error.with_cid(cid)),
            None => Err(wait_over(&invocation, timeout, continues)),
        }
    }
}

fn wait_over(invocation: &Invocation, timeout: Duration, continues: bool) -> Error {
    let (cid, service) = (invocation.request.cid, &invocation.request.service);
    let timeout = timeout.as_millis();
    let error = if continues {
        let message = format!(
            "`{service}` did not answer within {timeout} ms and goes on: fetch or stream the outcome of {cid}"
        );
        Error::deadline_exceeded(reason::STILL_RUNNING, message)
    } else {
        let message = format!("service `{service}` did not answer within {timeout} ms");
        Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message)
    };
    error.with_info("timeout_ms", timeout).with_cid(cid)
}

/// `UNKNOWN` / `NODE_LOST`: what is attempted at most once may have run, or not.
pub(in crate::engine) fn node_lost() -> Error {
    let message = "the node ended before the service answered; the call is attempted at most once";
    Error::new(Kind::Unknown, reason::NODE_LOST, message).with_retryable(false)
}
