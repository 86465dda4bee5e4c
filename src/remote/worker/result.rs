//! The result message of a dispatch, from the answer of its handler.

use crate::codec::convert::{failure_to_proto, metadata_to_proto, payload_to_proto};
use crate::codec::proto::v1;
use crate::codec::proto::v1::dispatch_result::Outcome;
use crate::model::error::Result;
use crate::model::payload::Reply;

/// The answer of a handler.
#[derive(Debug)]
pub(super) enum HandlerAnswer {
    /// A reply, and the invocations that are accepted with it.
    Now(Reply, Vec<v1::InvokeAsyncRequest>),
    /// "Later": the outcome is completed from outside.
    Later,
}

/// Converts an answer. A reply that cannot be encoded becomes a failure.
pub(super) fn result_to_proto(token: String, answer: Result<HandlerAnswer>) -> v1::DispatchResult {
    let result = answer.and_then(|answer| match answer {
        HandlerAnswer::Now(reply, follow_ups) => {
            let (outcome, data_format) = payload_to_proto(reply.payload)?;
            Ok(v1::DispatchResult {
                outcome: Some(outcome),
                data_format,
                metadata: metadata_to_proto(&reply.metadata),
                follow_ups,
                ..v1::DispatchResult::default()
            })
        }
        HandlerAnswer::Later => Ok(v1::DispatchResult {
            outcome: Some(Outcome::Later(v1::Later {})),
            ..v1::DispatchResult::default()
        }),
    });
    let result = result.unwrap_or_else(|error| v1::DispatchResult {
        outcome: Some(Outcome::Failure(failure_to_proto(&error))),
        trace: error.trace().unwrap_or_default(),
        ..v1::DispatchResult::default()
    });
    v1::DispatchResult { token, ..result }
}
