//! Durable synchronous calls: stored before they are dispatched, so that the outcome outlives the caller.
//!
//! There are two kinds. With `on_deadline = CONTINUE` the call is an asynchronous invocation whose caller waits. With
//! an idempotency key alone it is attempted at most once, and not beyond the deadline of the caller: a caller that
//! repeats the call gets the first outcome. A caller that disconnects cancels neither: it may return with its CID or
//! its key.

use std::sync::Arc;
use std::time::Duration;

use crate::codec::sio;
use crate::engine::acceptance::origin::Acting;
use crate::engine::clock::saturating_add;
use crate::engine::execution::runtime::HandlerRuntime;
use crate::engine::routing::Route;
use crate::model::call::{ALREADY_ACCEPTED, ALREADY_ACCEPTED_KEY, Accepted, Call};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::payload::Reply;

/// A durable call that is accepted, and whose outcome the caller waits for.
#[derive(Debug)]
pub(in crate::engine) struct DurableCall {
    pub(in crate::engine) accepted: Accepted,
    route: Arc<Route>,
    timeout: Duration,
    continues: bool,
}

impl DurableCall {
    /// Accepts a call.
    ///
    /// # Errors
    ///
    /// As for accepting an asynchronous call; `UNAVAILABLE` / `SERVICE_PAUSED` or `NODE_HELD`.
    pub(in crate::engine) async fn accept(
        runtime: &HandlerRuntime,
        mut call: Call,
        acting: Acting,
    ) -> Result<Self> {
        runtime.lifecycle.check_accepting()?;
        let route = runtime.routes.find(&call.service)?;
        route.check_rate(1)?;
        let timeout = call.timeout.take().unwrap_or(route.options.timeout);
        let continues = call.continues();
        if !continues {
            let options = call.durable();
            options.deadline = Some(saturating_add(runtime.clock.now(), timeout));
            options.at_most_once = true;
        }
        Ok(Self {
            accepted: runtime.acceptor.accept_awaited(call, acting).await?,
            route,
            timeout,
            continues,
        })
    }

    /// Waits for the outcome. Returns it with the CID of the invocation, which is that of the first call where this one
    /// repeats it; such an outcome is marked.
    ///
    /// # Errors
    ///
    /// The failure of the service; `DEADLINE_EXCEEDED`, with the reason `STILL_RUNNING` where the invocation continues.
    pub(in crate::engine) async fn outcome(self, runtime: &HandlerRuntime) -> Result<(Cid, Reply)> {
        let Accepted {
            cid,
            already_accepted,
            ..
        } = self.accepted;
        match self.wait(cid, runtime).await {
            Ok(mut reply) => {
                if already_accepted {
                    reply.metadata.insert(ALREADY_ACCEPTED_KEY, "true");
                }
                Ok((cid, reply))
            }
            Err(error) => Err(match already_accepted {
                true => error.with_info(ALREADY_ACCEPTED, true),
                false => error,
            }
            .with_cid(cid)),
        }
    }

    async fn wait(&self, cid: Cid, runtime: &HandlerRuntime) -> Result<Reply> {
        match runtime.results.outcome(cid, self.timeout).await? {
            Some(Ok(Reply { payload, metadata })) => {
                let declaration = self.route.definition.declaration();
                let payload = sio::read_output(declaration, payload.clone()).unwrap_or(payload);
                Ok(Reply { payload, metadata })
            }
            Some(Err(error)) => Err(error),
            None => Err(self.wait_timed_out(cid)),
        }
    }

    fn wait_timed_out(&self, cid: Cid) -> Error {
        let (service, timeout) = (self.route.name(), self.timeout.as_millis());
        let error = if self.continues {
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
}

/// Accepts a call and waits for its outcome.
///
/// # Errors
///
/// As for [`DurableCall::accept`] and [`DurableCall::outcome`].
pub(in crate::engine) async fn invoke_durable(
    runtime: &HandlerRuntime,
    call: Call,
    acting: Acting,
) -> Result<(Cid, Reply)> {
    let accepted = DurableCall::accept(runtime, call, acting).await?;
    accepted.outcome(runtime).await
}
