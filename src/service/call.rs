//! Calls of other services: `ctx.invoke("crm.lookup", dict! { "id": 1 }).timeout(..).await`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::model::call::{Call, Start};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::RetryPolicy;
use crate::model::payload::{Format, Payload};
use crate::service::context::Context;
use crate::service::platform::BoxFuture;
use crate::service::response::Response;

/// A synchronous call under construction. Await it.
#[derive(Debug)]
#[must_use = "nothing is invoked before this is awaited"]
pub struct InvokeCall<'a> {
    context: &'a Context,
    call: Call,
}

/// An asynchronous call under construction. Await it.
#[derive(Debug)]
#[must_use = "nothing is invoked before this is awaited"]
pub struct InvokeAsyncCall<'a> {
    context: &'a Context,
    call: Call,
}

impl Context {
    /// Invokes another service and waits for its response. It shares this invocation's CID and its deadline.
    ///
    /// ```
    /// # use cidery::{Context, Result, dict};
    /// async fn handler(ctx: Context) -> Result<String> {
    ///     let response = ctx.invoke("crm.lookup", dict! { "cust_id": 1 }).await?;
    ///     response.at("my_response_elem.cust_name")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// What the service answered, `NOT_FOUND` / `SERVICE_UNKNOWN`, `DEADLINE_EXCEEDED`, or what a limit says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the call cancels the nested invocation; its hooks run.
    pub fn invoke(
        &self,
        service: impl Into<Cow<'static, str>>,
        input: impl Into<Payload>,
    ) -> InvokeCall<'_> {
        InvokeCall {
            context: self,
            call: Call::new(service, input),
        }
    }

    /// Has another service run in the background, under a CID of its own, which is answered once the request is
    /// stored.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`, or what a limit says.
    pub fn invoke_async(
        &self,
        service: impl Into<Cow<'static, str>>,
        input: impl Into<Payload>,
    ) -> InvokeAsyncCall<'_> {
        InvokeAsyncCall {
            context: self,
            call: Call::new(service, input),
        }
    }
}

macro_rules! options {
    ($builder:ident) => {
        impl $builder<'_> {
            /// Adds a key to the metadata of the call; what this handler got itself is no longer handed on.
            pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
                let metadata = self.call.metadata.get_or_insert_default();
                Arc::make_mut(metadata).insert(key, value);
                self
            }

            /// Asks for the response in a format.
            pub fn response_format(mut self, format: Format) -> Self {
                self.call.response_format = Some(format);
                self
            }

            /// Says how to read an input that is text or bytes. An input that is a dict stays one.
            pub fn data_format(mut self, format: Format) -> Self {
                self.call.input = as_document(self.call.input, format);
                self
            }
        }
    };
}

options!(InvokeCall);
options!(InvokeAsyncCall);

impl InvokeCall<'_> {
    /// Waits at most this long. A nested call never outlives its caller's deadline.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = Some(timeout);
        self
    }
}

impl InvokeAsyncCall<'_> {
    /// How long one attempt may last since its last sign of life. Default: the service's, then 15 min.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = Some(timeout);
        self
    }

    /// Brings the CID instead of having one made.
    pub fn cid(mut self, cid: Cid) -> Self {
        self.call.cid = Some(cid);
        self
    }

    /// Starts it this long after it was accepted.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.call.durable().start = Some(Start::After(delay));
        self
    }

    /// Starts it at an instant.
    pub fn start_time(mut self, time: Timestamp) -> Self {
        self.call.durable().start = Some(Start::At(time));
        self
    }

    /// Gives up if it has not started this long after it was accepted.
    pub fn expiration(mut self, expiration: Duration) -> Self {
        self.call.durable().expiration = Some(expiration);
        self
    }

    /// It must have ended at this instant, retries included.
    pub fn deadline(mut self, deadline: Timestamp) -> Self {
        self.call.durable().deadline = Some(deadline);
        self
    }

    /// How failed attempts are repeated. Default: the service's policy.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.call.durable().retry_policy = Some(policy);
        self
    }

    /// Holds it, rather than failing it, when no attempt is left.
    pub fn hold(mut self) -> Self {
        self.call.durable().hold = true;
        self
    }

    /// Invokes a service with the response. Can be said several times.
    pub fn callback(mut self, service: impl Into<String>) -> Self {
        self.call.durable().callbacks.push(service.into());
        self
    }

    /// Invokes a service with the failure, once it failed, was cancelled or expired. Can be said several times.
    pub fn failure_callback(mut self, service: impl Into<String>) -> Self {
        self.call.durable().failure_callbacks.push(service.into());
        self
    }

    /// How long the outcome is kept. Default: the service's.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.call.durable().retention = Some(retention);
        self
    }

    /// Makes acceptance safe to repeat: the first invocation with this key is answered again.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.call.durable().idempotency_key = Some(key.into());
        self
    }

    /// Runs alone among those of the service that have this key, in order of due time.
    pub fn concurrency_key(mut self, key: impl Into<String>) -> Self {
        self.call.durable().concurrency_key = Some(key.into());
        self
    }

    /// Accepts it in the transaction that records this handler's response, and not at all where it does not succeed. In
    /// a call that is not stored it is accepted at once.
    pub fn with_outcome(mut self) -> Self {
        self.call.durable().with_outcome = true;
        self
    }

    /// Has this child accepted once, however often the calling handler is attempted: `label` tells it from others.
    pub fn once(mut self, label: &str) -> Self {
        self.call.durable().idempotency_key = Some(once_key(self.context, label));
        self
    }
}

/// The key of what is accepted once, however often a handler is attempted: by its CID, where in that it is, and a
/// label.
pub(super) fn once_key(context: &Context, label: &str) -> String {
    let facts = context.facts();
    match context.platform().path() {
        None => format!("once/{}/{}/{label}", facts.cid, facts.service),
        // A path may be longer than a key.
        Some(path) => {
            let digest = Sha256::digest(path);
            let half = digest.iter().take(16);
            let hex: String = half.map(|byte| format!("{byte:02x}")).collect();
            format!("once/{}/{hex}/{label}", facts.cid)
        }
    }
}

fn as_document(input: Payload, format: Format) -> Payload {
    use crate::model::value::Value;
    match input {
        Payload::Value(Value::Text(text)) => Payload::Document(text.into(), format),
        Payload::Value(Value::Bytes(bytes)) => Payload::Document(bytes, format),
        other => other,
    }
}

impl<'a> IntoFuture for InvokeCall<'a> {
    type Output = Result<Response>;
    type IntoFuture = BoxFuture<'a, Result<Response>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { context, call } = self;
        Box::pin(async move {
            let reply = context.platform().invoke(call).await?;
            Response::new(context.cid(), reply)
        })
    }
}

impl<'a> IntoFuture for InvokeAsyncCall<'a> {
    type Output = Result<Cid>;
    type IntoFuture = BoxFuture<'a, Result<Cid>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { context, call } = self;
        Box::pin(async move { Ok(context.platform().invoke_async(call).await?.cid) })
    }
}

impl From<InvokeAsyncCall<'_>> for Call {
    /// The call with its options, to be a member of a group.
    fn from(call: InvokeAsyncCall<'_>) -> Self {
        call.call
    }
}
