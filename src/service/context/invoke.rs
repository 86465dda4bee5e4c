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

/// The builder of a synchronous call. Await it to invoke.
#[derive(Debug)]
#[must_use = "nothing is invoked before this is awaited"]
pub struct InvokeCall<'a> {
    context: &'a Context,
    call: Call,
}

/// The builder of an asynchronous call. Await it to invoke.
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
    /// The error of the service, `NOT_FOUND` / `SERVICE_UNKNOWN`, `DEADLINE_EXCEEDED`, or the error of a limit.
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

    /// Invokes another service asynchronously under a new CID, which is returned once the request is stored.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`, or the error of a limit.
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
            /// Adds a key to the metadata of the call, which then no longer inherits that of this handler.
            pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
                let metadata = self.call.metadata.get_or_insert_default();
                Arc::make_mut(metadata).insert(key, value);
                self
            }

            /// Sets the format of the response.
            pub fn response_format(mut self, format: Format) -> Self {
                self.call.response_format = Some(format);
                self
            }

            /// Sets the format of an input that is text or bytes. An input that is a dict is unaffected.
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
    /// Sets the timeout. A nested call never outlives its caller's deadline.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = Some(timeout);
        self
    }
}

impl InvokeAsyncCall<'_> {
    /// Sets the timeout of one attempt since its last progress report. Default: the service's, then 15 min.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = Some(timeout);
        self
    }

    /// Sets the CID. Default: the platform generates one.
    pub fn cid(mut self, cid: Cid) -> Self {
        self.call.cid = Some(cid);
        self
    }

    /// Delays the start, counted from acceptance.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.call.durable().start = Some(Start::After(delay));
        self
    }

    /// Sets the start time.
    pub fn start_time(mut self, time: Timestamp) -> Self {
        self.call.durable().start = Some(Start::At(time));
        self
    }

    /// Sets the expiration: it expires if it has not started this long after acceptance.
    pub fn expiration(mut self, expiration: Duration) -> Self {
        self.call.durable().expiration = Some(expiration);
        self
    }

    /// Sets the deadline, retries included.
    pub fn deadline(mut self, deadline: Timestamp) -> Self {
        self.call.durable().deadline = Some(deadline);
        self
    }

    /// Sets the retry policy of failed attempts. Default: the service's.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.call.durable().retry_policy = Some(policy);
        self
    }

    /// Holds the invocation, instead of failing it, when no attempt is left.
    pub fn hold(mut self) -> Self {
        self.call.durable().hold = true;
        self
    }

    /// Adds a callback that is invoked with the response. Can be repeated.
    pub fn callback(mut self, service: impl Into<String>) -> Self {
        self.call.durable().callbacks.push(service.into());
        self
    }

    /// Adds a callback that is invoked with the error once the invocation failed, was cancelled or expired. Can be
    /// repeated.
    pub fn failure_callback(mut self, service: impl Into<String>) -> Self {
        self.call.durable().failure_callbacks.push(service.into());
        self
    }

    /// Sets the retention of the outcome. Default: the service's.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.call.durable().retention = Some(retention);
        self
    }

    /// Sets the idempotency key: a retry with the same key returns the first invocation.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.call.durable().idempotency_key = Some(key.into());
        self
    }

    /// Sets the concurrency key: invocations of the service with the same key run one at a time, in order of due time.
    pub fn concurrency_key(mut self, key: impl Into<String>) -> Self {
        self.call.durable().concurrency_key = Some(key.into());
        self
    }

    /// Accepts it in the transaction that records this handler's response, and only if the handler succeeds. In a call
    /// that is not stored it is accepted immediately.
    pub fn with_outcome(mut self) -> Self {
        self.call.durable().with_outcome = true;
        self
    }

    /// Accepts this child once for all attempts of the calling handler. `label` distinguishes it from other children.
    pub fn once(mut self, label: &str) -> Self {
        self.call.durable().idempotency_key = Some(once_key(self.context, label));
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
    /// Converts the builder to a call with options, for a member of a group.
    fn from(call: InvokeAsyncCall<'_>) -> Self {
        call.call
    }
}
