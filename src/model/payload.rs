//! Payloads: inputs, responses and items, decoded only where they are read.

use bytes::Bytes;

use crate::model::metadata::Metadata;
use crate::model::value::{Dict, Value};

/// The data format of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// As a `google.protobuf.Struct` or `Value`.
    Dict,
    /// As JSON (RFC 8259).
    Json,
    /// As CSV (RFC 4180).
    Csv,
    /// As UTF-8 text.
    Text,
    /// As the fields of a form (`application/x-www-form-urlencoded`).
    Form,
}

/// An input, a response or an item, as a value or in the encoded form in which it arrived.
///
/// To make one, convert a [`Dict`], a [`Value`] or `()`, or use [`IntoPayload`](crate::IntoPayload). A node checks
/// encoded forms once, on arrival or when a handler decodes them.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A value in memory. In-process calls pass it without encoding it.
    Value(Value),
    /// An encoded `google.protobuf.Struct`.
    Struct(Bytes),
    /// An encoded `google.protobuf.Value`.
    Any(Bytes),
    /// A document. Its text is parsed on first use.
    Document(Bytes, Format),
}

impl Payload {
    /// Creates the empty dict, which stands for no input and no response.
    #[must_use]
    pub const fn empty() -> Self {
        Self::Struct(Bytes::new())
    }

    /// Whether two encoded payloads are the same, byte for byte.
    #[must_use]
    pub fn same_bytes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Struct(one), Self::Struct(other)) | (Self::Any(one), Self::Any(other)) => {
                one == other
            }
            (Self::Document(one, format), Self::Document(other, other_format)) => {
                one == other && format == other_format
            }
            _ => false,
        }
    }

    /// Its size in bytes; an estimate where it is a value in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Value(value) => weight(value),
            Self::Struct(bytes) | Self::Any(bytes) | Self::Document(bytes, _) => bytes.len(),
        }
    }
}

/// Roughly how many bytes a value takes.
pub(in crate::model) fn weight(value: &Value) -> usize {
    const ENTRY_BYTES: usize = 32;
    ENTRY_BYTES
        + match value {
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 0,
            Value::Digits(digits) => digits.as_str().len(),
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::List(items) => items.iter().map(weight).sum(),
            Value::Dict(dict) => dict
                .iter()
                .map(|(key, value)| ENTRY_BYTES + key.len() + weight(value))
                .sum(),
        }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl From<Dict> for Payload {
    fn from(dict: Dict) -> Self {
        Self::Value(Value::Dict(dict))
    }
}

/// No input: the empty dict.
impl From<()> for Payload {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

/// The reply of a handler: a response with metadata. A handler without metadata returns the response itself.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The response.
    pub payload: Payload,
    /// The metadata that the handler added.
    pub metadata: Metadata,
}

impl From<Payload> for Reply {
    fn from(payload: Payload) -> Self {
        Self {
            payload,
            metadata: Metadata::new(),
        }
    }
}
