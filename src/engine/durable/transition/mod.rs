//! Transitions: what follows the end of an attempt, or what ends an invocation without one. Retries and their backoff
//! are decided here. Pure: `commit.rs` writes what this decides.

use std::time::Duration;

use jiff::Timestamp;

use crate::engine::clock::saturating_add;
use crate::engine::durable::failures::{
    attempt_timed_out, cancelled, deadline_passed, expired, interrupted_by_stop, node_lost,
    poisoned_by_workers, retried_as,
};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::{
    AsyncCompletion, EventKind, HELD, Invocation, OnExhausted, Outcome, RetryPolicy, State,
    Transition, should_retry,
};
use crate::model::payload::Reply;
use crate::model::token::TokenHash;

/// How long an invocation waits after its worker handed it back.
const HANDED_BACK_DELAY: Duration = Duration::from_millis(100);
/// How long an invocation that no connected worker accepts waits for its next poll.
const DEFER_DELAY: Duration = Duration::from_secs(10);

/// An attempt is under way, or its outcome is awaited from outside.
pub(in crate::engine) const RUNNING: State = State::Running {
    cancel_requested: false,
};

/// How an attempt ended, as the runner reports it.
#[derive(Debug)]
pub(in crate::engine) enum AttemptResult {
    /// With an outcome.
    Outcome(Outcome),
    /// The worker handed it back, with this failure: the attempt does not count.
    HandedBack(Error),
    /// The node halted: the attempt does not count, but may have started.
    Halted,
    /// Its worker was lost.
    WorkerLost(Error),
    /// The handler answered "later": the outcome comes from outside, with this token.
    AwaitingCompletion(TokenHash),
}

/// What happens to an invocation.
#[derive(Debug)]
pub(in crate::engine) enum Trigger {
    /// An attempt ended.
    AttemptEnded(AttemptResult),
    /// A caller cancels it before an attempt runs, for a reason if it gave one.
    Cancelled(Option<String>),
    /// It is held, and this invocation takes its place, with another input.
    Replaced(Cid),
    /// It did not start before its expiration.
    Expired(Timestamp),
    /// It did not end before its deadline.
    DeadlinePassed(Timestamp),
    /// The node crashed during an attempt, and there is no further one.
    Crashed(Error),
    /// No connected worker accepts its input: it is polled again later.
    Deferred(Error),
    /// It was held or deferred, and is due now.
    Released,
    /// It was claimed, and its service paused before its attempt started: it waits as before.
    PutBack,
}

/// What a transition depends on, besides the invocation.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Rules<'a> {
    /// The retry policy of the service. That of the invocation comes first.
    pub(in crate::engine) retry_policy: &'a RetryPolicy,
    /// The shortest backoff, whatever the policy says.
    pub(in crate::engine) min_backoff: Duration,
    /// What the service does when no attempt is left. What the invocation says comes first.
    pub(in crate::engine) on_exhausted: OnExhausted,
    pub(in crate::engine) attempt_timeout: Duration,
    /// How often a worker or the node may be lost during an attempt.
    pub(in crate::engine) max_crashes: u32,
    /// A random number in 0..1, for full jitter of the backoff.
    pub(in crate::engine) jitter: f64,
    /// Why the attempt under way is cancelled, if its caller gave a reason.
    pub(in crate::engine) cancel_reason: Option<&'a str>,
    pub(in crate::engine) now: Timestamp,
}

/// What is to be committed.
#[derive(Debug)]
pub(in crate::engine) struct StateChange {
    /// When it was decided: the time of its event, and of the callbacks that follow.
    pub(in crate::engine) time: Timestamp,
    pub(in crate::engine) state: State,
    /// How many attempts count.
    pub(in crate::engine) attempts: u32,
    /// How often a worker was lost since an attempt last ended by itself.
    pub(in crate::engine) crash_count: u32,
    pub(in crate::engine) due: Timestamp,
    pub(in crate::engine) event: Option<EventKind>,
    pub(in crate::engine) last_failure: Option<Error>,
    /// Whether no connected worker accepts its input.
    pub(in crate::engine) deferred: bool,
    /// Whether the outcome is awaited from outside, or came from there.
    pub(in crate::engine) completion: Option<AsyncCompletion>,
}

impl StateChange {
    /// The invocation as it is: without its last failure, not deferred, and no longer awaiting a completion.
    fn unchanged(invocation: &Invocation, time: Timestamp) -> Self {
        Self {
            time,
            state: invocation.state,
            attempts: invocation.attempts,
            crash_count: invocation.crash_count,
            due: invocation.due,
            event: None,
            last_failure: None,
            deferred: false,
            completion: invocation.completion.map(AsyncCompletion::finished),
        }
    }
}

/// Decides what follows. `state` is that of the invocation, or of its live attempt.
///
/// # Errors
///
/// `INTERNAL` / `TRANSITION_IMPOSSIBLE` where the table of states has no such transition.
pub(in crate::engine) fn transition(
    invocation: &Invocation,
    state: State,
    trigger: Trigger,
    rules: &Rules<'_>,
) -> Result<StateChange> {
    let now = rules.now;
    let end = |transition, error| end_without_attempt(invocation, state, transition, error, now);
    match trigger {
        Trigger::AttemptEnded(result) => attempt_ended(invocation, state, result, rules),
        Trigger::Cancelled(reason) => end(Transition::Cancel, cancelled(reason.as_deref())),
        Trigger::Replaced(retry) => end(Transition::Cancel, retried_as(retry)),
        Trigger::Expired(time) => end(Transition::ExpirationPassed, expired(time)),
        Trigger::DeadlinePassed(time) => end(Transition::DeadlinePassed, deadline_passed(time)),
        Trigger::Crashed(error) => end(Transition::UncleanRestart { poisoned: true }, error),
        Trigger::Deferred(error) => Ok(StateChange {
            state: next(invocation, state, Transition::Defer)?,
            due: saturating_add(rules.now, DEFER_DELAY),
            last_failure: Some(error),
            deferred: true,
            ..StateChange::unchanged(invocation, now)
        }),
        Trigger::Released => Ok(StateChange {
            state: next(invocation, state, Transition::Release)?,
            due: now,
            last_failure: invocation.last_failure.clone(),
            ..StateChange::unchanged(invocation, now)
        }),
        Trigger::PutBack => Ok(StateChange {
            state: next(invocation, state, Transition::Defer)?,
            last_failure: invocation.last_failure.clone(),
            deferred: invocation.deferred,
            ..StateChange::unchanged(invocation, now)
        }),
    }
}

fn attempt_ended(
    invocation: &Invocation,
    state: State,
    result: AttemptResult,
    rules: &Rules<'_>,
) -> Result<StateChange> {
    const FINAL: Transition = Transition::Failure { retried: false };
    let now = rules.now;
    let is_cancelled = is_cancel_requested(state);
    match result {
        AttemptResult::Outcome(Ok(reply)) => {
            end_attempt(invocation, state, Transition::Response, Ok(reply), rules)
        }
        AttemptResult::Outcome(Err(error)) if is_cancelled => {
            end_attempt(invocation, state, FINAL, Err(error), rules)
        }
        AttemptResult::Outcome(Err(error)) => failed(invocation, state, error, rules),
        AttemptResult::Halted if invocation.request.terms.at_most_once => {
            end_attempt(invocation, state, FINAL, Err(node_lost()), rules)
        }
        AttemptResult::AwaitingCompletion(token) => {
            match state.after(Transition::AwaitCompletion) {
                // The attempt has its whole timeout again, from now on.
                Some(pending @ State::Pending { .. }) => Ok(StateChange {
                    state: pending,
                    due: saturating_add(now, rules.attempt_timeout),
                    last_failure: invocation.last_failure.clone(),
                    completion: Some(AsyncCompletion::awaited(token)),
                    ..StateChange::unchanged(invocation, now)
                }),
                _ => {
                    let transition = Transition::AwaitCompletion;
                    end_attempt(invocation, state, transition, Err(cancelled(None)), rules)
                }
            }
        }
        AttemptResult::WorkerLost(error) => worker_lost(invocation, state, error, rules),
        AttemptResult::HandedBack(error) => interrupted(invocation, state, error, rules),
        AttemptResult::Halted => interrupted(invocation, state, interrupted_by_stop(), rules),
    }
}

/// After an attempt that does not count: the next one has the same number. Its end is recorded all the same, so that no
/// attempt seems to run for ever.
fn interrupted(
    invocation: &Invocation,
    state: State,
    error: Error,
    rules: &Rules<'_>,
) -> Result<StateChange> {
    let transition = Transition::HandedBack;
    match state.after(transition) {
        Some(pending @ State::Pending { .. }) => {
            // A worker that hands back all it gets is not polled in a loop.
            let due = saturating_add(rules.now, HANDED_BACK_DELAY);
            Ok(StateChange {
                state: pending,
                due,
                event: Some(EventKind::RetryScheduled {
                    failure: error,
                    due,
                }),
                last_failure: invocation.last_failure.clone(),
                ..StateChange::unchanged(invocation, rules.now)
            })
        }
        _ => end_attempt(invocation, state, transition, Err(error), rules),
    }
}

/// After a failure: a retry with backoff; after the last one the hold, as a dead letter, or the end.
fn failed(
    invocation: &Invocation,
    state: State,
    error: Error,
    rules: &Rules<'_>,
) -> Result<StateChange> {
    let (attempts, now) = (invocation.attempts + 1, rules.now);
    let terms = &invocation.request.terms;
    let policy = terms.retry_policy.as_ref().unwrap_or(rules.retry_policy);
    let on_exhausted = terms.on_exhausted.unwrap_or(rules.on_exhausted);
    let is_retryable = should_retry(&error) && !terms.at_most_once;
    let backoff = is_retryable
        .then(|| policy.backoff(attempts, rules.jitter, error.retry_after()))
        .flatten()
        .map(|backoff| backoff.max(rules.min_backoff));
    let transition = match backoff {
        Some(_) => Transition::Failure { retried: true },
        None if on_exhausted == OnExhausted::Hold && is_retryable => Transition::Hold,
        None => Transition::Failure { retried: false },
    };
    match state.after(transition) {
        Some(pending @ State::Pending { .. }) => {
            let due = backoff.map_or(HELD, |backoff| saturating_add(now, backoff));
            Ok(StateChange {
                state: pending,
                attempts,
                crash_count: 0,
                due,
                event: Some(EventKind::RetryScheduled {
                    failure: error.clone(),
                    due,
                }),
                last_failure: Some(error),
                ..StateChange::unchanged(invocation, now)
            })
        }
        _ => end_attempt(invocation, state, transition, Err(error), rules),
    }
}

/// After the loss of a worker: another attempt at once, with the same number, until that has happened too often.
fn worker_lost(
    invocation: &Invocation,
    state: State,
    error: Error,
    rules: &Rules<'_>,
) -> Result<StateChange> {
    let (crash_count, now) = (invocation.crash_count + 1, rules.now);
    let is_poisoned = crash_count >= rules.max_crashes;
    let transition = Transition::Lost {
        budget_left: !is_poisoned && !invocation.request.terms.at_most_once,
    };
    match state.after(transition) {
        Some(pending @ State::Pending { .. }) => Ok(StateChange {
            state: pending,
            crash_count,
            due: now,
            event: Some(EventKind::RetryScheduled {
                failure: error.clone(),
                due: now,
            }),
            last_failure: Some(error),
            ..StateChange::unchanged(invocation, now)
        }),
        _ => {
            let error = match is_poisoned && !is_cancel_requested(state) {
                true => poisoned_by_workers(crash_count),
                false => error,
            };
            end_attempt(invocation, state, transition, Err(error), rules)
        }
    }
}

/// The end of an invocation with its attempt.
fn end_attempt(
    invocation: &Invocation,
    state: State,
    transition: Transition,
    outcome: Outcome,
    rules: &Rules<'_>,
) -> Result<StateChange> {
    let state = terminal_after(invocation, state, transition)?;
    let event = match (state, outcome) {
        (State::Cancelled, Err(_)) => EventKind::Cancelled(cancelled(rules.cancel_reason)),
        (state, outcome) => end_event(state, outcome),
    };
    Ok(StateChange {
        state,
        attempts: invocation.attempts + 1,
        crash_count: 0,
        event: Some(event),
        ..StateChange::unchanged(invocation, rules.now)
    })
}

/// The end of an invocation that has no attempt under way.
fn end_without_attempt(
    invocation: &Invocation,
    state: State,
    transition: Transition,
    error: Error,
    now: Timestamp,
) -> Result<StateChange> {
    let state = terminal_after(invocation, state, transition)?;
    Ok(StateChange {
        state,
        event: Some(end_event(state, Err(error))),
        ..StateChange::unchanged(invocation, now)
    })
}

fn end_event(state: State, outcome: Outcome) -> EventKind {
    match (state, outcome) {
        (_, Ok(reply)) => EventKind::Succeeded(reply),
        (State::Cancelled, Err(error)) => EventKind::Cancelled(error),
        (State::Expired, Err(error)) => EventKind::Expired(error),
        (_, Err(error)) => EventKind::Failed(error),
    }
}

/// The end of a group whose members have ended.
///
/// # Errors
///
/// As for [`transition`].
pub(in crate::engine) fn group_ended(
    group: &Invocation,
    summary: Reply,
    now: Timestamp,
) -> Result<StateChange> {
    let state = terminal_after(group, group.state, Transition::MembersEnded)?;
    Ok(StateChange {
        state,
        event: Some(end_event(state, Ok(summary))),
        ..StateChange::unchanged(group, now)
    })
}

fn next(invocation: &Invocation, state: State, transition: Transition) -> Result<State> {
    let next = state.after(transition);
    next.ok_or_else(|| impossible(invocation, state, transition))
}

fn terminal_after(invocation: &Invocation, state: State, transition: Transition) -> Result<State> {
    let next = state.after(transition).filter(|next| next.is_terminal());
    next.ok_or_else(|| impossible(invocation, state, transition))
}

/// `INTERNAL` / `TRANSITION_IMPOSSIBLE`.
fn impossible(invocation: &Invocation, state: State, transition: Transition) -> Error {
    let cid = invocation.request.cid;
    let message = format!("{cid} has no transition {transition:?} in state {state:?}");
    Error::internal(reason::TRANSITION_IMPOSSIBLE, message).with_retryable(false)
}

/// What ends an invocation that does not run, if anything does: a requested cancellation, its expiration, its deadline,
/// or the timeout of an outcome that is awaited from outside. Returned with the state that it applies to.
pub(in crate::engine) fn expiry(
    invocation: &Invocation,
    rules: &Rules<'_>,
) -> Option<(State, Trigger)> {
    let now = rules.now;
    if invocation.cancel_requested {
        let trigger = Trigger::Cancelled(invocation.cancel_reason.clone());
        return Some((invocation.state, trigger));
    }
    let terms = &invocation.request.terms;
    let passed = |time: Option<Timestamp>| time.filter(|time| *time <= now);
    if let State::Pending { started: false } = invocation.state
        && let Some(time) = passed(terms.expire_time)
    {
        return Some((invocation.state, Trigger::Expired(time)));
    }
    if let Some(time) = passed(terms.deadline) {
        return Some((invocation.state, Trigger::DeadlinePassed(time)));
    }
    let is_late = invocation.waits_for_completion() && invocation.due <= now;
    is_late.then(|| completion_timed_out(invocation, rules))
}

/// The timeout of an outcome that is awaited from outside: as that of any other attempt.
pub(in crate::engine) fn completion_timed_out(
    invocation: &Invocation,
    rules: &Rules<'_>,
) -> (State, Trigger) {
    let error = attempt_timed_out(invocation, rules.attempt_timeout);
    let result = AttemptResult::Outcome(Err(error));
    (RUNNING, Trigger::AttemptEnded(result))
}

/// Whether a caller cancels the running invocation.
fn is_cancel_requested(state: State) -> bool {
    let cancel_requested = true;
    state == State::Running { cancel_requested }
}

#[cfg(test)]
mod tests;
