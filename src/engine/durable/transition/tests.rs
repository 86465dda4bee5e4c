//! Tests of transitions: every trigger in every state.

use std::sync::Arc;

use super::*;
use crate::model::id::ServiceName;
use crate::model::invocation::Request;
use crate::model::payload::Payload;
use crate::model::token::Token;

const NOW: Timestamp = Timestamp::constant(1_000, 0);

fn invocation() -> Invocation {
    let service = ServiceName::parse("a").unwrap();
    let request = Request::new(Cid::new(), service, Payload::empty(), NOW);
    Invocation::accepted(request, 1)
}

fn rules(retry_policy: &RetryPolicy) -> Rules<'_> {
    Rules {
        retry_policy,
        min_backoff: Duration::ZERO,
        on_exhausted: OnExhausted::Fail,
        attempt_timeout: Duration::from_secs(900),
        max_crashes: 2,
        jitter: 0.5,
        cancel_reason: Some("ops ticket 12"),
        now: NOW,
    }
}

fn change(state: State, trigger: Trigger) -> Result<StateChange> {
    let policy = RetryPolicy::default();
    transition(&invocation(), state, trigger, &rules(&policy))
}

/// Every trigger in every state: `P` pending, `S` `F` `C` `E` terminal, `-` an error. Columns: never started,
/// pending again, running, cancel requested, ended.
#[test]
fn an_impossible_transition_is_an_error_and_not_a_failed_invocation() {
    let error = || Error::unavailable("GONE", "gone");
    let answered = || AttemptResult::Outcome(Ok(Payload::empty().into()));
    let token = Token::new().hash();
    type Case<'a> = (&'a str, &'a dyn Fn() -> Trigger);
    let cases: [Case<'_>; 13] = [
        ("--SS-", &|| Trigger::AttemptEnded(answered())),
        ("--PC-", &|| {
            Trigger::AttemptEnded(AttemptResult::Outcome(Err(error())))
        }),
        ("--PC-", &|| {
            Trigger::AttemptEnded(AttemptResult::HandedBack(error()))
        }),
        ("--PC-", &|| Trigger::AttemptEnded(AttemptResult::Halted)),
        ("--PC-", &|| {
            Trigger::AttemptEnded(AttemptResult::WorkerLost(error()))
        }),
        ("--PC-", &|| {
            Trigger::AttemptEnded(AttemptResult::AwaitingCompletion(token))
        }),
        ("CC---", &|| Trigger::Cancelled(None)),
        ("CC---", &|| Trigger::Replaced(Cid::new())),
        ("E----", &|| Trigger::Expired(NOW)),
        ("EFFC-", &|| Trigger::DeadlinePassed(NOW)),
        ("-FFC-", &|| Trigger::Crashed(error())),
        ("PP---", &|| Trigger::Deferred(error())),
        ("PP---", &|| Trigger::PutBack),
    ];
    let states = [
        State::Pending { started: false },
        State::Pending { started: true },
        RUNNING,
        State::Running {
            cancel_requested: true,
        },
        State::Succeeded,
    ];
    for (row, trigger) in cases {
        for (state, cell) in states.into_iter().zip(row.chars()) {
            let letter = match change(state, trigger()) {
                Err(error) if error.reason() == reason::TRANSITION_IMPOSSIBLE => '-',
                Err(error) => panic!("{error:?}"),
                Ok(change) => match change.state {
                    State::Pending { .. } => 'P',
                    State::Running { .. } => 'R',
                    State::Succeeded => 'S',
                    State::Failed => 'F',
                    State::Cancelled => 'C',
                    State::Expired => 'E',
                },
            };
            assert_eq!(letter, cell, "{:?} in {state:?}", trigger());
        }
    }
    assert!(change(State::Succeeded, Trigger::Released).is_err());
}

#[test]
fn an_invocation_that_is_put_back_is_as_it_was() {
    let mut before = invocation();
    before.last_failure = Some(Error::unavailable("GONE", "gone"));
    let rules = Rules {
        retry_policy: &RetryPolicy::default(),
        min_backoff: Duration::ZERO,
        attempt_timeout: Duration::from_secs(900),
        on_exhausted: OnExhausted::Fail,
        max_crashes: 2,
        jitter: 0.5,
        cancel_reason: None,
        now: NOW + jiff::SignedDuration::from_secs(60),
    };
    let after = transition(&before, before.state, Trigger::PutBack, &rules).unwrap();
    assert_eq!((after.state, after.due), (before.state, before.due));
    assert_eq!((after.attempts, after.deferred), (0, false));
    assert_eq!(after.last_failure.unwrap().reason(), "GONE");
    assert!(after.event.is_none());
}

#[test]
fn a_failure_is_retried_with_backoff_and_a_lost_worker_at_once() {
    let error = || Error::unavailable("GONE", "gone");
    let failure = Trigger::AttemptEnded(AttemptResult::Outcome(Err(error())));
    let retry = change(RUNNING, failure).unwrap();
    assert_eq!(retry.state, State::Pending { started: true });
    assert_eq!((retry.attempts, retry.crash_count), (1, 0));
    assert!(retry.due > NOW);
    let lost = Trigger::AttemptEnded(AttemptResult::WorkerLost(error()));
    let retry = change(RUNNING, lost).unwrap();
    assert_eq!((retry.attempts, retry.crash_count, retry.due), (0, 1, NOW));
}

#[test]
fn a_cancelled_attempt_ends_cancelled_whatever_its_result() {
    let state = State::Running {
        cancel_requested: true,
    };
    for result in [
        AttemptResult::Outcome(Err(Error::unavailable("GONE", "gone"))),
        AttemptResult::HandedBack(Error::unavailable("BACK", "back")),
        AttemptResult::Halted,
        AttemptResult::WorkerLost(Error::unavailable("GONE", "gone")),
    ] {
        let ended = change(state, Trigger::AttemptEnded(result)).unwrap();
        assert_eq!(ended.state, State::Cancelled);
        let Some(EventKind::Cancelled(error)) = ended.event else {
            panic!("{:?}", ended.event);
        };
        assert_eq!(
            error.message(),
            "the invocation was cancelled: ops ticket 12"
        );
    }
}

#[test]
fn what_the_invocation_says_of_its_end_beats_the_service() {
    use OnExhausted::{Fail, Hold};
    let state_for = |own, service, error| {
        let mut held = invocation();
        Arc::make_mut(&mut held.request).terms.on_exhausted = own;
        let policy = RetryPolicy::never();
        let rules = Rules {
            on_exhausted: service,
            ..rules(&policy)
        };
        let failed = Trigger::AttemptEnded(AttemptResult::Outcome(Err(error)));
        transition(&held, RUNNING, failed, &rules).unwrap().state
    };
    let gone = || Error::unavailable("GONE", "gone");
    let held = State::Pending { started: true };
    for (own, service, state) in [
        (None, Fail, State::Failed),
        (None, Hold, held),
        (Some(Fail), Hold, State::Failed),
        (Some(Hold), Fail, held),
    ] {
        assert_eq!(
            state_for(own, service, gone()),
            state,
            "{own:?} {service:?}"
        );
    }
    let final_failure = Error::not_found("NO_ORDER", "no such order");
    assert_eq!(state_for(None, Hold, final_failure), State::Failed);
}
