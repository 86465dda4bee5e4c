//! Timeouts and deadlines of synchronous calls: a timer for the deadline, the end of the caller, and the halt of the
//! node.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::admission::concurrency::Permits;
use crate::engine::execution::attempt::Attempt;
use crate::engine::execution::dispatch::Dispatch;
use crate::engine::routing::Route;
use crate::engine::trace::{Tracer, queued};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::metadata::Metadata;
use crate::model::payload::Reply;

/// An attempt with a deadline. Most handlers return without waiting: the timer starts only when one waits.
pub(in crate::engine) struct WithDeadline<'a> {
    attempt: Attempt,
    limits: CallLimits<'a>,
    timer: Option<Pin<Box<dyn Future<Output = Error> + Send + 'a>>>,
}

/// What ends the wait for an attempt before the attempt does.
#[derive(Clone, Copy)]
pub(in crate::engine) struct CallLimits<'a> {
    pub(in crate::engine) route: &'a Route,
    /// When the call came, where that is known: a handler whose permits are free starts then.
    pub(in crate::engine) begun: Option<Instant>,
    /// The deadline, and the timeout that it comes from. `None` where the deadline of the caller is earlier.
    pub(in crate::engine) deadline: Option<(Instant, Duration)>,
    pub(in crate::engine) caller: Caller<'a>,
}

/// The caller that waits.
#[derive(Clone, Copy)]
pub(in crate::engine) enum Caller<'a> {
    /// A caller outside of the node, until the node halts.
    External(&'a CancellationToken),
    /// A handler, until it is cancelled itself.
    Handler(&'a Dispatch),
}

impl<'a> WithDeadline<'a> {
    pub(in crate::engine) fn new(attempt: Attempt, limits: CallLimits<'a>) -> Self {
        Self {
            attempt,
            limits,
            timer: None,
        }
    }
}

impl Future for WithDeadline<'_> {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.attempt).poll(cx);
        if let Poll::Ready(outcome) = &polled {
            // Without a timer it never waited. Few of those take as long as it takes to read the clock.
            return match self.timer.as_ref().and_then(|_| self.limits.late(outcome)) {
                Some(late) => Poll::Ready(Err(late)),
                None => polled,
            };
        }
        let limits = self.limits;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(limits.exceeded()));
        let error = ready!(timer.as_mut().poll(cx));
        self.attempt.set_stop_cause(error.clone());
        Poll::Ready(Err(error))
    }
}

impl CallLimits<'_> {
    /// Permits without waiting. Mostly they are free.
    #[inline]
    pub(in crate::engine) fn try_acquire_permits(self) -> Option<Permits> {
        self.route.limit.try_acquire()
    }

    /// Waits for permits within the limits, in a span of its own.
    ///
    /// # Errors
    ///
    /// As for [`acquire_permits`](Self::acquire_permits).
    pub(in crate::engine) async fn acquire_traced(
        self,
        tracer: &Tracer,
        cid: Cid,
        metadata: &Metadata,
    ) -> Result<Permits> {
        let waiting = queued(tracer, metadata, cid, self.route.name(), None);
        let permits = self.acquire_permits().await;
        if let Some(waiting) = waiting {
            waiting.end(&permits);
        }
        permits
    }

    /// Waits for permits within the limits.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `QUEUE_FULL` or `OVERLOADED`; `UNAVAILABLE` / `NO_WORKER`; as for
    /// [`given_up`](Self::given_up).
    async fn acquire_permits(self) -> Result<Permits> {
        let deadline = match (self.deadline, self.caller) {
            (Some((deadline, _)), _) => Some(deadline),
            (None, Caller::Handler(caller)) => caller.info().deadline,
            (None, Caller::External(_)) => None,
        };
        tokio::select! {
            biased;
            error = self.given_up() => Err(error),
            permits = self.route.limit.acquire(self.route.name(), deadline) => permits,
        }
    }

    /// Resolves when a call that has not started gives up, with the reason: its wait ends, or its service is paused or
    /// disabled meanwhile.
    pub(in crate::engine) async fn given_up(self) -> Error {
        tokio::select! {
            biased;
            error = self.route.gate.calls_refused(self.route.name()) => error,
            error = self.exceeded() => error,
        }
    }

    /// The error of a response that comes after the deadline. Timers fire up to a millisecond late, and later where all
    /// threads are busy, so that the handler can end before its timer all the same.
    fn late(&self, outcome: &Result<Reply>) -> Option<Error> {
        let (deadline, timeout) = self.deadline.filter(|_| outcome.is_ok())?;
        (deadline < Instant::now()).then(|| timed_out(self.route, timeout))
    }

    /// Resolves when the wait ends, with the reason.
    pub(in crate::engine) async fn exceeded(self) -> Error {
        let deadline = async {
            match self.deadline {
                Some((deadline, timeout)) => {
                    tokio::time::sleep_until(deadline).await;
                    timed_out(self.route, timeout)
                }
                None => std::future::pending().await,
            }
        };
        let caller = async {
            match self.caller {
                Caller::External(halting) => {
                    halting.cancelled().await;
                    let message = "the node stopped before the service answered";
                    Error::unavailable(reason::NODE_STOPPING, message)
                }
                Caller::Handler(caller) => {
                    caller.cancelled().cancelled().await;
                    caller.end_reason()
                }
            }
        };
        tokio::select! {
            biased;
            error = deadline => error,
            error = caller => error,
        }
    }
}

fn timed_out(route: &Route, timeout: Duration) -> Error {
    let message = format!(
        "service `{}` did not answer within {} ms",
        route.name(),
        timeout.as_millis()
    );
    Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message)
        .with_info("timeout_ms", timeout.as_millis())
}
