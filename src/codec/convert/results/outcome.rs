//! What a client reads of an invocation after a request: its outcome, and its state or its retry after a change.

use crate::codec::convert::failure::failure_from_proto;
use crate::codec::convert::field::enum_from_proto;
use crate::codec::convert::payload::reply_from_proto;
use crate::codec::proto::v1;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::Cid;
use crate::model::invocation::{Outcome, State};

/// Converts the outcome of an invocation; `None` while the invocation has not ended.
///
/// # Errors
///
/// `INVALID_ARGUMENT` where the node answers with a malformed outcome.
pub fn invocation_outcome_from_proto(invocation: v1::Invocation) -> Result<Option<Outcome>> {
    let Some(stored) = invocation.outcome else {
        return Ok(None);
    };
    Ok(Some(match stored.outcome {
        Some(v1::outcome::Outcome::Failure(failure)) => Err(failure_from_proto(failure)),
        output => Ok(reply_from_proto(
            output,
            stored.data_format,
            stored.metadata,
        )?),
    }))
}

/// Converts the state of an invocation after a completion or another change of it.
///
/// A pending invocation counts as started: only an attempt that is retried leads back to that state.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` where the node answers with an unknown state.
pub fn state_from_proto(state: i32, cancel_requested: bool) -> Result<State> {
    Ok(match enum_from_proto("/state", state)? {
        v1::State::Pending => State::Pending { started: true },
        v1::State::Running => State::Running { cancel_requested },
        v1::State::Succeeded => State::Succeeded,
        v1::State::Failed => State::Failed,
        v1::State::Cancelled => State::Cancelled,
        v1::State::Expired => State::Expired,
        v1::State::Unspecified => return Err(missing("/state")),
    })
}

/// Converts the change of a single invocation to the state that it led to.
///
/// # Errors
///
/// Why the invocation was not changed; `INVALID_ARGUMENT` / `REQUEST_INVALID` for a malformed change.
pub fn changed_state_from_proto(changes: Vec<v1::InvocationChange>) -> Result<State> {
    let change = single_change(changes)?;
    state_from_proto(change.state, change.cancel_requested)
}

/// Converts the retry of a single invocation to the CID of the new invocation.
///
/// # Errors
///
/// Why the invocation was not retried; `INVALID_ARGUMENT` / `CID_INVALID` for a malformed CID.
pub fn retry_cid_from_proto(changes: Vec<v1::InvocationChange>) -> Result<Cid> {
    Cid::parse(&single_change(changes)?.new_cid)
}

fn single_change(changes: Vec<v1::InvocationChange>) -> Result<v1::InvocationChange> {
    let first = changes.into_iter().next();
    let change = first.ok_or_else(|| missing("/changes"))?;
    match change.failure {
        Some(failure) => Err(failure_from_proto(failure)),
        None => Ok(change),
    }
}

fn missing(field: &str) -> Error {
    let violation = Violation::new(field, "MISSING", "is not in the response of the node");
    Error::violations(reason::REQUEST_INVALID, vec![violation])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::convert::{failure_to_proto, state_to_proto};

    #[test]
    fn every_state_survives_a_round_trip() {
        let states = [
            State::Pending { started: true },
            State::Running {
                cancel_requested: true,
            },
            State::Succeeded,
            State::Failed,
            State::Cancelled,
            State::Expired,
        ];
        for state in states {
            let number = state_to_proto(state).into();
            assert_eq!(state_from_proto(number, true).unwrap(), state);
        }
        for unknown in [0, 7, -1] {
            let error = state_from_proto(unknown, false).unwrap_err();
            assert_eq!(error.reason(), reason::REQUEST_INVALID);
        }
    }

    #[test]
    fn a_change_that_was_refused_is_an_error() {
        let refused = v1::InvocationChange {
            failure: Some(failure_to_proto(&Error::failed_precondition("ENDED", ""))),
            ..v1::InvocationChange::default()
        };
        let error = changed_state_from_proto(vec![refused]).unwrap_err();
        assert_eq!(error.reason(), "ENDED");
        assert!(retry_cid_from_proto(Vec::new()).is_err());
    }
}
