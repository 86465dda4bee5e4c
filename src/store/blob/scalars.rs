//! Instants, durations, CIDs and string pairs in the numbers and bytes of a blob.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use prost::Message;

use crate::model::error::{Error, Kind, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::metadata::Metadata;

#[derive(Clone, PartialEq, Message)]
pub(super) struct PairBlob {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

/// `DATA_LOSS` / `STORE_DAMAGED`: a row or blob that cannot be decoded.
pub(in crate::store) fn damaged(what: impl fmt::Display) -> Error {
    let message = format!("the store contains unreadable data: {what}");
    Error::new(Kind::DataLoss, reason::STORE_DAMAGED, message)
}

/// Nanoseconds since 1970 (UTC), saturated.
pub(in crate::store) fn nanos(time: Timestamp) -> i64 {
    let nanos = time.as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// The instant of nanoseconds since 1970 (UTC).
pub(in crate::store) fn timestamp(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanos.into()).unwrap_or(Timestamp::MAX)
}

pub(super) fn duration_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Decodes a CID.
pub(in crate::store) fn cid(bytes: &[u8]) -> Result<Cid> {
    <[u8; 16]>::try_from(bytes)
        .map(Cid::from_bytes)
        .map_err(|_| damaged("a CID"))
}

pub(super) fn pairs(metadata: &Metadata) -> Vec<PairBlob> {
    let pair = |(key, value): (&str, &str)| PairBlob {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    metadata.iter().map(pair).collect()
}

pub(super) fn metadata(pairs: Vec<PairBlob>) -> Metadata {
    pairs
        .into_iter()
        .map(|pair| (pair.key, pair.value))
        .collect()
}

pub(super) fn names(names: &[String]) -> Result<Vec<ServiceName>> {
    names.iter().map(|name| ServiceName::parse(name)).collect()
}
