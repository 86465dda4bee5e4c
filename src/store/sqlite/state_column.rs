//! The column `state`: the number of each state. The numbers never change.

use crate::model::invocation::State;

/// The number of a state. A running invocation is stored as pending: after a crash that is what it is.
pub(super) fn encode_state(state: State) -> i64 {
    match state {
        State::Pending { started: false } => 0,
        State::Pending { started: true } | State::Running { .. } => 1,
        State::Succeeded => 2,
        State::Failed => 3,
        State::Cancelled => 4,
        State::Expired => 5,
    }
}

/// The state of a number.
pub(super) fn decode_state(number: i64) -> State {
    match number {
        0 => State::Pending { started: false },
        1 => State::Pending { started: true },
        2 => State::Succeeded,
        4 => State::Cancelled,
        5 => State::Expired,
        _ => State::Failed,
    }
}
