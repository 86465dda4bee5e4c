//! Accepted invocations, as `InvokeAsync` and `InvokeBatch` return them.

use crate::codec::proto::v1;
use crate::model::batch::AcceptedGroup;
use crate::model::call::Accepted;
use crate::model::id::Cid;

/// Converts an accepted invocation to the contract's form.
#[must_use]
pub fn accepted_to_proto(accepted: &Accepted) -> v1::InvokeAsyncResponse {
    v1::InvokeAsyncResponse {
        cid: accepted.cid.to_string(),
        already_accepted: accepted.already_accepted,
    }
}

/// Converts an accepted group to the contract's form.
#[must_use]
pub fn accepted_group_to_proto(group: &AcceptedGroup) -> v1::InvokeBatchResponse {
    v1::InvokeBatchResponse {
        cid: group.cid.to_string(),
        member_cids: group.members.iter().map(Cid::to_string).collect(),
        already_accepted: group.already_accepted,
    }
}
