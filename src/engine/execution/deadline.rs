//! Waiting for an attempt until something else comes first: its deadline, its caller's end, the node's.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::execution::attempt::Attempt;
use crate::engine::execution::dispatch::Dispatch;
use crate::engine::routing::Route;
use crate::model::error::{Error, Result, reason};
use crate::model::payload::Reply;

/// An attempt and its alarm. Most handlers answer without waiting for anything: the alarm is set only when one does.
pub(in crate::engine) struct Watched<'a> {
    attempt: Attempt,
    bounds: Bounds<'a>,
    alarm: Option<Pin<Box<dyn Future<Output = Error> + Send + 'a>>>,
}

/// What ends the wait for an attempt.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Bounds<'a> {
    pub(in crate::engine) route: &'a Route,
    /// The deadline, with the timeout that it came from. `None` where somebody else's is earlier.
    pub(in crate::engine) deadline: Option<(Instant, Duration)>,
    pub(in crate::engine) caller: Caller<'a>,
}

/// Who waits.
#[derive(Clone, Copy)]
pub(in crate::engine) enum Caller<'a> {
    /// Somebody outside, until the node halts.
    Outside(&'a CancellationToken),
    /// A handler, until it is no longer wanted itself.
    Handler(&'a Arc<Dispatch>),
}

impl<'a> Watched<'a> {
    pub(in crate::engine) fn new(attempt: Attempt, bounds: Bounds<'a>) -> Self {
        Self {
            attempt,
            bounds,
            alarm: None,
        }
    }
}

impl Future for Watched<'_> {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(outcome) = Pin::new(&mut self.attempt).poll(cx) {
            return Poll::Ready(outcome);
        }
        let bounds = self.bounds;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(bounds.passed()));
        Poll::Ready(Err(ready!(alarm.as_mut().poll(cx))))
    }
}

impl Bounds<'_> {
    /// Resolves when there is nothing to wait for any more; answers why.
    pub(in crate::engine) async fn passed(self) -> Error {
        let late = async {
            match self.deadline {
                Some((deadline, timeout)) => {
                    tokio::time::sleep_until(deadline).await;
                    too_late(self.route, timeout)
                }
                None => std::future::pending().await,
            }
        };
        let left = async {
            match self.caller {
                Caller::Outside(halting) => {
                    halting.cancelled().await;
                    let message = "the node stopped before the service answered";
                    Error::unavailable(reason::NODE_STOPPING, message)
                }
                Caller::Handler(caller) => {
                    caller.cancel.cancelled().await;
                    caller.ended()
                }
            }
        };
        tokio::select! {
            biased;
            error = late => error,
            error = left => error,
        }
    }
}

fn too_late(route: &Route, timeout: Duration) -> Error {
    let message = format!(
        "service `{}` did not answer within {} ms",
        route.name(),
        timeout.as_millis()
    );
    Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message)
        .with_info("timeout_ms", timeout.as_millis())
}
