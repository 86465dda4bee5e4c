//! What a handler in a worker answered, as the message that tells the node.

use crate::codec::convert::{failure_to_proto, metadata_to_proto};
use crate::codec::proto::v1;
use crate::codec::proto::v1::dispatch_result::Outcome;
use crate::model::error::Result;
use crate::model::payload::Reply;
use crate::remote::wire;

/// What a handler answered.
#[derive(Debug)]
pub(super) enum Answered {
    /// A reply, and what is to be accepted with it.
    Now(Reply, Vec<v1::InvokeAsyncRequest>),
    /// That the outcome comes from outside.
    Later,
}

/// The result of a dispatch.
pub(super) fn result(token: String, answered: Result<Answered>) -> v1::DispatchResult {
    let written = answered.and_then(|answered| match answered {
        Answered::Now(reply, follow_ups) => {
            let (outcome, data_format) = wire::input_to_proto(reply.payload)?;
            Ok(v1::DispatchResult {
                outcome: Some(outcome),
                data_format,
                metadata: metadata_to_proto(&reply.metadata),
                follow_ups,
                ..v1::DispatchResult::default()
            })
        }
        Answered::Later => Ok(v1::DispatchResult {
            outcome: Some(Outcome::Later(v1::Later {})),
            ..v1::DispatchResult::default()
        }),
    });
    let result = written.unwrap_or_else(|error| v1::DispatchResult {
        outcome: Some(Outcome::Failure(failure_to_proto(&error))),
        trace: error.trace().unwrap_or_default(),
        ..v1::DispatchResult::default()
    });
    v1::DispatchResult { token, ..result }
}
