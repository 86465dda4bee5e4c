//! States of invocations.

use crate::codec::proto::v1;
use crate::model::invocation::State;

/// Converts a state to the contract's form.
#[must_use]
pub fn state_to_proto(state: State) -> v1::State {
    match state {
        State::Pending { .. } => v1::State::Pending,
        State::Running { .. } => v1::State::Running,
        State::Succeeded => v1::State::Succeeded,
        State::Failed => v1::State::Failed,
        State::Cancelled => v1::State::Cancelled,
        State::Expired => v1::State::Expired,
    }
}
