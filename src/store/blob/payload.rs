//! Payloads: the encoded bytes and the format they are in.

use bytes::Bytes;
use prost::Message;

use super::scalars::damaged;
use crate::codec::payload;
use crate::model::error::Result;
use crate::model::payload::{Format, Payload};

#[derive(Clone, PartialEq, Message)]
pub(super) struct PayloadBlob {
    /// 1 a `Struct`, 2 a `Value`, 3 JSON, 4 CSV, 5 text, 6 a form.
    #[prost(uint32, tag = "1")]
    pub(super) form: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) content: Bytes,
}

pub(super) fn to_payload(payload: &Payload) -> Result<PayloadBlob> {
    let encoded = match payload {
        Payload::Value(_) => payload::encode(payload.clone(), Format::Dict)?,
        encoded => encoded.clone(),
    };
    let (form, content) = match encoded {
        Payload::Struct(bytes) => (1, bytes),
        Payload::Any(bytes) => (2, bytes),
        Payload::Document(bytes, Format::Csv) => (4, bytes),
        Payload::Document(bytes, Format::Text) => (5, bytes),
        Payload::Document(bytes, Format::Form) => (6, bytes),
        Payload::Document(bytes, Format::Json | Format::Dict) => (3, bytes),
        Payload::Value(_) => return Err(damaged("a value that was not encoded")),
    };
    Ok(PayloadBlob { form, content })
}

pub(super) fn from_payload(payload: Option<PayloadBlob>) -> Result<Payload> {
    let PayloadBlob { form, content } = payload.ok_or_else(|| damaged("no payload"))?;
    Ok(match form {
        1 => Payload::Struct(content),
        2 => Payload::Any(content),
        3 => Payload::Document(content, Format::Json),
        4 => Payload::Document(content, Format::Csv),
        5 => Payload::Document(content, Format::Text),
        6 => Payload::Document(content, Format::Form),
        other => return Err(damaged(format_args!("a payload of form {other}"))),
    })
}
