//! Fan-out: batches of asynchronous invocations and their groups.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::into_call::IntoCall;
use crate::model::invocation::Outcome;
use crate::service::call::{Target, target_call};
use crate::service::context::Context;
use crate::service::context::invoke::once_key;
use crate::service::platform::BoxFuture;
use crate::service::response::Response;

/// The duration of one wait for the end of a group, after which the wait is repeated.
const WAIT_INTERVAL: Duration = Duration::from_secs(60);

/// A group of invocations that was accepted.
#[derive(Debug)]
pub struct Group<Out = Response> {
    context: Context,
    accepted: AcceptedGroup,
    read: fn(Response) -> Result<Out>,
}

impl<Out> Clone for Group<Out> {
    fn clone(&self) -> Self {
        Self {
            context: self.context.clone(),
            accepted: self.accepted.clone(),
            read: self.read,
        }
    }
}

impl<Out> Group<Out> {
    /// The CID of the group, with which it can be streamed, inspected and cancelled.
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

    /// Waits until all members have ended and returns their outcomes in the order of their requests. A failure is an
    /// outcome. The permit of the handler is released while it waits.
    ///
    /// # Errors
    ///
    /// `CANCELLED` or `DEADLINE_EXCEEDED` where the handler itself is cancelled or its deadline passes; any error of
    /// the platform.
    pub async fn join(&self) -> Result<Vec<Result<Out>>> {
        let platform = self.context.platform();
        while !platform.wait_for(self.cid(), WAIT_INTERVAL).await? {}
        let outcomes = platform.outcomes(&self.accepted).await?;
        let read = |(cid, outcome): (Cid, Outcome)| {
            let reply = outcome.map_err(|error| error.with_cid(cid))?;
            (self.read)(Response::new(cid, reply)?)
        };
        Ok(outcomes.into_iter().map(read).collect())
    }
}

/// The builder of a fan-out. Await it to invoke: it then is a [`Group`]. Or [`join`](Self::join) it, to wait for the
/// outcomes.
#[derive(Debug)]
#[must_use = "nothing is invoked before this is awaited"]
pub struct FanOut<'a, Out = Response> {
    context: &'a Context,
    batch: Batch,
    read: fn(Response) -> Result<Out>,
    /// The error that it fails with, instead of being sent.
    fault: Option<Error>,
}

impl Context {
    /// Invokes many services asynchronously. The calls are accepted atomically, all of them or none, under one group
    /// CID. They are pairs of a name and an input, or calls with options; a service may occur several times.
    ///
    /// ```
    /// # use cidery::{Context, Result, dict};
    /// async fn handler(ctx: Context) -> Result<i64> {
    ///     let pages = (1..=3).map(|page| ("pages.fetch", dict! { "page": page }));
    ///     let mut total = 0;
    ///     for outcome in ctx.fan_out(pages).join().await? {
    ///         total += outcome?.at::<i64>("words")?;
    ///     }
    ///     Ok(total)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `INVALID_ARGUMENT` / `BATCH_LIMIT` above 10 000 calls, or `INPUT_INVALID` with
    /// all violations and the paths of the requests; or the error of a limit.
    pub fn fan_out<C: IntoCall>(&self, calls: impl IntoIterator<Item = C>) -> FanOut<'_> {
        FanOut::new(self, Batch::of(calls), Ok)
    }

    /// Calls a service by its types, once with each input, asynchronously: a [`fan_out`](Self::fan_out) whose
    /// [`join`](FanOut::join) returns outputs.
    ///
    /// ```
    /// # use cidery::{Context, Result, Service};
    /// const WORDS: Service<u32, u64> = Service::new("pages.words");
    ///
    /// async fn handler(ctx: Context) -> Result<u64> {
    ///     let counts = ctx.fan_out_calls(WORDS, 1..=3).join().await?;
    ///     counts.into_iter().sum()
    /// }
    /// ```
    ///
    /// The service is as for [`call`](Self::call).
    ///
    /// # Errors
    ///
    /// As for [`fan_out`](Self::fan_out), and for [`call`](Self::call) where the handler is not registered.
    #[expect(clippy::needless_pass_by_value, reason = "as for `call`")]
    pub fn fan_out_calls<T: Target<Via>, Via>(
        &self,
        service: T,
        inputs: impl IntoIterator<Item = T::Input>,
    ) -> FanOut<'_, T::Output>
    where
        T::Input: Serialize + 'static,
        T::Output: DeserializeOwned,
    {
        let inputs = inputs.into_iter();
        let calls: Result<Vec<_>> = inputs
            .map(|input| target_call(self, &service, input))
            .collect();
        FanOut::new(self, calls.and_then(Batch::of), Response::parse)
    }

    /// Invokes many services asynchronously, where the services of [`on_each`](FanOut::on_each) are invoked with each
    /// outcome. It is a [`fan_out`](Self::fan_out) without a join.
    ///
    /// # Errors
    ///
    /// As for [`fan_out`](Self::fan_out).
    pub fn parallel<C: IntoCall>(&self, calls: impl IntoIterator<Item = C>) -> FanOut<'_> {
        FanOut::new(self, Batch::of(calls), Ok)
    }
}

impl<'a, Out> FanOut<'a, Out> {
    fn new(context: &'a Context, batch: Result<Batch>, read: fn(Response) -> Result<Out>) -> Self {
        let (batch, fault) = match batch {
            Ok(batch) => (batch, None),
            Err(fault) => (Batch::default(), Some(fault)),
        };
        Self {
            context,
            batch,
            read,
            fault,
        }
    }

    /// Adds a callback that is invoked with the outcome of each member as it ends. Can be repeated.
    pub fn on_each(mut self, service: impl Into<String>) -> Self {
        self.batch.on_each.push(service.into());
        self
    }

    /// Adds a callback that is invoked with all outcomes, in the order of the requests, once all members have ended.
    /// Can be repeated.
    pub fn on_final(mut self, service: impl Into<String>) -> Self {
        self.batch.on_final.push(service.into());
        self
    }

    /// Sets the CID of the group. Default: the platform generates one.
    pub fn cid(mut self, cid: Cid) -> Self {
        self.batch.cid = Some(cid);
        self
    }

    /// Sets the idempotency key, at most 255 bytes: a retry with the same key returns the first group.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.batch.idempotency_key = Some(key.into());
        self
    }

    /// Accepts the group once for all attempts of the calling handler. `label` distinguishes it from other groups of
    /// the handler.
    pub fn once(mut self, label: &str) -> Self {
        self.batch.idempotency_key = Some(once_key(self.context, label));
        self
    }

    /// Sets how long the group is kept after its end, and its members at least as long. Default: the node's retention,
    /// 24 h.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.batch.retention = Some(retention);
        self
    }

    /// Accepts the group and waits until all members have ended: [`Group::join`].
    ///
    /// # Errors
    ///
    /// As for awaiting the fan-out, and for [`Group::join`].
    pub async fn join(self) -> Result<Vec<Result<Out>>> {
        self.await?.join().await
    }
}

impl<'a, Out: 'a> IntoFuture for FanOut<'a, Out> {
    type Output = Result<Group<Out>>;
    type IntoFuture = BoxFuture<'a, Result<Group<Out>>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            context,
            batch,
            read,
            fault,
        } = self;
        Box::pin(async move {
            if let Some(fault) = fault {
                return Err(fault);
            }
            let accepted = context.platform().invoke_batch(batch).await?;
            let context = context.clone();
            Ok(Group {
                context,
                accepted,
                read,
            })
        })
    }
}
