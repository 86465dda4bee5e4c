//! The columns `state`: the number of each state, of invocations and of operations. The numbers never change.

use crate::model::error::Result;
use crate::model::invocation::State;
use crate::model::operation::OperationState;
use crate::store::blob::damaged;

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
///
/// # Errors
///
/// `DATA_LOSS` / `STORE_DAMAGED` for a number that is no state.
pub(super) fn decode_state(number: i64) -> Result<State> {
    Ok(match number {
        0 => State::Pending { started: false },
        1 => State::Pending { started: true },
        2 => State::Succeeded,
        3 => State::Failed,
        4 => State::Cancelled,
        5 => State::Expired,
        other => return Err(damaged(format_args!("the state {other}"))),
    })
}

/// The number of the state of an operation.
pub(super) fn encode_operation_state(state: OperationState) -> i64 {
    match state {
        OperationState::Running => 1,
        OperationState::Succeeded => 2,
        OperationState::Cancelled => 3,
        OperationState::Failed => 4,
    }
}

/// The state of an operation with a number.
///
/// # Errors
///
/// `DATA_LOSS` / `STORE_DAMAGED` for a number that is no state.
pub(super) fn decode_operation_state(number: i64) -> Result<OperationState> {
    Ok(match number {
        1 => OperationState::Running,
        2 => OperationState::Succeeded,
        3 => OperationState::Cancelled,
        4 => OperationState::Failed,
        other => return Err(damaged(format_args!("the operation state {other}"))),
    })
}
