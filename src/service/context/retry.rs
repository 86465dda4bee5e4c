//! Synchronous calls with retries: exponential backoff within the caller's deadline.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::call::Call;
use crate::model::error::{Error, Result};
use crate::model::into_call::IntoServiceName;
use crate::model::into_payload::IntoPayload;
use crate::model::invocation::{RetryPolicy, should_retry};
use crate::service::call::{Target, target_call};
use crate::service::context::Context;
use crate::service::platform::BoxFuture;
use crate::service::refusal::refused_by;
use crate::service::response::Response;

impl Context {
    /// Invokes another service by name, waits for its response, and retries it while it fails with an error that a
    /// retry may help, within the deadline of this handler.
    ///
    /// ```
    /// # use cidery::{Context, Result, dict};
    /// # async fn handler(ctx: Context) -> Result<()> {
    /// let response = ctx.invoke_with_retry("crm.lookup", dict! { "cust_id": 1 }).await?;
    /// # let _ = response;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Default: 5 attempts in total, with a backoff of 100 ms that doubles up to 2 s; see [`RetryingCall::policy`]. The
    /// service may run more than once.
    ///
    /// # Errors
    ///
    /// The error of the last attempt: see [`invoke`](Self::invoke).
    pub fn invoke_with_retry(
        &self,
        service: impl IntoServiceName,
        input: impl IntoPayload,
    ) -> RetryingCall<'_> {
        let service = service.into_service_name();
        let call = match input.into_payload() {
            Ok(input) => Ok(Call::new(service, input)),
            Err(error) => Err(refused_by(error, &service)),
        };
        RetryingCall::new(self, call, Ok)
    }

    /// Calls a service by its types, waits for its output, and retries it as
    /// [`invoke_with_retry`](Self::invoke_with_retry) does.
    ///
    /// ```
    /// # use cidery::{Context, Result, Service};
    /// const COUNT: Service<(), u64> = Service::new("stock.count");
    ///
    /// async fn handler(ctx: Context) -> Result<u64> {
    ///     ctx.call_with_retry(COUNT, ()).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the last attempt: see [`call`](Self::call).
    #[expect(clippy::needless_pass_by_value, reason = "as for `call`")]
    pub fn call_with_retry<T: Target<Via>, Via>(
        &self,
        service: T,
        input: T::Input,
    ) -> RetryingCall<'_, T::Output>
    where
        T::Input: Serialize + 'static,
        T::Output: DeserializeOwned,
    {
        RetryingCall::new(self, target_call(self, &service, input), Response::parse)
    }
}

/// The builder of a synchronous call with retries. Await it to invoke.
#[derive(Debug)]
#[must_use = "nothing is invoked before this is awaited"]
pub struct RetryingCall<'a, Out = Response> {
    context: &'a Context,
    call: Result<Call>,
    read: fn(Response) -> Result<Out>,
    policy: RetryPolicy,
}

impl<'a, Out> RetryingCall<'a, Out> {
    fn new(context: &'a Context, call: Result<Call>, read: fn(Response) -> Result<Out>) -> Self {
        Self {
            context,
            call,
            read,
            policy: RetryPolicy {
                max_attempts: 5,
                initial_interval: Duration::from_millis(100),
                multiplier: 2.0,
                max_interval: Duration::from_secs(2),
            },
        }
    }

    /// Sets the retry policy. Default: 5 attempts in total; a backoff of 100 ms that doubles up to 2 s, with full
    /// jitter.
    pub fn policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the timeout of each attempt. Default: the service's, then 30 s. A nested call never outlives the deadline
    /// of its caller.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if let Ok(call) = &mut self.call {
            call.timeout = Some(timeout);
        }
        self
    }

    async fn run(self) -> Result<Out> {
        let Self {
            context,
            call,
            read,
            policy,
        } = self;
        let call = call?;
        let mut calls = 0;
        loop {
            calls += 1;
            let error = match context.platform().invoke(call.clone()).await {
                Ok(reply) => return read(Response::new(context.cid(), reply)?),
                Err(error) => error,
            };
            match backoff(context, &policy, &error, calls) {
                Some(backoff) => tokio::time::sleep(backoff).await,
                None => return Err(error),
            }
        }
    }
}

/// The backoff before the next attempt; `None` where there is none, or where it would start after the deadline.
fn backoff(context: &Context, policy: &RetryPolicy, error: &Error, calls: u32) -> Option<Duration> {
    if !should_retry(error) || context.is_cancelled() {
        return None;
    }
    let backoff = policy.backoff(calls, fastrand::f64(), error.retry_after())?;
    let is_before_deadline = context.time_left().is_none_or(|left| backoff < left);
    is_before_deadline.then_some(backoff)
}

impl<'a, Out: 'a> IntoFuture for RetryingCall<'a, Out> {
    type Output = Result<Out>;
    type IntoFuture = BoxFuture<'a, Result<Out>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
