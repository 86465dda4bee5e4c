//! Many invocations at once, and their outcomes.

use tonic::transport::Channel;

use super::Client;
use crate::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::Outcome;
use crate::remote::outcomes::outcomes;
use crate::remote::wire;
use crate::service::{AcceptedGroup, Batch};

impl Client {
    /// Has many services run in the background, accepted at once, all of them or none, under one group CID.
    ///
    /// # Errors
    ///
    /// What the node answered; `UNAVAILABLE` where the connection is lost.
    pub async fn invoke_batch(&self, batch: Batch) -> Result<AcceptedGroup> {
        let is_ours = batch.cid.is_none();
        let request = wire::batch_request(Batch {
            cid: Some(batch.cid.unwrap_or_default()),
            ..batch
        })?;
        let accept = async |mut stub: InvocationServiceClient<Channel>| {
            stub.invoke_batch(request.clone()).await
        };
        let (response, repeated) = self.until_accepted(accept).await?;
        let first_try_was = is_ours && repeated && response.get_ref().cid == request.cid;
        let mut accepted = wire::accepted_group(response)?;
        // What an earlier try of this call had accepted is new to its caller.
        accepted.already_accepted &= !first_try_was;
        Ok(accepted)
    }

    /// Waits until all members of a group have ended; answers with their outcomes in the order of their requests. A
    /// failure is an outcome.
    ///
    /// # Errors
    ///
    /// What the node answered; `UNAVAILABLE` where the connection is lost and cannot be made again.
    pub async fn join(&self, group: &AcceptedGroup) -> Result<Vec<(Cid, Outcome)>> {
        outcomes(self.results(group.cid).await?, group).await
    }
}
