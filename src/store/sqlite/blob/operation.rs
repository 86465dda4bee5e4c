//! How far an operation is: what it has done, and why it could not do the rest.

use prost::Message;

use super::failure::{FailureBlob, from_failure, to_failure};
use super::scalars::{cid, damaged};
use crate::model::error::Result;
use crate::model::operation::{OperationProgress, Refusal, Refusals};

#[derive(Clone, PartialEq, Message)]
struct ProgressBlob {
    #[prost(uint64, tag = "1")]
    matched: u64,
    #[prost(uint64, tag = "2")]
    processed: u64,
    #[prost(uint64, tag = "3")]
    changed: u64,
    #[prost(message, repeated, tag = "4")]
    refusals: Vec<RefusalBlob>,
    #[prost(message, optional, tag = "5")]
    failure: Option<FailureBlob>,
}

#[derive(Clone, PartialEq, Message)]
struct RefusalBlob {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(uint64, tag = "2")]
    count: u64,
    #[prost(bytes = "vec", tag = "3")]
    example: Vec<u8>,
    #[prost(string, tag = "4")]
    message: String,
}

/// Encodes how far an operation is. Its state and its end have columns of their own.
pub(in crate::store::sqlite) fn encode_operation_progress(progress: &OperationProgress) -> Vec<u8> {
    let refusal = |refusal: &Refusal| RefusalBlob {
        reason: refusal.reason.clone(),
        count: refusal.count,
        example: refusal.example.as_bytes().to_vec(),
        message: refusal.message.clone(),
    };
    let blob = ProgressBlob {
        matched: progress.matched,
        processed: progress.processed,
        changed: progress.changed,
        refusals: progress
            .refusals
            .by_count()
            .into_iter()
            .map(refusal)
            .collect(),
        failure: progress.failure.as_ref().map(to_failure),
    };
    blob.encode_to_vec()
}

/// Decodes how far an operation is, without its state and its end.
pub(in crate::store::sqlite) fn decode_operation_progress(
    blob: &[u8],
) -> Result<OperationProgress> {
    let blob = ProgressBlob::decode(blob).map_err(damaged)?;
    let refusals = blob.refusals.into_iter().map(|refusal| {
        Ok(Refusal {
            reason: refusal.reason,
            count: refusal.count,
            example: cid(&refusal.example)?,
            message: refusal.message,
        })
    });
    Ok(OperationProgress {
        matched: blob.matched,
        processed: blob.processed,
        changed: blob.changed,
        refusals: Refusals::from_stored(refusals.collect::<Result<_>>()?),
        failure: match blob.failure {
            None => None,
            failure => Some(from_failure(failure)?),
        },
        ..OperationProgress::default()
    })
}
