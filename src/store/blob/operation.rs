//! How far an operation is: what it has done, and why it could not do the rest.

use std::borrow::Cow;

use prost::Message;

use super::failure::{FailureBlob, from_failure, to_failure};
use super::scalars::{cid, damaged};
use crate::model::error::Result;
use crate::model::operation::{OperationId, OperationProgress, Refusal, Refusals};
use crate::store::cipher::{BlobCipher, Column, Place};

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

/// Seals what was asked of an operation.
pub(in crate::store) fn seal_operation_request(
    id: OperationId,
    request: Vec<u8>,
    cipher: &BlobCipher,
) -> Result<Vec<u8>> {
    cipher.seal(Place::of_operation(id, Column::OperationRequest), request)
}

/// Opens what was asked of an operation.
pub(in crate::store) fn open_operation_request(
    id: OperationId,
    blob: Vec<u8>,
    cipher: &BlobCipher,
) -> Result<Vec<u8>> {
    let place = Place::of_operation(id, Column::OperationRequest);
    Ok(match cipher.open(place, &blob)? {
        Cow::Borrowed(_) => blob,
        Cow::Owned(opened) => opened,
    })
}

/// Encodes and seals how far an operation is. Its state and its end have columns of their own.
pub(in crate::store) fn encode_operation_progress(
    id: OperationId,
    progress: &OperationProgress,
    cipher: &BlobCipher,
) -> Result<Vec<u8>> {
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
    let place = Place::of_operation(id, Column::OperationProgress);
    cipher.seal(place, blob.encode_to_vec())
}

/// Decodes how far an operation is, without its state and its end.
pub(in crate::store) fn decode_operation_progress(
    id: OperationId,
    blob: &[u8],
    cipher: &BlobCipher,
) -> Result<OperationProgress> {
    let place = Place::of_operation(id, Column::OperationProgress);
    let blob = cipher.open(place, blob)?;
    let blob = ProgressBlob::decode(&*blob).map_err(damaged)?;
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
