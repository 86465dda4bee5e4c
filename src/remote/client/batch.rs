//! Many invocations at once, and their outcomes.

use super::Client;
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::Outcome;
use crate::remote::again::{self, may_be_said_again};
use crate::remote::outcomes::outcomes;
use crate::remote::wire;

impl Client {
    /// Has many services run in the background, accepted at once, all of them or none, under one group CID.
    ///
    /// # Errors
    ///
    /// What the node answered; `UNAVAILABLE` where the connection is lost.
    pub async fn invoke_batch(&self, batch: Batch) -> Result<AcceptedGroup> {
        let is_ours = batch.cid.is_none();
        let request = wire::batch_request(Batch {
            cid: Some(batch.cid.unwrap_or_else(Cid::new)),
            ..batch
        })?;
        let accept = async || self.invocation.clone().invoke_batch(request.clone()).await;
        let response = again::say(self.tries, may_be_said_again, accept).await?;
        wire::accepted_group(response, is_ours.then_some(&request.cid))
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
