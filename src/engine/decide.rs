//! What follows from the end of an attempt: the state machine and the retry policy decide, `settle.rs` carries it out.

use std::time::Duration;

use jiff::Timestamp;

use crate::engine::background::Ended;
use crate::engine::clock::later;
use crate::engine::lasting::node_lost;
use crate::engine::routes::Route;
use crate::model::error::{Error, Result, reason};
use crate::model::invocation::{
    AsyncCompletion, EventKind, HELD, Invocation, State, Transition, should_retry,
};
use crate::model::payload::Reply;
use crate::model::token::TokenHash;

/// How long what a worker gave back waits.
const HANDED_BACK: Duration = Duration::from_millis(100);

/// What is to be recorded.
pub(super) struct Decision {
    pub(super) state: State,
    /// The attempts that count.
    pub(super) attempts: u32,
    /// How often its worker was lost since an attempt ended by itself.
    pub(super) crash_count: u32,
    pub(super) due: Timestamp,
    pub(super) event: Option<EventKind>,
    pub(super) last_failure: Option<Error>,
    /// Whether its outcome comes from outside, or came so.
    pub(super) completion: Option<AsyncCompletion>,
}

impl Decision {
    /// Nothing has changed.
    pub(super) fn as_it_is(invocation: &Invocation) -> Self {
        Self {
            state: invocation.state,
            attempts: invocation.attempts,
            crash_count: invocation.crash_count,
            due: invocation.due,
            event: None,
            last_failure: None,
            completion: invocation.completion.map(AsyncCompletion::finished),
        }
    }
}

/// Decides. `limit` is how often its worker may be lost.
pub(super) fn decide(
    route: &Route,
    invocation: &Invocation,
    state: State,
    ended: Ended,
    now: Timestamp,
    limit: u32,
) -> Decision {
    match ended {
        Ended::With(Ok(reply)) => terminal(invocation, state, Transition::Response, Ok(reply)),
        Ended::With(Err(error)) if is_cancelled(state) => terminal(
            invocation,
            state,
            Transition::Failure { retried: false },
            Err(error),
        ),
        Ended::With(Err(error)) => failed(route, invocation, state, error, now),
        Ended::Halted if invocation.request.terms.at_most_once => {
            let change = Transition::Failure { retried: false };
            terminal(invocation, state, change, Err(node_lost()))
        }
        Ended::Later(_) if is_cancelled(state) => {
            let change = Transition::Failure { retried: false };
            terminal(invocation, state, change, Err(cancelled()))
        }
        Ended::Later(token) => awaits(route, invocation, token, now),
        Ended::Lost(error) => lost(invocation, state, error, limit, now),
        // Not counted: the next attempt has the same number.
        Ended::HandedBack | Ended::Halted => match state.after(Transition::HandedBack) {
            Some(pending @ State::Pending { .. }) => Decision {
                state: pending,
                // A worker that gives back whatever it gets is not asked all the time.
                due: later(now, HANDED_BACK),
                last_failure: invocation.last_failure.clone(),
                ..Decision::as_it_is(invocation)
            },
            _ => terminal(invocation, state, Transition::HandedBack, Err(cancelled())),
        },
    }
}

/// What follows where the worker was lost: another attempt at once, which has the same number, as long as that did not
/// happen too often.
fn lost(
    invocation: &Invocation,
    state: State,
    error: Error,
    limit: u32,
    now: Timestamp,
) -> Decision {
    let crash_count = invocation.crash_count + 1;
    let budget_left = crash_count < limit && !invocation.request.terms.at_most_once;
    match state.after(Transition::Lost { budget_left }) {
        Some(pending @ State::Pending { .. }) => Decision {
            state: pending,
            crash_count,
            due: now,
            event: Some(EventKind::RetryScheduled {
                failure: error.clone(),
                due: now,
            }),
            last_failure: Some(error),
            ..Decision::as_it_is(invocation)
        },
        _ => {
            let poisoned = crash_count >= limit && !is_cancelled(state);
            let error = if poisoned {
                poisoned_by_losses(crash_count)
            } else {
                error
            };
            terminal(
                invocation,
                state,
                Transition::Lost { budget_left },
                Err(error),
            )
        }
    }
}

/// What follows where the outcome comes from outside: the attempt has its whole time again, from now on.
fn awaits(route: &Route, invocation: &Invocation, token: TokenHash, now: Timestamp) -> Decision {
    let timeout = route.attempt_timeout(&invocation.request);
    Decision {
        state: State::Pending { started: true },
        due: later(now, timeout),
        last_failure: invocation.last_failure.clone(),
        completion: Some(AsyncCompletion::awaited(token)),
        ..Decision::as_it_is(invocation)
    }
}

fn poisoned_by_losses(crash_count: u32) -> Error {
    let message = format!(
        "its worker was lost {crash_count} times in the middle of an attempt: it may be the reason"
    );
    Error::internal(reason::POISONED, message).with_retryable(false)
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
    let again = should_retry(&error) && !terms.at_most_once;
    let wait = again
        .then(|| policy.backoff(attempts, fastrand::f64(), error.retry_after()))
        .flatten();
    let change = Transition::Failure {
        retried: wait.is_some(),
    };
    match (state.after(change), wait) {
        (Some(pending @ State::Pending { .. }), Some(wait)) => {
            let due = later(now, wait);
            Decision {
                state: pending,
                attempts,
                crash_count: 0,
                due,
                event: Some(EventKind::RetryScheduled {
                    failure: error.clone(),
                    due,
                }),
                last_failure: Some(error),
                ..Decision::as_it_is(invocation)
            }
        }
        // No attempt is left: it waits until somebody retries or cancels it.
        _ if terms.hold && again => Decision {
            state: State::Pending { started: true },
            attempts,
            crash_count: 0,
            due: HELD,
            event: Some(EventKind::RetryScheduled {
                failure: error.clone(),
                due: HELD,
            }),
            last_failure: Some(error),
            ..Decision::as_it_is(invocation)
        },
        _ => terminal(invocation, state, change, Err(error)),
    }
}

fn terminal(
    invocation: &Invocation,
    state: State,
    change: Transition,
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
        crash_count: 0,
        event: Some(event),
        ..Decision::as_it_is(invocation)
    }
}

pub(super) fn cancelled() -> Error {
    Error::cancelled(reason::CANCELLED, "the invocation was cancelled")
}
