//! The builder of an asynchronous call: `client.invoke_async("report.create", &request).delay(..).await`.

use std::time::Duration;

use jiff::Timestamp;

use super::dispatch::Dispatch;
use super::invoke::{add_metadata, set_format};
use crate::model::call::{Accepted, Call, DurableOptions, Start};
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::into_call::IntoCall;
use crate::model::invocation::{OnExhausted, RetryPolicy};
use crate::model::payload::Format;
use crate::service::platform::BoxFuture;

/// The builder of an asynchronous call, which `invoke_async` and `call_async` return. Await it to invoke: it then is
/// the CID of the invocation.
#[derive(Debug)]
#[must_use = "nothing is invoked before this is awaited"]
pub struct InvokeAsyncCall<'a, C> {
    caller: &'a C,
    call: Call,
    /// The error that it fails with, instead of being sent.
    fault: Option<Error>,
}

impl<'a, C: Dispatch> InvokeAsyncCall<'a, C> {
    #[inline]
    pub(super) fn new(caller: &'a C, call: Call, fault: Option<Error>) -> Self {
        Self {
            caller,
            call,
            fault,
        }
    }

    /// Adds a key to the metadata of the call. The call of a handler then no longer inherits that of its caller.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        add_metadata(&mut self.call, key, value);
        self
    }

    /// Sets the format of the response. Default: that of the input.
    pub fn response_format(mut self, format: Format) -> Self {
        self.call.response_format = Some(format);
        self
    }

    /// Sets the format of an input that is text or bytes. Any other input is unaffected.
    pub fn data_format(mut self, format: Format) -> Self {
        set_format(&mut self.call, format);
        self
    }

    /// Sets the timeout of one attempt, counted from its start or its last progress report. Default: the service's,
    /// then 15 min.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = Some(timeout);
        self
    }

    /// Sets the CID. Default: the platform generates one.
    pub fn cid(mut self, cid: Cid) -> Self {
        self.call.cid = Some(cid);
        self
    }

    /// Delays the start, counted from acceptance. Default: it starts immediately.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.call.durable().start = Some(Start::After(delay));
        self
    }

    /// Sets the start time. Default: it starts immediately.
    pub fn start_time(mut self, time: Timestamp) -> Self {
        self.call.durable().start = Some(Start::At(time));
        self
    }

    /// Sets the expiration: it expires if it has not started this long after acceptance. Default: never.
    pub fn expiration(mut self, expiration: Duration) -> Self {
        self.call.durable().expiration = Some(expiration);
        self
    }

    /// Sets the deadline, retries included. Default: none.
    pub fn deadline(mut self, deadline: Timestamp) -> Self {
        self.call.durable().deadline = Some(deadline);
        self
    }

    /// Sets the retry policy of failed attempts. Default: the service's, then the node's.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.call.durable().retry_policy = Some(policy);
        self
    }

    /// Holds the invocation as a dead letter, instead of failing it, when no attempt is left. It then waits until an
    /// operator retries or cancels it. Default: as the service declares, or else it fails.
    pub fn hold(self) -> Self {
        self.on_exhausted(OnExhausted::Hold)
    }

    /// Sets what becomes of the invocation when no attempt is left. Default: as the service declares, or else it fails.
    pub fn on_exhausted(mut self, on_exhausted: OnExhausted) -> Self {
        self.call.durable().on_exhausted = Some(on_exhausted);
        self
    }

    /// Adds a callback: a service that is invoked with the response. Can be repeated, up to 16 times.
    pub fn callback(mut self, service: impl Into<String>) -> Self {
        self.call.durable().callbacks.push(service.into());
        self
    }

    /// Adds a failure callback: a service that is invoked with the error once the invocation failed, was cancelled or
    /// expired. Can be repeated, up to 16 times.
    pub fn failure_callback(mut self, service: impl Into<String>) -> Self {
        self.call.durable().failure_callbacks.push(service.into());
        self
    }

    /// Sets how long the outcome is kept. Default: the service's, then 24 h for a response and 14 days for a failure.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.call.durable().retention = Some(retention);
        self
    }

    /// Sets the idempotency key, at most 255 bytes: a retry with the same key returns the first invocation.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.call.durable().idempotency_key = Some(key.into());
        self
    }

    /// Sets the concurrency key, at most 255 bytes: invocations of the service with the same key run one at a time, in
    /// order of due time. Default: none.
    pub fn concurrency_key(mut self, key: impl Into<String>) -> Self {
        self.call.durable().concurrency_key = Some(key.into());
        self
    }

    pub(in crate::service) fn caller(&self) -> &'a C {
        self.caller
    }

    pub(in crate::service) fn durable(&mut self) -> &mut DurableOptions {
        self.call.durable()
    }

    /// Invokes the service, and returns the acknowledgement: the CID, whether the invocation had been accepted before,
    /// and the keys of the input that are not declared.
    ///
    /// # Errors
    ///
    /// As for awaiting it.
    pub async fn accept(self) -> Result<Accepted> {
        let caller = self.caller;
        caller.accept(self.into_call()?).await
    }
}

impl<'a, C: Dispatch> IntoFuture for InvokeAsyncCall<'a, C> {
    type Output = Result<Cid>;
    type IntoFuture = BoxFuture<'a, Result<Cid>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.accept().await?.cid) })
    }
}

/// A call with options, as a member of a group.
impl<C: Dispatch> IntoCall for InvokeAsyncCall<'_, C> {
    fn into_call(self) -> Result<Call> {
        match self.fault {
            None => Ok(self.call),
            Some(fault) => Err(fault),
        }
    }
}
