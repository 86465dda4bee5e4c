//! Operations over many invocations, and their states.

use crate::codec::convert::failure::failure_to_proto;
use crate::codec::convert::time::timestamp_to_proto;
use crate::codec::proto::v1;
use crate::model::operation::{OperationProgress, OperationState, Refusal};

/// Converts an operation to the contract's form: what was asked, and how far it is.
#[must_use]
pub fn operation_to_proto(
    asked: &v1::Operation,
    create_time: jiff::Timestamp,
    progress: &OperationProgress,
) -> v1::Operation {
    let refusals = progress.refusals.by_count();
    v1::Operation {
        state: operation_state_to_proto(progress.state).into(),
        create_time: Some(timestamp_to_proto(create_time)),
        end_time: progress.end_time.map(timestamp_to_proto),
        matched: progress.matched,
        processed: progress.processed,
        changed: progress.changed,
        refusals: refusals.into_iter().map(refusal_to_proto).collect(),
        failure: progress.failure.as_ref().map(failure_to_proto),
        ..asked.clone()
    }
}

fn refusal_to_proto(refusal: &Refusal) -> v1::OperationRefusal {
    v1::OperationRefusal {
        reason: refusal.reason.clone(),
        count: refusal.count,
        example_cid: refusal.example.to_string(),
        message: refusal.message.clone(),
    }
}

/// Converts the state of an operation to the contract's form.
#[must_use]
pub fn operation_state_to_proto(state: OperationState) -> v1::OperationState {
    match state {
        OperationState::Running => v1::OperationState::Running,
        OperationState::Succeeded => v1::OperationState::Succeeded,
        OperationState::Cancelled => v1::OperationState::Cancelled,
        OperationState::Failed => v1::OperationState::Failed,
    }
}
