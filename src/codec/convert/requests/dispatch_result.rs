//! The result of a dispatch: a worker sends it, and its node receives it.

use crate::codec::convert::failure::{failure_to_proto, sent_failure_from_proto};
use crate::codec::convert::metadata::{metadata_from_proto, metadata_to_proto};
use crate::codec::convert::payload::{
    PayloadOneof as _, document_format_from_proto, payload_to_proto,
};
use crate::codec::proto::v1;
use crate::codec::proto::v1::dispatch_result::Outcome as Proto;
use crate::model::error::Result;
use crate::model::invocation::Outcome;
use crate::model::payload::{Payload, Reply};

/// The answer of a handler.
#[derive(Debug)]
pub enum HandlerAnswer {
    /// A reply, and the invocations that are accepted with it.
    Now(Reply, Vec<v1::InvokeAsyncRequest>),
    /// "Later": the outcome is completed from outside.
    Later,
}

/// Converts the answer of a handler to the contract's form. A reply that cannot be encoded becomes a failure.
#[must_use]
pub fn dispatch_result_to_proto(
    token: String,
    answer: Result<HandlerAnswer>,
) -> v1::DispatchResult {
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
            outcome: Some(Proto::Later(v1::Later {})),
            ..v1::DispatchResult::default()
        }),
    });
    let result = result.unwrap_or_else(|error| v1::DispatchResult {
        outcome: Some(Proto::Failure(failure_to_proto(&error))),
        trace: error.trace().unwrap_or_default(),
        ..v1::DispatchResult::default()
    });
    v1::DispatchResult { token, ..result }
}

/// Converts the result of a dispatch to its outcome: a response, or the failure of the handler. Without an outcome, the
/// response is empty.
///
/// # Errors
///
/// `INVALID_ARGUMENT` for an unknown format or more than 64 details; `INVALID_ARGUMENT` / `METADATA_TOO_LARGE`.
pub fn dispatch_outcome_from_proto(result: v1::DispatchResult) -> Result<Outcome> {
    let format = document_format_from_proto(result.data_format)?;
    let payload = match result.outcome {
        Some(Proto::Failure(failure)) => {
            let error = sent_failure_from_proto(failure)?;
            return Ok(Err(match result.trace.is_empty() {
                true => error,
                false => error.with_trace(result.trace),
            }));
        }
        response => response
            .and_then(|response| response.into_payload(format))
            .unwrap_or(Payload::empty()),
    };
    let metadata = metadata_from_proto(result.metadata)?;
    Ok(Ok(Reply { payload, metadata }))
}
