//! What becomes of an invocation after an attempt: the state machine decides, this carries it out.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::Invoker;
use crate::engine::background::Ended;
use crate::engine::clock::later;
use crate::engine::hub::Live;
use crate::engine::routes::Route;
use crate::engine::store::Record;
use crate::model::error::{Error, Result, reason};
use crate::model::invocation::{Change, EventKind, Invocation, State, is_retried};
use crate::model::payload::Reply;

/// How long to wait before a record is tried again that the store refused.
const PAUSE: Duration = Duration::from_secs(1);

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
        let taken = loop {
            match engine.store.record(record.clone()).await {
                Ok(taken) => break taken,
                // The handler ran and its outcome must not be lost: the store may have room later.
                Err(error) => {
                    tracing::error!(%cid, %error, "cannot record an outcome, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        // Followers are told of nothing that a crash could undo.
        if let Some(last) = record.events.last().filter(|_| taken) {
            live.publish(Arc::clone(last));
        }
        engine.hub.close(cid, taken);
    }

    fn record_of(
        &self,
        route: &Route,
        invocation: &Invocation,
        live: &Live,
        decision: Decision,
        now: Timestamp,
    ) -> Record {
        let Decision {
            state,
            attempts,
            due,
            event,
            last_failure,
        } = decision;
        let retention = match state {
            State::Succeeded => route.options.retention,
            _ => route.options.failure_retention,
        };
        let ended = state.is_terminal();
        let purge_time = ended.then(|| later(now, retention));
        let tombstone = retention.min(self.0.limits.tombstone_retention);
        Record {
            cid: invocation.request.cid,
            state,
            attempts,
            due,
            first_attempt_time: Some(live.first_attempt_time()),
            events: live.seal(event, now),
            progress: live.progress().or_else(|| invocation.progress.clone()),
            last_failure,
            end_time: ended.then_some(now),
            purge_time,
            tombstone_until: purge_time.map(|time| later(time, tombstone)),
        }
    }
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
        Ended::With(Err(error)) => failed(route, invocation, state, error, now),
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

fn failed(
    route: &Route,
    invocation: &Invocation,
    state: State,
    error: Error,
    now: Timestamp,
) -> Decision {
    let attempts = invocation.attempts + 1;
    let policy = &route.options.retry_policy;
    let wait = is_retried(&error)
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

fn cancelled() -> Error {
    Error::cancelled(reason::CANCELLED, "the invocation was cancelled")
}
