//! A synchronous call that is retried within its caller's deadline.

use std::borrow::Cow;
use std::time::Duration;

use crate::model::call::Call;
use crate::model::error::{Error, Result};
use crate::model::invocation::{RetryPolicy, should_retry};
use crate::model::payload::Payload;
use crate::service::context::Context;
use crate::service::platform::BoxFuture;
use crate::service::response::Response;

impl Context {
    /// Invokes another service and waits for its response; where it fails in a way that a repeat may mend, it is
    /// invoked again, within this handler's deadline.
    ///
    /// # Errors
    ///
    /// The last failure.
    pub fn invoke_with_retry(
        &self,
        service: impl Into<Cow<'static, str>>,
        input: impl Into<Payload>,
    ) -> RetryingCall<'_> {
        RetryingCall::new(self, Call::new(service, input))
    }
}

/// A synchronous call that is repeated while it fails, under construction. Await it.
#[derive(Debug)]
#[must_use = "nothing is invoked before this is awaited"]
pub struct RetryingCall<'a> {
    context: &'a Context,
    call: Call,
    policy: RetryPolicy,
}

impl<'a> RetryingCall<'a> {
    fn new(context: &'a Context, call: Call) -> Self {
        Self {
            context,
            call,
            policy: RetryPolicy {
                max_attempts: 5,
                initial_interval: Duration::from_millis(100),
                multiplier: 2.0,
                max_interval: Duration::from_secs(2),
            },
        }
    }

    /// How often it is repeated, and how long to wait before. Default: 5 calls in all; 100 ms, then twice as long each
    /// time, at most 2 s, each wait a random part of that.
    pub fn policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Waits at most this long for each call. A nested call never outlives its caller's deadline.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = Some(timeout);
        self
    }

    async fn repeat(self) -> Result<Response> {
        let Self {
            context,
            call,
            policy,
        } = self;
        let mut calls = 0;
        loop {
            calls += 1;
            let error = match context.platform().invoke(call.clone()).await {
                Ok(reply) => return Response::new(context.cid(), reply),
                Err(error) => error,
            };
            match pause(context, &policy, &error, calls) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }
}

/// How long to wait before the next call, if there is one: not where it would come too late.
fn pause(context: &Context, policy: &RetryPolicy, error: &Error, calls: u32) -> Option<Duration> {
    if !should_retry(error) || context.is_cancelled() {
        return None;
    }
    let pause = policy.backoff(calls, fastrand::f64(), error.retry_after())?;
    let is_in_time = context.time_left().is_none_or(|left| pause < left);
    is_in_time.then_some(pause)
}

impl<'a> IntoFuture for RetryingCall<'a> {
    type Output = Result<Response>;
    type IntoFuture = BoxFuture<'a, Result<Response>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.repeat())
    }
}
