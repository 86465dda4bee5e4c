//! Patterns: many services at once in the background, and one service again and again.

use std::time::Duration;

use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::Call;
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::invocation::{Outcome, RetryPolicy, is_retried};
use crate::service::call::{InvokeAsyncCall, once_key};
use crate::service::context::Context;
use crate::service::platform::BoxFuture;
use crate::service::response::Response;

/// How long one question for the end of a group lasts, before it is asked again.
const WAIT: Duration = Duration::from_secs(60);

impl From<InvokeAsyncCall<'_>> for Call {
    /// The call with its options, to be a member of a group.
    fn from(call: InvokeAsyncCall<'_>) -> Self {
        call.call
    }
}

/// A group that was accepted.
#[derive(Clone, Debug)]
pub struct Group {
    context: Context,
    accepted: AcceptedGroup,
}

impl Group {
    /// The CID of the group: it can be streamed, looked at and cancelled by it.
    #[must_use]
    pub fn cid(&self) -> Cid {
        self.accepted.cid
    }

    /// The CIDs of the members, in the order of their requests.
    #[must_use]
    pub fn members(&self) -> &[Cid] {
        &self.accepted.members
    }

    /// Whether it had been accepted before, by its CID or its key.
    #[must_use]
    pub fn already_accepted(&self) -> bool {
        self.accepted.already_accepted
    }

    /// Waits until all members have ended; answers with their outcomes in the order of their requests. A failure is an
    /// outcome. The handler's slot is free meanwhile.
    ///
    /// # Errors
    ///
    /// `CANCELLED` or `DEADLINE_EXCEEDED` where the handler's own time is over; what the platform answers.
    pub async fn join(&self) -> Result<Vec<Result<Response>>> {
        let platform = self.context.platform();
        while !platform.wait_for(self.cid(), WAIT).await? {}
        let outcomes = platform.outcomes(&self.accepted).await?;
        let read = |(cid, outcome): (Cid, Outcome)| {
            let reply = outcome.map_err(|error| error.with_cid(cid))?;
            Response::new(cid, reply)
        };
        Ok(outcomes.into_iter().map(read).collect())
    }
}

/// A fan-out under construction. Await it, or [`join`](Self::join) it.
#[derive(Debug)]
#[must_use = "nothing is invoked before this is awaited"]
pub struct FanOut<'a> {
    context: &'a Context,
    batch: Batch,
}

impl<'a> FanOut<'a> {
    pub(super) fn new(
        context: &'a Context,
        calls: impl IntoIterator<Item = impl Into<Call>>,
    ) -> Self {
        Self {
            context,
            batch: Batch::of(calls),
        }
    }

    /// Invokes a service with the outcome of each member, as they end. Can be said several times.
    pub fn on_each(mut self, service: impl Into<String>) -> Self {
        self.batch.on_each.push(service.into());
        self
    }

    /// Invokes a service with all outcomes, in the order of the requests, once all members have ended. Can be said
    /// several times.
    pub fn on_final(mut self, service: impl Into<String>) -> Self {
        self.batch.on_final.push(service.into());
        self
    }

    /// Brings the CID of the group instead of having one made.
    pub fn cid(mut self, cid: Cid) -> Self {
        self.batch.cid = Some(cid);
        self
    }

    /// Makes acceptance safe to repeat: the first group with this key is answered again.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.batch.idempotency_key = Some(key.into());
        self
    }

    /// Has the group accepted once, however often the calling handler is attempted: `label` tells it from others.
    pub fn once(mut self, label: &str) -> Self {
        self.batch.idempotency_key = Some(once_key(self.context, label));
        self
    }

    /// How long the group is kept after its end, and its members at least as long. Default: the node's retention.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.batch.retention = Some(retention);
        self
    }

    /// Accepts the group and waits until all members have ended: [`Group::join`].
    ///
    /// # Errors
    ///
    /// As for awaiting it, and for [`Group::join`].
    pub async fn join(self) -> Result<Vec<Result<Response>>> {
        self.await?.join().await
    }
}

impl<'a> IntoFuture for FanOut<'a> {
    type Output = Result<Group>;
    type IntoFuture = BoxFuture<'a, Result<Group>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { context, batch } = self;
        Box::pin(async move {
            let accepted = context.platform().invoke_batch(batch).await?;
            let context = context.clone();
            Ok(Group { context, accepted })
        })
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
    pub(super) fn new(context: &'a Context, call: Call) -> Self {
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
    if !is_retried(error) || context.is_cancelled() {
        return None;
    }
    let pause = policy.wait(calls, fastrand::f64(), error.retry_after())?;
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
