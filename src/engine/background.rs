//! One attempt of an asynchronous invocation, from its start to its record.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::codec::payload;
use crate::engine::Invoker;
use crate::engine::attempt::Attempt;
use crate::engine::dispatch::Dispatch;
use crate::engine::gate::Permits;
use crate::engine::hub::Live;
use crate::engine::lasting::node_lost;
use crate::engine::routes::Route;
use crate::engine::settle::{Whose, deadline_passed};
use crate::engine::slot::Slot;
use crate::engine::wanted::{Wanted, with_ignored};
use crate::model::error::{Error, Result, reason};
use crate::model::invocation::{Invocation, State, Transition};
use crate::model::payload::{Format, Payload, Reply};
use crate::model::token::TokenHash;
use crate::service::{Admitted, DispatchStatus, InvocationInfo, Platform as _};

/// What stopped an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    /// It ended by itself.
    Itself,
    /// There was no sign of life for too long.
    Silence,
    /// The deadline of the invocation passed.
    Deadline,
    /// Somebody wants it cancelled.
    Canceller,
    /// The node stops.
    Node,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// With an outcome.
    With(Result<Reply>),
    /// The worker gave it back: it does not count.
    HandedBack,
    /// The node stopped first: nor does that, but it may have begun.
    Halted,
    /// Its worker was lost.
    Lost(Error),
    /// The handler answered "later": whoever has the token gives the outcome.
    Later(TokenHash),
}

impl Invoker {
    /// Runs one attempt of an invocation that was claimed, and records what became of it.
    pub(super) async fn run_in_background(
        self,
        route: Arc<Route>,
        invocation: Invocation,
        permits: Permits,
    ) {
        let engine = &self.0;
        let _work = engine.work.token();
        if invocation.waits_for_completion() {
            if !self.gave_up(&route, &invocation).await {
                self.give_up_awaiting(&route, &invocation, Whose::Ours)
                    .await;
            }
            drop(permits);
            self.wake(&route);
            return;
        }
        // What somebody wants cancelled is: it is looked at below.
        if !invocation.cancel_requested
            && let Some(error) = self.not_again(&invocation)
        {
            // It had begun, or may have: the store does not hold the start of a first attempt.
            let begun = Invocation {
                state: State::Pending { started: true },
                ..invocation
            };
            let change = Transition::UncleanRestart { poisoned: true };
            self.end_pending(&route, &begun, change, error, Whose::Ours)
                .await;
            drop(permits);
            self.wake(&route);
            return;
        }
        if self.gave_up(&route, &invocation).await {
            drop(permits);
            self.wake(&route);
            return;
        }
        let fitted = Box::pin(self.fit_soon(&route, permits, &invocation)).await;
        if let Err(error) = &fitted
            && error.reason() == reason::NO_COMPATIBLE_WORKER
        {
            self.put_off(&route, &invocation, error.clone()).await;
            self.wake(&route);
            return;
        }
        let now = engine.clock.now();
        let seat = fitted.as_ref().ok().and_then(|(permits, _)| permits.seat());
        let worker = seat.map_or("", |seat| seat.worker());
        let generation = engine.store.generation();
        let live = Arc::new(Live::begin(&invocation, worker, generation, now));
        engine.hub.open(Arc::clone(&live));
        let ended = match self.begin(&invocation).await {
            Ok(()) => self.attempt(&route, &invocation, fitted, &live).await,
            Err(ended) => ended,
        };
        self.settle(&route, &invocation, &live, ended).await;
        self.wake(&route);
    }

    /// Why an invocation that the node may have ended in is not attempted again, if it is not.
    fn not_again(&self, invocation: &Invocation) -> Option<Error> {
        if !invocation.recovered {
            return None;
        }
        if invocation.request.terms.at_most_once {
            return Some(node_lost());
        }
        let is_poisoned = invocation.crash_count >= self.0.limits.max_crashes;
        is_poisoned.then(|| poisoned(invocation.crash_count))
    }

    /// Records the attempt of an invocation that the node may have ended in before: where it ends again, that counts.
    async fn begin(&self, invocation: &Invocation) -> Result<(), Ended> {
        if !invocation.recovered {
            return Ok(());
        }
        let begun = self
            .0
            .store
            .record_attempts(vec![invocation.request.cid])
            .await;
        begun.map_err(|error| {
            tracing::error!(cid = %invocation.request.cid, %error, "cannot begin an attempt");
            Ended::HandedBack
        })
    }

    async fn attempt(
        &self,
        route: &Arc<Route>,
        invocation: &Invocation,
        fitted: Result<(Permits, Admitted)>,
        live: &Arc<Live>,
    ) -> Ended {
        let request = &invocation.request;
        let timeout = route.attempt_timeout(request);
        let facts = InvocationInfo {
            cid: request.cid,
            service: route.name().clone(),
            attempt: invocation.attempts + 1,
            // The timeout runs from the last sign of life: there is no instant for it yet.
            deadline: request
                .terms
                .deadline
                .map(|time| self.0.clock.instant(time)),
            metadata: Arc::new(request.metadata.clone()),
            parent: request.parent,
            root: request.root,
            asynchronous: true,
            last_progress: invocation
                .progress
                .as_ref()
                .map(|shown| shown.progress.clone()),
            in_reply_to: request.terms.in_reply_to.clone(),
        };
        let deadline = request.terms.deadline;
        let (permits, Admitted { input, ignored }) = match fitted {
            Ok(fitted) => fitted,
            Err(error) => return Ended::With(Err(error)),
        };
        let seat = permits.seat().cloned();
        let definition = match &seat {
            Some(seat) => Arc::clone(seat.definition()),
            None => Arc::clone(&route.definition),
        };
        let cancel = live.cancel.clone();
        let slot = Slot::new(Arc::clone(&route.gate), permits);
        let (dispatch, context) = Dispatch::new(
            self.clone(),
            facts,
            slot,
            cancel.clone(),
            None,
            Some(Arc::clone(live)),
        );
        let attempt = Attempt::new(&definition, Arc::clone(&dispatch), context, input);
        let (outcome, stopped) = self.watch(attempt, &cancel, live, timeout, deadline).await;
        match outcome {
            _ if stopped == Stopped::Deadline => {
                let deadline = request.terms.deadline.unwrap_or(Timestamp::MAX);
                Ended::With(Err(deadline_passed(deadline)))
            }
            Some(Ok(_)) if let Some(token) = dispatch.answers_later() => Ended::Later(token.hash()),
            Some(Ok(reply)) => {
                let reply = with_ignored(reply, &ignored);
                Ended::With(self.storable_reply(route, reply, invocation))
            }
            _ if stopped == Stopped::Node => Ended::Halted,
            Some(Err(error)) if !cancel.is_cancelled() => match seat.map(|seat| seat.status()) {
                Some(DispatchStatus::Lost) => Ended::Lost(error),
                // It may have begun: that is as good as lost to what runs once.
                Some(DispatchStatus::HandedBack) if request.terms.at_most_once => {
                    Ended::Lost(error)
                }
                Some(DispatchStatus::HandedBack | DispatchStatus::NotStarted) => Ended::HandedBack,
                Some(DispatchStatus::Open) | None => Ended::With(Err(error)),
            },
            // The state says what becomes of it.
            Some(Err(_)) | None if stopped == Stopped::Canceller => {
                let message = "somebody cancelled the invocation";
                Ended::With(Err(Error::cancelled(reason::CANCELLED, message)))
            }
            // It was asked to stop because its time was over: that is why it failed, whatever it says.
            Some(Err(_)) | None => Ended::With(Err(timed_out(route, timeout))),
        }
    }

    /// Waits for an attempt. When its time is over, or the node stops, it is asked to stop and has the grace period to
    /// do so; `None` where it had to be dropped. Answers as well what stopped it.
    async fn watch(
        &self,
        mut attempt: Attempt,
        cancel: &CancellationToken,
        live: &Live,
        timeout: Duration,
        deadline: Option<Timestamp>,
    ) -> (Option<Result<Reply>>, Stopped) {
        let late = self.passes(deadline);
        let mut stopped = tokio::select! {
            biased;
            outcome = &mut attempt => return (Some(outcome), Stopped::Itself),
            () = cancel.cancelled() => Stopped::Canceller,
            () = late => Stopped::Deadline,
            () = silence(live, timeout) => Stopped::Silence,
            () = self.0.halting.cancelled() => Stopped::Node,
        };
        cancel.cancel();
        let grace = self.0.limits.grace;
        let mut outcome = tokio::time::timeout(grace, &mut attempt).await.ok();
        if outcome.is_none() && stopped == Stopped::Silence && attempt.is_elsewhere() {
            // It cannot be dropped from here: the next attempt waits until it has ended, or its worker is lost.
            let late = self.passes(deadline);
            let unwanted = tokio::select! {
                outcome = &mut attempt => return (Some(outcome), stopped),
                () = late => return (None, Stopped::Deadline),
                () = self.0.halting.cancelled() => return (None, Stopped::Node),
                () = live.unwanted.cancelled() => Stopped::Canceller,
            };
            stopped = unwanted;
            outcome = tokio::time::timeout(grace, &mut attempt).await.ok();
        }
        // What is elsewhere goes on there, and its token is void.
        if outcome.is_none() {
            attempt.end().await;
        }
        (outcome, stopped)
    }

    /// Resolves at a deadline, if there is one.
    async fn passes(&self, deadline: Option<Timestamp>) {
        match deadline {
            Some(deadline) => self.0.clock.sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }

    /// The reply in the form it will be answered in: it is encoded once, here.
    pub(super) fn storable_reply(
        &self,
        route: &Route,
        reply: Reply,
        invocation: &Invocation,
    ) -> Result<Reply> {
        let request = &invocation.request;
        // The work is done: what the format has no form for is kept as JSON.
        let wanted = Wanted::or_json(request.response_format, &request.input);
        let reply = wanted.write(route, reply)?;
        let format = match &reply.payload {
            Payload::Document(_, format) => *format,
            _ => Format::Dict,
        };
        let payload =
            payload::encode(reply.payload, format).map_err(crate::service::output_invalid)?;
        let limit = self.0.limits.message_bytes;
        if payload.weight() > limit {
            let message = format!("the response is larger than {limit} bytes");
            return Err(Error::internal(reason::OUTPUT_INVALID, message)
                .with_retryable(false)
                .with_info("message_bytes", limit));
        }
        Ok(Reply {
            payload,
            metadata: reply.metadata,
        })
    }
}

/// Resolves when there has been no sign of life for this long.
async fn silence(live: &Live, timeout: Duration) {
    loop {
        let Some(until) = live.last_sign().checked_add(timeout) else {
            return std::future::pending().await;
        };
        if until <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(until).await;
    }
}

/// `INTERNAL` / `POISONED`.
fn poisoned(crash_count: u32) -> Error {
    let message = format!("the node ended {crash_count} times in the middle of this invocation");
    Error::internal(reason::POISONED, message)
        .with_retryable(false)
        .with_info("losses", crash_count)
}

pub(super) fn timed_out(route: &Route, timeout: Duration) -> Error {
    let message = format!(
        "service `{}` gave no sign of life for {} ms",
        route.name(),
        timeout.as_millis()
    );
    Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message)
        .with_info("timeout_ms", timeout.as_millis())
}
