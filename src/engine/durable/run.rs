//! Runs one attempt of a claimed invocation, from its claim to the commit of its end: heartbeat timeout, deadline,
//! cancellation and grace period.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::admission::concurrency::Permits;
use crate::engine::control::gate::Starting;
use crate::engine::durable::commit::{Committer, Source};
use crate::engine::durable::deferral::Deferrals;
use crate::engine::durable::failures::{
    attempt_timed_out, cancelled, deadline_passed, node_lost, poisoned_by_node,
};
use crate::engine::durable::stored_reply::stored_reply;
use crate::engine::durable::transition::{AttemptResult, Trigger, completion_timed_out, expiry};
use crate::engine::execution::attempt::Attempt;
use crate::engine::execution::executor::{Executor, Scope, start};
use crate::engine::execution::response_format::with_ignored;
use crate::engine::execution::worker_dispatch::{
    Compatible, NotAcquired, acquire_compatible, no_compatible_worker,
};
use crate::engine::lifecycle::node_stopping;
use crate::engine::results::live::Live;
use crate::engine::routing::Route;
use crate::engine::running_budget::AttemptMemory;
use crate::engine::store::{Store, Stored};
use crate::engine::trace::queued;
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::invocation::{Invocation, State};
use crate::model::payload::Reply;
use crate::service::{Admitted, DispatchStatus, InvocationInfo, Platform as _};

/// How long background work waits for a worker that accepts its input, before it is deferred.
const COMPATIBLE_WORKER_TIMEOUT: Duration = Duration::from_secs(10);

/// What stopped the wait for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The attempt ended.
    Ended,
    /// There was no heartbeat (progress) for the attempt's timeout.
    Timeout,
    /// The deadline of the invocation passed.
    Deadline,
    /// A caller cancels the invocation.
    Cancel,
    /// The node halts.
    Halt,
}

/// Runs attempts.
#[derive(Debug)]
pub(in crate::engine) struct Runner {
    executor: Arc<Executor>,
    store: Arc<dyn Store>,
    committer: Arc<Committer>,
    deferrals: Arc<Deferrals>,
}

impl Runner {
    pub(in crate::engine) fn new(
        executor: Arc<Executor>,
        store: Arc<dyn Store>,
        committer: Arc<Committer>,
        deferrals: Arc<Deferrals>,
    ) -> Self {
        Self {
            executor,
            store,
            committer,
            deferrals,
        }
    }

    /// Runs an attempt of a claimed invocation and commits its end, or what ends the invocation without an attempt.
    pub(in crate::engine) async fn run(
        self: Arc<Self>,
        route: Arc<Route>,
        invocation: Invocation,
        permits: Permits,
        memory: Arc<AttemptMemory>,
    ) {
        let _work = self.executor.runtime().lifecycle.work_token();
        if invocation.recovered {
            route.tally.metrics.crashed();
        }
        match self.ends_without_attempt(&route, &invocation) {
            Some((state, trigger)) => {
                let source = Source::Claimed;
                self.committer
                    .apply(&route, &invocation, state, trigger, source)
                    .await;
                drop(permits);
            }
            None => {
                self.run_attempt(&route, &invocation, permits, &memory)
                    .await;
            }
        }
        drop(invocation);
        // Followers may keep the live invocation, without its input.
        memory.release();
        route.scheduler.wake();
    }

    /// What ends a claimed invocation without an attempt, if anything does, with the state that it applies to.
    fn ends_without_attempt(
        &self,
        route: &Route,
        invocation: &Invocation,
    ) -> Option<(State, Trigger)> {
        let rules = self.committer.rules(route, invocation);
        if invocation.waits_for_completion() {
            let expiry = expiry(invocation, &rules);
            return Some(expiry.unwrap_or_else(|| completion_timed_out(invocation, &rules)));
        }
        // A cancellation that was requested before the crash comes first.
        if !invocation.cancel_requested
            && let Some(error) = self.crashed(invocation)
        {
            // The attempt may have started: the store does not hold the start of a first attempt.
            return Some((State::Pending { started: true }, Trigger::Crashed(error)));
        }
        expiry(invocation, &rules)
    }

    /// Why an invocation that ran while the node crashed is not attempted again, if it is not.
    fn crashed(&self, invocation: &Invocation) -> Option<Error> {
        if !invocation.recovered {
            return None;
        }
        if invocation.request.terms.at_most_once {
            return Some(node_lost());
        }
        let crash_count = invocation.crash_count;
        let max_crashes = self.executor.runtime().limits.max_crashes;
        (crash_count >= max_crashes).then(|| poisoned_by_node(crash_count))
    }

    async fn run_attempt(
        &self,
        route: &Arc<Route>,
        invocation: &Invocation,
        permits: Permits,
        memory: &Arc<AttemptMemory>,
    ) {
        let acquired = match Box::pin(self.acquire(route, permits, invocation)).await {
            Err(
                NotAcquired::NoCompatibleWorker | NotAcquired::QueueFull(_) | NotAcquired::GaveUp,
            ) => {
                let error = no_compatible_worker(route);
                return self.deferrals.defer(route, invocation, error).await;
            }
            Err(NotAcquired::Failed(error)) => Err(error),
            Ok(acquired) => Ok((acquired.permits, acquired.admitted)),
        };
        // From here until the handler has been called, a pause waits for this attempt.
        let Some(starting) = route.gate.begin_attempt() else {
            drop(acquired);
            return self.put_back(route, invocation).await;
        };
        let runtime = self.executor.runtime();
        let permits = acquired.as_ref().ok();
        let worker = permits.and_then(|(permits, _)| permits.worker());
        let (now, metrics) = (runtime.clock.now(), &route.tally.metrics);
        metrics.waited(time_between(invocation.due, now));
        metrics.attempted();
        let live = Live::start(invocation, worker, memory, now);
        let live = Arc::new(live);
        runtime.hub.open(Arc::clone(&live));
        let started = Instant::now();
        let result = match (self.record_start(invocation).await, acquired) {
            (Err(result), _) => {
                drop(starting);
                result
            }
            (Ok(()), Err(error)) => {
                drop(starting);
                AttemptResult::Outcome(Err(error))
            }
            (Ok(()), Ok((permits, admitted))) => {
                self.attempt(route, invocation, permits, admitted, starting, &live)
                    .await
            }
        };
        count(route, invocation.request.cid, started.elapsed(), &result);
        let trigger = Trigger::AttemptEnded(result);
        let source = Source::Attempt(&live);
        self.committer
            .apply(route, invocation, live.state(), trigger, source)
            .await;
    }

    /// Leaves a claimed invocation to wait as before: its service was paused before an attempt started.
    async fn put_back(&self, route: &Route, invocation: &Invocation) {
        let source = Source::Claimed;
        self.committer
            .apply(
                route,
                invocation,
                invocation.state,
                Trigger::PutBack,
                source,
            )
            .await;
    }

    /// Acquires permits at a worker that accepts the input. Meanwhile the invocation may be cancelled or expire.
    async fn acquire(
        &self,
        route: &Route,
        permits: Permits,
        invocation: &Invocation,
    ) -> Result<Compatible, NotAcquired> {
        let runtime = self.executor.runtime();
        let give_up = async {
            tokio::select! {
                () = tokio::time::sleep(COMPATIBLE_WORKER_TIMEOUT) => {}
                () = runtime.lifecycle.halting().cancelled() => {}
            }
            NotAcquired::GaveUp
        };
        let request = &invocation.request;
        let input = request.input.clone();
        let acquired = acquire_compatible(runtime, route, permits, input, give_up).await?;
        if acquired.waited && !self.is_still_pending(route, request.cid).await? {
            // Deferred as well: the next poll ends it.
            return Err(NotAcquired::GaveUp);
        }
        Ok(acquired)
    }

    /// Whether a claimed invocation is neither cancelled nor expired by now.
    async fn is_still_pending(&self, route: &Route, cid: Cid) -> Result<bool, NotAcquired> {
        match self.store.get(cid).await.map_err(NotAcquired::Failed)? {
            Stored::Found(found) => {
                let rules = self.committer.rules(route, &found);
                Ok(expiry(&found, &rules).is_none())
            }
            Stored::Removed(_) | Stored::Unknown => Ok(false),
        }
    }

    /// Records the start of an attempt of an invocation that ran while the node crashed: a further crash counts.
    async fn record_start(&self, invocation: &Invocation) -> Result<(), AttemptResult> {
        if !invocation.recovered {
            return Ok(());
        }
        let cid = invocation.request.cid;
        let recorded = self.store.record_attempts(vec![cid]).await;
        recorded.map_err(|error| {
            tracing::error!(%cid, %error, "cannot record the start of an attempt");
            AttemptResult::HandedBack(error)
        })
    }

    async fn attempt(
        &self,
        route: &Arc<Route>,
        invocation: &Invocation,
        permits: Permits,
        Admitted { input, ignored }: Admitted,
        starting: Starting<'_>,
        live: &Arc<Live>,
    ) -> AttemptResult {
        let request = &invocation.request;
        let timeout = route.attempt_timeout(request);
        let worker = permits.worker().cloned();
        let definition = match &worker {
            Some(worker) => Arc::clone(worker.definition()),
            None => Arc::clone(&route.definition),
        };
        let cancel = live.cancel.clone();
        let scope = Scope {
            cancel: cancel.clone(),
            callers: None,
            live: Some(Arc::clone(live)),
        };
        let info = self.invocation_info(route, invocation);
        let invoker = self.executor.as_invoker();
        let tracer = &self.executor.runtime().tracer;
        if tracer.is_on() {
            let (service, due) = (route.name(), Some(invocation.due));
            drop(queued(tracer, &request.metadata, request.cid, service, due));
        }
        let (attempt, dispatch) = start(invoker, route, &definition, permits, info, scope, input);
        if tracer.is_on() {
            live.set_trace(&dispatch.info().metadata);
        }
        let (outcome, stop) = self
            .watch(attempt, starting, &cancel, live, timeout, invocation)
            .await;
        match outcome {
            _ if stop == Stop::Deadline => {
                let deadline = request.terms.deadline.unwrap_or(Timestamp::MAX);
                AttemptResult::Outcome(Err(deadline_passed(deadline)))
            }
            Some(Ok(_)) if let Some(error) = live.lost_item() => {
                AttemptResult::Outcome(Err(error.clone()))
            }
            Some(Ok(_)) if let Some(token) = dispatch.answers_later() => {
                AttemptResult::AwaitingCompletion(token.hash())
            }
            Some(Ok(reply)) => {
                let limits = &self.executor.runtime().limits;
                let stored = limits.check_reply(&reply).and_then(|()| {
                    let reply = with_ignored(reply, &ignored);
                    stored_reply(&definition, reply, request, limits.message_bytes)
                });
                AttemptResult::Outcome(stored)
            }
            _ if stop == Stop::Halt => AttemptResult::Halted,
            Some(Err(error)) if !cancel.is_cancelled() => {
                match worker.map(|worker| worker.status()) {
                    Some(DispatchStatus::Lost) => AttemptResult::WorkerLost(error),
                    // It may have started, which counts as lost where it runs at most once.
                    Some(DispatchStatus::HandedBack) if request.terms.at_most_once => {
                        AttemptResult::WorkerLost(error)
                    }
                    Some(DispatchStatus::HandedBack | DispatchStatus::NotStarted) => {
                        AttemptResult::HandedBack(error)
                    }
                    Some(DispatchStatus::Open) | None => AttemptResult::Outcome(Err(error)),
                }
            }
            Some(Err(_)) | None if stop == Stop::Cancel => {
                AttemptResult::Outcome(Err(cancelled(None)))
            }
            // The handler was asked to stop at its timeout: that is the failure, whatever it returns.
            Some(Err(_)) | None => {
                AttemptResult::Outcome(Err(attempt_timed_out(invocation, timeout)))
            }
        }
    }

    fn invocation_info(&self, route: &Route, invocation: &Invocation) -> InvocationInfo {
        let request = &invocation.request;
        let clock = &self.executor.runtime().clock;
        let progress = invocation.progress.as_ref();
        InvocationInfo {
            cid: request.cid,
            service: route.name().clone(),
            attempt: invocation.attempts + 1,
            // The timeout runs from the last heartbeat: it has no instant yet.
            deadline: request.terms.deadline.map(|time| clock.instant(time)),
            metadata: Arc::new(request.metadata.clone()),
            parent: request.parent,
            root: request.root,
            asynchronous: true,
            last_progress: progress.map(|record| record.progress.clone()),
            in_reply_to: request.terms.in_reply_to.clone(),
            principals: request.principals.clone(),
            caller: None,
        }
    }

    /// Waits for an attempt. At its timeout, at the deadline, when it is cancelled or the node halts, the handler is
    /// asked to stop and has the grace period; then it is dropped and the outcome is `None`. A handler that a worker
    /// runs cannot be dropped: after a timeout its permits stay taken until it has ended, or its worker is lost.
    async fn watch(
        &self,
        mut attempt: Attempt,
        starting: Starting<'_>,
        cancel: &CancellationToken,
        live: &Live,
        timeout: Duration,
        invocation: &Invocation,
    ) -> (Option<Result<Reply>>, Stop) {
        let deadline = invocation.request.terms.deadline;
        let runtime = self.executor.runtime();
        let halting = runtime.lifecycle.halting();
        let deadline = async || match deadline {
            Some(deadline) => runtime.timer.sleep_until(deadline).await,
            None => std::future::pending().await,
        };
        // The first poll calls the handler.
        let mut starting = Some(starting);
        let called = std::future::poll_fn(|context| {
            let polled = attempt.poll_unpin(context);
            drop(starting.take());
            polled
        });
        let mut stop = tokio::select! {
            biased;
            outcome = called => return (Some(outcome), Stop::Ended),
            () = cancel.cancelled() => Stop::Cancel,
            () = deadline() => Stop::Deadline,
            () = heartbeat_timeout(live, timeout) => Stop::Timeout,
            () = halting.cancelled() => Stop::Halt,
        };
        if let Some(cause) = stop_cause(stop, timeout, invocation) {
            attempt.set_stop_cause(cause);
        }
        cancel.cancel();
        let grace = runtime.limits.grace;
        let mut outcome = tokio::time::timeout(grace, &mut attempt).await.ok();
        if outcome.is_none() && stop == Stop::Timeout && attempt.runs_at_worker() {
            stop = tokio::select! {
                outcome = &mut attempt => return (Some(outcome), stop),
                () = deadline() => return (None, Stop::Deadline),
                () = halting.cancelled() => return (None, Stop::Halt),
                () = live.cancel_requested.cancelled() => Stop::Cancel,
            };
            outcome = tokio::time::timeout(grace, &mut attempt).await.ok();
        }
        // Dropping the attempt voids the token of a worker's dispatch.
        if outcome.is_none() {
            attempt.kill().await;
        }
        (outcome, stop)
    }
}

/// Why the handler is asked to stop. A cancellation by a caller has been noted before.
fn stop_cause(stop: Stop, timeout: Duration, invocation: &Invocation) -> Option<Error> {
    match stop {
        Stop::Ended | Stop::Cancel => None,
        Stop::Timeout => Some(attempt_timed_out(invocation, timeout)),
        Stop::Deadline => invocation.request.terms.deadline.map(deadline_passed),
        Stop::Halt => Some(node_stopping()),
    }
}

/// Resolves when there was no heartbeat for `timeout`.
async fn heartbeat_timeout(live: &Live, timeout: Duration) {
    loop {
        let Some(until) = live.last_heartbeat().checked_add(timeout) else {
            return std::future::pending().await;
        };
        if until <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(until).await;
    }
}

/// Counts an attempt that ended by itself, or whose worker was lost.
fn count(route: &Route, cid: Cid, elapsed: Duration, result: &AttemptResult) {
    let (tally, metrics) = (&route.tally, &route.tally.metrics);
    match result {
        AttemptResult::Outcome(outcome) => tally.attempt_ended(cid, elapsed, outcome),
        AttemptResult::WorkerLost(error) => {
            metrics.crashed();
            tally.count_error(cid, error);
        }
        // Its outcome is counted once it is known, or not at all.
        AttemptResult::AwaitingCompletion(_) => metrics.ran(elapsed),
        AttemptResult::HandedBack(_) | AttemptResult::Halted => {}
    }
}

/// The time from one instant to a later one; none where the clock was set back.
fn time_between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}
