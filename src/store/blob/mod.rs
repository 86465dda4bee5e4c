//! The blobs of a row: protobuf messages of the store's own, independent of the wire contract and the model.
//!
//! A field never changes its meaning and is never removed: later versions open every store that this version wrote.
//! Each blob is sealed where it is encoded, and opened where it is decoded, so that none is written past the cipher.

mod event;
mod failure;
mod operation;
mod payload;
mod progress;
mod request;
mod scalars;

pub(super) use self::event::{decode_events, decode_failure_message, encode_events, sealed_events};
pub(super) use self::failure::{decode_last_failure, encode_last_failure, with_cancel_reason};
pub(super) use self::operation::{
    decode_operation_progress, encode_operation_progress, open_operation_request,
    seal_operation_request,
};
pub(super) use self::progress::{decode_progress, encode_progress};
pub(super) use self::request::{
    decode_is_callback, decode_metadata, decode_request, encode_request,
};
pub(super) use self::scalars::{cid, damaged, nanos, timestamp};
