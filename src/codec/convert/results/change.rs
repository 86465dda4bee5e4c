//! Changes of stored invocations, as `CancelInvocations`, `RetryInvocations` and `PurgeInvocations` return them.

use super::state::state_to_proto;
use crate::codec::convert::failure::failure_of_invocation_to_proto;
use crate::codec::proto::v1;
use crate::model::error::Error;
use crate::model::id::Cid;
use crate::model::invocation::{Invocation, State};

/// Converts a changed invocation to the contract's form.
#[must_use]
pub fn change_to_proto(invocation: &Invocation) -> v1::InvocationChange {
    let state = invocation.shown_state();
    v1::InvocationChange {
        cid: invocation.request.cid.to_string(),
        state: state_to_proto(state).into(),
        cancel_requested: matches!(
            state,
            State::Running {
                cancel_requested: true
            }
        ),
        ..v1::InvocationChange::default()
    }
}

/// Converts the failure of a change to the contract's form.
#[must_use]
pub fn failed_change_to_proto(cid: Cid, error: &Error) -> v1::InvocationChange {
    v1::InvocationChange {
        cid: cid.to_string(),
        failure: Some(failure_of_invocation_to_proto(cid, error)),
        ..v1::InvocationChange::default()
    }
}
