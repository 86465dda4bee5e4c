//! Batches of invocations, and their outcomes.

use super::connection::ContractClient;
use crate::codec::convert::{accepted_group_from_proto, batch_to_proto};
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::Outcome;
use crate::remote::protocol::group_outcomes::group_outcomes;
use crate::remote::protocol::retry::is_safe_to_retry;
use crate::remote::protocol::transport::ignored_keys;

impl ContractClient {
    /// Runs a batch of services in the background, accepted at once, all of them or none, under one group CID.
    ///
    /// # Errors
    ///
    /// The node's answer; `UNAVAILABLE` where the connection is lost.
    pub async fn invoke_batch(&self, batch: Batch) -> Result<AcceptedGroup> {
        let is_generated = batch.cid.is_none();
        let request = batch_to_proto(Batch {
            cid: Some(batch.cid.unwrap_or_else(Cid::new)),
            ..batch
        })?;
        let accept = async || self.invocation.clone().invoke_batch(request.clone()).await;
        let response = self.call(is_safe_to_retry, accept).await?;
        let ignored = ignored_keys(&response);
        let generated = is_generated.then_some(&*request.cid);
        accepted_group_from_proto(response.get_ref(), ignored, generated)
    }

    /// Waits until all members of a group have ended; returns their outcomes in the order of their requests. A failure
    /// is an outcome.
    ///
    /// # Errors
    ///
    /// The node's answer; `UNAVAILABLE` where the connection is lost and cannot be re-established.
    pub async fn join(&self, group: &AcceptedGroup) -> Result<Vec<(Cid, Outcome)>> {
        group_outcomes(self.results(group.cid).await?, group).await
    }
}
