//! Commits: writes state changes to the store, and then notifies followers, schedulers and groups.
//!
//! Every state change of an invocation after its acceptance is committed here: `transition/` decides, this writes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::engine::clock::{Clock, saturating_add};
use crate::engine::durable::transition::{Rules, StateChange, Trigger, transition};
use crate::engine::durable::{callbacks, failed_attempt, record_metrics};
use crate::engine::events::EventBus;
use crate::engine::limits::Limits;
use crate::engine::log_limit::LogLimit;
use crate::engine::metrics::ServiceMetrics;
use crate::engine::results::hub::Hub;
use crate::engine::results::live::{Live, next_sequence};
use crate::engine::routing::{Route, Routes};
use crate::engine::store::{Record, STORE_RETRY_DELAY, Store};
use crate::engine::trace::{self, Tracer, publish_each};
use crate::model::error::{Kind, Result};
use crate::model::invocation::{Event, EventKind, Invocation, State};

/// Where a state change comes from.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) enum Source<'a> {
    /// From the attempt that ends.
    Attempt(&'a Live),
    /// From the holder of the claim, without an attempt.
    Claimed,
    /// From elsewhere: refused by the store where the invocation is claimed, or has been attempted since it was read.
    Unclaimed,
}

/// Commits state changes.
#[derive(Debug)]
pub(in crate::engine) struct Committer {
    store: Arc<dyn Store>,
    hub: Arc<Hub>,
    routes: Arc<Routes>,
    clock: Clock,
    limits: Arc<Limits>,
    /// Notified when a member of a group has ended.
    group_wakeup: Arc<Notify>,
    events: Arc<EventBus>,
    /// Counts the commits that the store refuses and that are retried.
    stuck: TaskTracker,
    /// Limits how often refused commits are logged.
    log: LogLimit,
    tracer: Tracer,
}

impl Committer {
    pub(in crate::engine) fn new(
        store: Arc<dyn Store>,
        hub: Arc<Hub>,
        routes: Arc<Routes>,
        clock: Clock,
        limits: Arc<Limits>,
        group_wakeup: Arc<Notify>,
        events: Arc<EventBus>,
    ) -> Self {
        Self {
            store,
            hub,
            routes,
            clock,
            limits,
            group_wakeup,
            events,
            stuck: TaskTracker::new(),
            log: LogLimit::default(),
            tracer: Tracer::default(),
        }
    }

    pub(in crate::engine) fn with_tracer(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// Whether the store refuses commits at the moment (its disk is full), or for good: those of new attempts would be
    /// refused too.
    pub(in crate::engine) fn is_stuck(&self) -> bool {
        !self.stuck.is_empty() || self.store.health().is_err()
    }

    /// What transitions of a service's invocation depend on, now.
    pub(in crate::engine) fn rules<'a>(
        &self,
        route: &'a Route,
        invocation: &Invocation,
    ) -> Rules<'a> {
        Rules {
            retry_policy: &route.options.retry_policy,
            min_backoff: self.limits.min_backoff,
            on_exhausted: route.options.on_exhausted,
            attempt_timeout: route.attempt_timeout(&invocation.request),
            max_crashes: self.limits.max_crashes,
            jitter: fastrand::f64(),
            cancel_reason: None,
            now: self.clock.now(),
        }
    }

    /// Decides what follows from a trigger in a state and commits it; returns whether the store took it.
    ///
    /// An impossible transition is a defect of the node: it is logged, and a claimed invocation stays claimed until the
    /// store is opened again, rather than being written in a state that it cannot have.
    pub(in crate::engine) async fn apply(
        &self,
        route: &Route,
        invocation: &Invocation,
        state: State,
        trigger: Trigger,
        source: Source<'_>,
    ) -> bool {
        let rules = Rules {
            cancel_reason: match source {
                Source::Attempt(live) => live.cancel_reason(),
                Source::Claimed | Source::Unclaimed => None,
            },
            ..self.rules(route, invocation)
        };
        match transition(invocation, state, trigger, &rules) {
            Ok(change) => self.commit_change(route, invocation, change, source).await,
            Err(error) => {
                tracing::error!(cid = %invocation.request.cid, %error, "state change refused");
                if let Source::Attempt(live) = source {
                    self.hub.close(live.cid, false);
                }
                false
            }
        }
    }

    /// As [`apply`](Self::apply), for a change that someone waits for and can repeat: it is [`Source::Unclaimed`], and
    /// is not retried where the store refuses it.
    ///
    /// # Errors
    ///
    /// The error of the store; `INTERNAL` / `TRANSITION_IMPOSSIBLE`.
    pub(in crate::engine) async fn try_apply(
        &self,
        route: &Route,
        invocation: &Invocation,
        state: State,
        trigger: Trigger,
    ) -> Result<bool> {
        let rules = self.rules(route, invocation);
        let change = transition(invocation, state, trigger, &rules)?;
        self.try_commit(route, invocation, change, Vec::new()).await
    }

    /// Ends an invocation that does not run as cancelled, and accepts the one that takes its place in the same record;
    /// returns whether the store took it.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `TRANSITION_IMPOSSIBLE` where the invocation runs or has ended; the error of the store.
    pub(in crate::engine) async fn replace(
        &self,
        route: &Route,
        invocation: &Invocation,
        successor: Invocation,
    ) -> Result<bool> {
        let trigger = Trigger::Replaced(successor.request.cid);
        let rules = self.rules(route, invocation);
        let change = transition(invocation, invocation.state, trigger, &rules)?;
        self.try_commit(route, invocation, change, vec![successor])
            .await
    }

    /// Commits a change of an invocation that is not claimed, with what follows from it and its callbacks, once.
    async fn try_commit(
        &self,
        route: &Route,
        invocation: &Invocation,
        change: StateChange,
        mut followed_by: Vec<Invocation>,
    ) -> Result<bool> {
        let retention = route.retention(change.state);
        let source = Source::Unclaimed;
        followed_by.extend(self.callbacks(invocation, &change, source));
        let _publishing = publish_each(&self.tracer, &mut followed_by);
        let mut record = self.record(invocation, change, source, retention);
        record.followed_by = followed_by;
        let taken = self.store.record(record.clone()).await?;
        if taken {
            record_metrics::count(&route.tally.metrics, invocation, &record);
            self.hub.notify(record.cid);
            self.announce(invocation, &record);
        }
        Ok(taken)
    }

    /// Commits a decided state change of a service's invocation, with its callbacks; returns whether the store took it.
    pub(in crate::engine) async fn commit_change(
        &self,
        route: &Route,
        invocation: &Invocation,
        change: StateChange,
        source: Source<'_>,
    ) -> bool {
        let retention = route.retention(change.state);
        let callbacks = self.callbacks(invocation, &change, source);
        let metrics = Some(&route.tally.metrics);
        self.commit(invocation, change, source, retention, callbacks, metrics)
            .await
    }

    /// The callbacks that follow from a state change.
    fn callbacks(
        &self,
        invocation: &Invocation,
        change: &StateChange,
        source: Source<'_>,
    ) -> Vec<Invocation> {
        let attempt = match source {
            Source::Attempt(live) => live.trace(),
            Source::Claimed | Source::Unclaimed => None,
        };
        callbacks::of(
            invocation,
            change.event.as_ref(),
            change.attempts,
            change.time,
            self.store.first_generation(),
            attempt.unwrap_or(&invocation.request.metadata),
        )
    }

    /// Commits a state change together with invocations that follow from it; returns whether the store took it. A group
    /// has no service, and no metrics.
    /// Followers are notified afterwards, so that they never see what a crash could undo.
    pub(in crate::engine) async fn commit(
        &self,
        invocation: &Invocation,
        change: StateChange,
        source: Source<'_>,
        retention: Duration,
        mut followed_by: Vec<Invocation>,
        metrics: Option<&ServiceMetrics>,
    ) -> bool {
        let _publishing = publish_each(&self.tracer, &mut followed_by);
        let cid = invocation.request.cid;
        let mut record = self.record(invocation, change, source, retention);
        if let (Source::Attempt(live), State::Succeeded) = (source, record.state) {
            record.followed_by = live.take_follow_ups();
        }
        // Callbacks come last of all children: see `Maintenance::children`.
        record.followed_by.extend(followed_by);
        let committing = trace::commit(&self.tracer, &invocation.request);
        let taken = self.commit_with_retry(&record).await;
        drop(committing);
        // Before followers are notified: a caller that sees the outcome finds it counted.
        if let Some(metrics) = metrics.filter(|_| taken) {
            record_metrics::count(metrics, invocation, &record);
        }
        match source {
            Source::Attempt(live) => {
                if let Some(last) = record.events.last().filter(|_| taken) {
                    failed_attempt::log(&invocation.request, last);
                    live.publish(Arc::clone(last));
                }
                self.hub.close(cid, taken);
            }
            Source::Claimed | Source::Unclaimed if taken => self.hub.notify(cid),
            Source::Claimed | Source::Unclaimed => {}
        }
        if taken {
            self.announce(invocation, &record);
        }
        taken
    }

    /// Tells of a record that the store has taken.
    fn announce(&self, invocation: &Invocation, record: &Record) {
        self.notify_accepted(&record.followed_by);
        if record.state.is_terminal() && invocation.request.member().is_some() {
            self.group_wakeup.notify_one();
        }
        self.events.recorded(invocation, record);
    }

    /// Wakes schedulers and followers of invocations that were accepted together with an outcome.
    fn notify_accepted(&self, accepted: &[Invocation]) {
        for invocation in accepted {
            self.hub.notify(invocation.request.cid);
            if let Some(route) = self.routes.get(invocation.request.service.as_str()) {
                route.scheduler.wake();
            }
        }
    }

    /// Commits a record, and retries until the store takes it, unless it is damaged or has failed for good: an outcome
    /// must not be lost, and a full disk may have room later. Until then the invocation counts as running, and its
    /// permits stay taken.
    async fn commit_with_retry(&self, record: &Record) -> bool {
        let mut stuck = None;
        loop {
            match self.store.record(record.clone()).await {
                Ok(taken) => return taken,
                // Repeating it does not help, and must not keep other work from starting: the invocation stays claimed
                // until the store is opened again.
                Err(error) if error.kind() == Kind::DataLoss => {
                    tracing::error!(cid = %record.cid, %error, "commit failed: the store is damaged there");
                    return false;
                }
                // The store has logged why. The invocation stays claimed until it is opened again.
                Err(error) if self.store.health().is_err() => {
                    if let Some(omitted) = self.log.is_due(error.reason(), Instant::now()) {
                        tracing::error!(
                            cid = %record.cid,
                            %error,
                            omitted,
                            "commit failed: the attempt runs again once the node has restarted"
                        );
                    }
                    return false;
                }
                Err(error) => {
                    stuck.get_or_insert_with(|| self.stuck.token());
                    if let Some(omitted) = self.log.is_due(error.reason(), Instant::now()) {
                        tracing::error!(cid = %record.cid, %error, omitted, "commit failed; retrying");
                    }
                    tokio::time::sleep(STORE_RETRY_DELAY).await;
                }
            }
        }
    }

    /// The record of a state change. The invocation is kept for `retention` unless its terms say otherwise.
    fn record(
        &self,
        invocation: &Invocation,
        change: StateChange,
        source: Source<'_>,
        retention: Duration,
    ) -> Record {
        let now = change.time;
        let terms = &invocation.request.terms;
        let has_ended = change.state.is_terminal();
        let retention = terms.retention.unwrap_or(retention);
        let purge_time = has_ended.then(|| saturating_add(now, retention));
        let tombstone_retention = retention.min(self.limits.tombstone_retention);
        let awaited = change.completion.filter(|completion| completion.pending);
        let expires_at = [terms.expires_at(change.state), awaited.map(|_| change.due)];
        let (events, first_attempt_time, progress) = match source {
            Source::Attempt(live) => (
                live.seal(change.event, now),
                Some(live.first_attempt_time()),
                live.progress().or_else(|| invocation.progress.clone()),
            ),
            Source::Claimed | Source::Unclaimed => (
                Self::last_event(invocation, change.event, change.attempts, now),
                invocation.first_attempt_time,
                invocation.progress.clone(),
            ),
        };
        Record {
            id: fastrand::u64(..),
            generation: invocation.generation,
            cid: invocation.request.cid,
            service: invocation.request.service.clone(),
            owner: invocation.request.owner().cloned(),
            state: change.state,
            attempts: change.attempts,
            crash_count: change.crash_count,
            due: change.due,
            next_wakeup: terms.next_wakeup(change.state, change.due),
            expires_at: expires_at
                .into_iter()
                .flatten()
                .min()
                .filter(|_| !has_ended),
            first_attempt_time,
            events,
            progress,
            last_failure: change.last_failure,
            deferred: change.deferred,
            end_time: has_ended.then_some(now),
            purge_time,
            tombstone_until: purge_time.map(|time| saturating_add(time, tombstone_retention)),
            followed_by: Vec::new(),
            completion: change.completion,
            expected_attempts: matches!(source, Source::Unclaimed).then_some(invocation.attempts),
        }
    }

    fn last_event(
        invocation: &Invocation,
        kind: Option<EventKind>,
        attempt: u32,
        time: Timestamp,
    ) -> Vec<Arc<Event>> {
        let sequence = next_sequence(invocation.sequence(), invocation.generation);
        let event = kind.map(|kind| Event {
            sequence,
            attempt,
            time,
            kind,
        });
        event.map(Arc::new).into_iter().collect()
    }
}
