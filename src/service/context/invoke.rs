//! Calls of other services by a handler.

use sha2::{Digest as _, Sha256};

use crate::model::call::{Accepted, Call};
use crate::model::error::Result;
use crate::service::call::{
    Dispatch, HandlerNames, InvokeAsyncCall, LocalHandlers, call_handlers, caller,
};
use crate::service::context::Context;
use crate::service::platform::BoxFuture;
use crate::service::response::Response;

caller!(
    Context,
    "ctx",
    "The call is nested: it has the CID of this handler, by default its metadata, and it never outlives its deadline. \
     The timeout is that of the call, or the service's, or 30 s. A failed call is not retried; \
     [`invoke_with_retry`](Self::invoke_with_retry) retries it.",
    "The invocation has a CID of its own, no deadline by default, and 15 min for each attempt. Where this handler is \
     itself attempted again, it invokes the service again, unless the call is made \
     [once](crate::InvokeAsyncCall::once) or [with the outcome](crate::InvokeAsyncCall::with_outcome)."
);
call_handlers!(Context, "ctx");

impl Dispatch for Context {
    #[inline]
    fn respond(&self, call: Call) -> BoxFuture<'_, Result<Response>> {
        self.platform().respond(call)
    }

    fn accept(&self, call: Call) -> BoxFuture<'_, Result<Accepted>> {
        self.platform().invoke_async(call)
    }
}

impl LocalHandlers for Context {
    fn handler_names(&self) -> &HandlerNames {
        self.states().handler_names()
    }
}

impl InvokeAsyncCall<'_, Context> {
    /// Accepts it in the transaction that records this handler's response, and only if the handler succeeds. In a call
    /// that is not stored it is accepted immediately.
    pub fn with_outcome(mut self) -> Self {
        self.durable().with_outcome = true;
        self
    }

    /// Accepts this child once for all attempts of the calling handler. `label` distinguishes it from other children.
    pub fn once(mut self, label: &str) -> Self {
        self.durable().idempotency_key = Some(once_key(self.caller(), label));
        self
    }
}

/// The idempotency key of a child that is accepted once for all attempts: the CID, the path of nested services, and a
/// label.
pub(super) fn once_key(context: &Context, label: &str) -> String {
    let info = context.info();
    match context.platform().path() {
        None => format!("once/{}/{}/{label}", info.cid, info.service),
        // A path may be longer than a key.
        Some(path) => {
            let digest = Sha256::digest(path);
            let half = digest.iter().take(16);
            let hex: String = half.map(|byte| format!("{byte:02x}")).collect();
            format!("once/{}/{hex}/{label}", info.cid)
        }
    }
}
