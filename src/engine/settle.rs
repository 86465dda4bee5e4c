//! What becomes of an invocation after an attempt: the state machine decides, this carries it out.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::Invoker;
use crate::engine::background::Ended;
use crate::engine::clock::later;
use crate::engine::hub::{Live, next_sequence};
use crate::engine::lasting::node_lost;
use crate::engine::routes::Route;
use crate::engine::store::Record;
use crate::model::error::{Error, Result, reason};
use crate::model::invocation::{Change, Event, EventKind, HELD, Invocation, State, is_retried};
use crate::model::payload::Reply;

/// How long to wait before a record is tried again that the store refused.
const PAUSE: Duration = Duration::from_secs(1);

/// Who claimed an invocation that is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Whoever ends it.
    Ours,
    /// Nobody, it is hoped: a claim beats the end.
    Nobodys,
}

/// What is to be recorded.
struct Decision {
    state: State,
    /// The attempts that count.
    attempts: u32,
    due: Timestamp,
    event: Option<EventKind>,
    last_failure: Option<Error>,
}

impl Invoker {
    /// Records the end of an attempt and tells followers.
    pub(super) async fn settle(
        &self,
        route: &Route,
        invocation: &Invocation,
        live: &Live,
        ended: Ended,
    ) {
        let engine = &self.0;
        let cid = invocation.request.cid;
        let now = engine.clock.now();
        let decision = decide(route, invocation, live.state(), ended, now);
        let record = self.record_of(route, invocation, live, decision, now);
        let taken = self.record_at_last(&record).await;
        // Followers are told of nothing that a crash could undo.
        if let Some(last) = record.events.last().filter(|_| taken) {
            live.publish(Arc::clone(last));
        }
        engine.hub.close(cid, taken);
        if taken {
            self.begin_callbacks(&record.followed_by);
        }
    }

    /// Ends a claimed invocation whose time is over before it is attempted; answers whether it was.
    pub(super) async fn gave_up(&self, route: &Route, invocation: &Invocation) -> bool {
        let engine = &self.0;
        let now = engine.clock.now();
        let Some((change, error)) = over(invocation, now) else {
            return false;
        };
        self.end_pending(route, invocation, change, error, Whose::Ours)
            .await;
        true
    }

    /// Ends an invocation that does not run; answers whether it had not ended before.
    pub(super) async fn end_pending(
        &self,
        route: &Route,
        invocation: &Invocation,
        change: Change,
        error: Error,
        whose: Whose,
    ) -> bool {
        let engine = &self.0;
        let now = engine.clock.now();
        let state = invocation.state.after(change).unwrap_or(State::Failed);
        let kind = match state {
            State::Expired => EventKind::Expired(error),
            State::Cancelled => EventKind::Cancelled(error),
            _ => EventKind::Failed(error),
        };
        let followed_by = self.callbacks(invocation, Some(&kind), invocation.attempts, now);
        let last = Event {
            sequence: next_sequence(invocation.sequence(), engine.store.generation()),
            attempt: invocation.attempts,
            time: now,
            kind,
        };
        let decision = Decision {
            state,
            attempts: invocation.attempts,
            due: invocation.due,
            event: None,
            last_failure: None,
        };
        let mut record = self.record(route, invocation, &decision, now);
        record.first_attempt_time = invocation.first_attempt_time;
        record.events = vec![Arc::new(last)];
        record.progress.clone_from(&invocation.progress);
        record.followed_by = followed_by;
        record.unclaimed = whose == Whose::Nobodys;
        let cid = invocation.request.cid;
        let taken = self.record_at_last(&record).await;
        if taken {
            engine.hub.ring(cid);
            self.begin_callbacks(&record.followed_by);
        }
        taken
    }

    /// Makes an invocation that is held due again, as it is.
    pub(super) async fn release(&self, route: &Arc<Route>, invocation: &Invocation) -> bool {
        let now = self.0.clock.now();
        let decision = Decision {
            state: invocation.state,
            attempts: invocation.attempts,
            due: now,
            event: None,
            last_failure: None,
        };
        let mut record = self.record(route, invocation, &decision, now);
        record.first_attempt_time = invocation.first_attempt_time;
        record.progress.clone_from(&invocation.progress);
        record.last_failure.clone_from(&invocation.last_failure);
        record.unclaimed = true;
        let taken = self.record_at_last(&record).await;
        self.wake(route);
        taken
    }

    /// Records, again and again until the store takes it: what happened must not be lost, and there may be room later.
    async fn record_at_last(&self, record: &Record) -> bool {
        let mut waiting = None;
        loop {
            match self.0.store.record(record.clone()).await {
                Ok(taken) => return taken,
                Err(error) => {
                    // Nothing more is begun meanwhile: its outcome could not be kept either.
                    waiting.get_or_insert_with(|| self.0.unrecorded.token());
                    tracing::error!(cid = %record.cid, %error, "cannot record an outcome, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn record_of(
        &self,
        route: &Route,
        invocation: &Invocation,
        live: &Live,
        mut decision: Decision,
        now: Timestamp,
    ) -> Record {
        let event = decision.event.take();
        let mut record = self.record(route, invocation, &decision, now);
        record.followed_by = self.callbacks(invocation, event.as_ref(), decision.attempts, now);
        record.last_failure = decision.last_failure;
        record.first_attempt_time = Some(live.first_attempt_time());
        record.events = live.seal(event, now);
        record.progress = live.progress().or_else(|| invocation.progress.clone());
        if record.state == State::Succeeded {
            record.followed_by.extend(live.followed_by());
        }
        record
    }

    /// What a decision makes of an invocation, but for what its attempt told.
    fn record(
        &self,
        route: &Route,
        invocation: &Invocation,
        decision: &Decision,
        now: Timestamp,
    ) -> Record {
        let terms = &invocation.request.terms;
        let of_service = match decision.state {
            State::Succeeded => route.options.retention,
            _ => route.options.failure_retention,
        };
        let retention = terms.retention.unwrap_or(of_service);
        let ended = decision.state.is_terminal();
        let purge_time = ended.then(|| later(now, retention));
        let tombstone = retention.min(self.0.limits.tombstone_retention);
        Record {
            cid: invocation.request.cid,
            state: decision.state,
            attempts: decision.attempts,
            due: decision.due,
            wake: terms.wake(decision.state, decision.due),
            first_attempt_time: None,
            events: Vec::new(),
            progress: None,
            last_failure: None,
            end_time: ended.then_some(now),
            purge_time,
            tombstone_until: purge_time.map(|time| later(time, tombstone)),
            followed_by: Vec::new(),
            unclaimed: false,
        }
    }
}

/// Why an invocation that is pending is given up, if its time is over.
fn over(invocation: &Invocation, now: Timestamp) -> Option<(Change, Error)> {
    if invocation.cancel_requested {
        return Some((Change::Cancel, cancelled()));
    }
    let terms = &invocation.request.terms;
    let passed = |time: Option<Timestamp>| time.filter(|time| *time <= now);
    if let State::Pending { started: false } = invocation.state
        && let Some(time) = passed(terms.expire_time)
    {
        let message = format!("the invocation had not started at {time}, when it expired");
        let error = Error::deadline_exceeded(reason::EXPIRED, message);
        return Some((Change::ExpirationPassed, error));
    }
    let time = passed(terms.deadline)?;
    Some((Change::DeadlinePassed, deadline_passed(time)))
}

/// `DEADLINE_EXCEEDED`, for good.
pub(super) fn deadline_passed(time: Timestamp) -> Error {
    let message = format!("the invocation had not ended at {time}, its deadline");
    Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message).with_retryable(false)
}

fn decide(
    route: &Route,
    invocation: &Invocation,
    state: State,
    ended: Ended,
    now: Timestamp,
) -> Decision {
    match ended {
        Ended::With(Ok(reply)) => terminal(invocation, state, Change::Response, Ok(reply)),
        Ended::With(Err(error)) if is_cancelled(state) => terminal(
            invocation,
            state,
            Change::Failure { retried: false },
            Err(error),
        ),
        Ended::With(Err(error)) => failed(route, invocation, state, error, now),
        Ended::HandedBack if invocation.request.terms.at_most_once => {
            let change = Change::Failure { retried: false };
            terminal(invocation, state, change, Err(node_lost()))
        }
        // Not counted: the next attempt has the same number.
        Ended::HandedBack => match state.after(Change::HandedBack) {
            Some(pending @ State::Pending { .. }) => Decision {
                state: pending,
                attempts: invocation.attempts,
                due: invocation.due,
                event: None,
                last_failure: invocation.last_failure.clone(),
            },
            _ => terminal(invocation, state, Change::HandedBack, Err(cancelled())),
        },
    }
}

/// Whether somebody wants it cancelled.
fn is_cancelled(state: State) -> bool {
    let cancel_requested = true;
    state == State::Running { cancel_requested }
}

fn failed(
    route: &Route,
    invocation: &Invocation,
    state: State,
    error: Error,
    now: Timestamp,
) -> Decision {
    let attempts = invocation.attempts + 1;
    let terms = &invocation.request.terms;
    let policy = terms
        .retry_policy
        .as_ref()
        .unwrap_or(&route.options.retry_policy);
    let again = is_retried(&error) && !terms.at_most_once;
    let wait = again
        .then(|| policy.wait(attempts, fastrand::f64(), error.retry_after()))
        .flatten();
    let change = Change::Failure {
        retried: wait.is_some(),
    };
    match (state.after(change), wait) {
        (Some(pending @ State::Pending { .. }), Some(wait)) => {
            let due = later(now, wait);
            Decision {
                state: pending,
                attempts,
                due,
                event: Some(EventKind::RetryScheduled {
                    failure: error.clone(),
                    due,
                }),
                last_failure: Some(error),
            }
        }
        // No attempt is left: it waits until somebody retries or cancels it.
        _ if terms.hold && again => Decision {
            state: State::Pending { started: true },
            attempts,
            due: HELD,
            event: Some(EventKind::RetryScheduled {
                failure: error.clone(),
                due: HELD,
            }),
            last_failure: Some(error),
        },
        _ => terminal(invocation, state, change, Err(error)),
    }
}

fn terminal(
    invocation: &Invocation,
    state: State,
    change: Change,
    outcome: Result<Reply>,
) -> Decision {
    let state = state.after(change).unwrap_or(State::Failed);
    let event = match (state, outcome) {
        (_, Ok(reply)) => EventKind::Succeeded(reply),
        (State::Cancelled, Err(_)) => EventKind::Cancelled(cancelled()),
        (State::Expired, Err(error)) => EventKind::Expired(error),
        (_, Err(error)) => EventKind::Failed(error),
    };
    Decision {
        state,
        attempts: invocation.attempts + 1,
        due: invocation.due,
        event: Some(event),
        last_failure: None,
    }
}

pub(super) fn cancelled() -> Error {
    Error::cancelled(reason::CANCELLED, "the invocation was cancelled")
}
