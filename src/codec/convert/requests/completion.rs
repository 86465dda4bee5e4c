//! Async completion: the outcome that an external caller sends in `CompleteInvocation`.

use crate::codec::convert::failure::sent_failure_from_proto;
use crate::codec::convert::metadata::metadata_from_proto;
use crate::codec::convert::payload::{PayloadOneof as _, document_format_from_proto};
use crate::codec::proto::v1;
use crate::codec::proto::v1::complete_invocation_request::Outcome as Proto;
use crate::model::error::Result;
use crate::model::invocation::Outcome;
use crate::model::payload::{Payload, Reply};

/// Converts the outcome of a completion. Without an outcome, the invocation succeeds with an empty output.
///
/// # Errors
///
/// `INVALID_ARGUMENT` for an unknown format or more than 64 details; `INVALID_ARGUMENT` / `METADATA_TOO_LARGE`.
pub fn completion_from_proto(message: v1::CompleteInvocationRequest) -> Result<Outcome> {
    let format = document_format_from_proto(message.data_format)?;
    Ok(match message.outcome {
        Some(Proto::Failure(failure)) => Err(sent_failure_from_proto(failure)?),
        output => Ok(Reply {
            payload: output
                .and_then(|output| output.into_payload(format))
                .unwrap_or(Payload::empty()),
            metadata: metadata_from_proto(message.metadata)?,
        }),
    })
}
