//! Progress: the last one that an attempt reported.

use bytes::Bytes;
use prost::Message;

use super::scalars::{damaged, nanos, timestamp};
use crate::codec::struct_pb;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::{Progress, ProgressRecord};
use crate::store::cipher::{BlobCipher, Column, Place};

#[derive(Clone, PartialEq, Message)]
struct ProgressBlob {
    #[prost(double, optional, tag = "1")]
    fraction: Option<f64>,
    #[prost(string, tag = "2")]
    message: String,
    /// A `google.protobuf.Value`.
    #[prost(bytes = "bytes", optional, tag = "3")]
    value: Option<Bytes>,
    #[prost(uint32, tag = "4")]
    attempt: u32,
    #[prost(uint64, tag = "5")]
    number: u64,
    #[prost(sint64, tag = "6")]
    time: i64,
}

/// Encodes and seals the progress of an invocation.
pub(in crate::store) fn encode_progress(
    cid: Cid,
    record: &ProgressRecord,
    cipher: &BlobCipher,
) -> Result<Vec<u8>> {
    let message = ProgressBlob {
        fraction: record.progress.fraction,
        message: record.progress.message.clone(),
        value: record
            .progress
            .value
            .as_ref()
            .map(struct_pb::encode_value)
            .transpose()?,
        attempt: record.attempt,
        number: record.number,
        time: nanos(record.time),
    };
    cipher.seal(Place::of(cid, Column::Progress), message.encode_to_vec())
}

/// Decodes the progress of an invocation.
pub(in crate::store) fn decode_progress(
    cid: Cid,
    blob: &[u8],
    cipher: &BlobCipher,
) -> Result<ProgressRecord> {
    let blob = cipher.open(Place::of(cid, Column::Progress), blob)?;
    let message = ProgressBlob::decode(&*blob).map_err(damaged)?;
    let value = message
        .value
        .map(|bytes| struct_pb::decode_value(&bytes))
        .transpose()?;
    Ok(ProgressRecord {
        progress: Progress {
            fraction: message.fraction,
            message: message.message,
            value,
        },
        attempt: message.attempt,
        number: message.number,
        time: timestamp(message.time),
    })
}
