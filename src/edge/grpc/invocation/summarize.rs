//! `SummarizeInvocations`: counts by service, state and reason of the last failure.

use super::filter::RequestFilter;
use crate::codec::convert::{state_to_proto, timestamp_to_proto};
use crate::codec::proto::v1;
use crate::engine::Invoker;
use crate::model::error::Result;
use crate::model::invocation::Summary;

/// How many summaries a response has at most.
const MAX_SUMMARIES: usize = 1_000;

/// Counts the invocations that match the filter of a request.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for the filter, and the errors of the store.
pub(super) async fn summarize(
    invoker: &Invoker,
    message: v1::SummarizeInvocationsRequest,
) -> Result<v1::SummarizeInvocationsResponse> {
    let filter = RequestFilter::resolve(invoker, message.filter, &message.filter_expression)?;
    let found = filter.summarize(invoker, MAX_SUMMARIES).await?;
    let summaries = found.summaries.into_iter();
    let summaries = summaries.map(|(summary, message)| summary_to_proto(summary, message));
    Ok(v1::SummarizeInvocationsResponse {
        summaries: summaries.collect(),
        total: found.total,
    })
}

/// Converts a summary, with the failure message of its example.
pub(in crate::edge::grpc) fn summary_to_proto(
    Summary { key, count }: Summary,
    message: Option<String>,
) -> v1::InvocationSummary {
    let pending_reason = match key.held {
        true => v1::PendingReason::Held,
        false => v1::PendingReason::Unspecified,
    };
    v1::InvocationSummary {
        service: key.service.to_string(),
        state: state_to_proto(key.state).into(),
        pending_reason: pending_reason.into(),
        failure_reason: key.failure_reason.unwrap_or_default(),
        count: count.count,
        first_accept_time: Some(timestamp_to_proto(count.first_accept_time)),
        last_accept_time: Some(timestamp_to_proto(count.last_accept_time)),
        last_end_time: count.last_end_time.map(timestamp_to_proto),
        example_cid: count.example.to_string(),
        example_message: message.unwrap_or_default(),
    }
}
