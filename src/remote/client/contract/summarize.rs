//! Counts of stored invocations by service, state and reason.

use super::connection::ContractClient;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::model::id::Cid;

impl ContractClient {
    /// Counts the invocations of the dead-letter queue, those of the given services or of all.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` where the connection is lost.
    pub async fn dead_letters(
        &self,
        services: Vec<String>,
    ) -> Result<v1::SummarizeInvocationsResponse> {
        let filter = v1::InvocationFilter {
            services,
            dead_letter: true,
            ..v1::InvocationFilter::default()
        };
        self.counts(filter).await
    }

    /// Counts the members of a group.
    ///
    /// # Errors
    ///
    /// As for [`dead_letters`](Self::dead_letters).
    pub async fn member_counts(&self, group: Cid) -> Result<v1::SummarizeInvocationsResponse> {
        let filter = v1::InvocationFilter {
            group_cid: group.to_string(),
            ..v1::InvocationFilter::default()
        };
        self.counts(filter).await
    }

    async fn counts(
        &self,
        filter: v1::InvocationFilter,
    ) -> Result<v1::SummarizeInvocationsResponse> {
        let request = v1::SummarizeInvocationsRequest {
            filter: Some(filter),
            ..v1::SummarizeInvocationsRequest::default()
        };
        let summarize = async || {
            self.invocation
                .clone()
                .summarize_invocations(request.clone())
                .await
        };
        self.read(summarize).await
    }
}
