//! Payloads: every message of the contract that carries one has the same `oneof`.

use std::collections::HashMap;

use bytes::Bytes;

use super::metadata_from_proto;
use crate::codec::proto::v1;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::payload::{Format, Payload, Reply};

/// A `oneof` of `payload`, `value` and `document`, whatever message it is in.
pub trait PayloadOneof: Sized {
    /// Makes the member for a payload. What is a value in memory has to be encoded first.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `VALUE_INVALID` for values that cannot be encoded.
    fn from_payload(payload: Payload) -> Result<Self>;

    /// Takes the payload out; `None` for another member. `format` is the format of a document.
    fn into_payload(self, format: Format) -> Option<Payload>;
}

/// Encodes what is a value in memory.
fn encoded(payload: Payload) -> Result<Payload> {
    match payload {
        Payload::Value(_) => crate::codec::payload::encode(payload, Format::Dict),
        encoded => Ok(encoded),
    }
}

macro_rules! payload_oneof {
    ($($path:path { $payload:ident, $value:ident, $document:ident $(, else $($other:ident)*)? };)*) => {
        $(
            impl PayloadOneof for $path {
                fn from_payload(payload: Payload) -> Result<Self> {
                    type Oneof = $path;
                    Ok(match encoded(payload)? {
                        Payload::Struct(bytes) => Oneof::$payload(bytes),
                        Payload::Any(bytes) => Oneof::$value(bytes),
                        Payload::Document(bytes, _) => Oneof::$document(bytes),
                        Payload::Value(_) => Oneof::$payload(Bytes::new()),
                    })
                }

                fn into_payload(self, format: Format) -> Option<Payload> {
                    match self {
                        Self::$payload(bytes) => Some(Payload::Struct(bytes)),
                        Self::$value(bytes) => Some(Payload::Any(bytes)),
                        Self::$document(bytes) => Some(Payload::Document(bytes, format)),
                        $($(Self::$other(_) => None,)*)?
                    }
                }
            }
        )*
    };
}

payload_oneof! {
    v1::invoke_request::Input { Payload, Value, Document };
    v1::invoke_async_request::Input { Payload, Value, Document };
    v1::invoke_response::Output { Payload, Value, Document };
    v1::succeeded_event::Output { Payload, Value, Document };
    v1::input::Input { Payload, Value, Document };
    v1::retry_invocations_request::Input { Payload, Value, Document };
    v1::outcome::Outcome { Payload, Value, Document, else Failure };
    v1::dispatch::Input { Payload, Value, Document };
    v1::dispatch_result::Outcome { Payload, Value, Document, else Failure Later };
    v1::complete_invocation_request::Outcome { Payload, Value, Document, else Failure };
}

impl PayloadOneof for v1::dispatch_item::Item {
    fn from_payload(payload: Payload) -> Result<Self> {
        Ok(match encoded(payload)? {
            Payload::Any(bytes) => Self::Value(bytes),
            Payload::Struct(bytes) => Self::Payload(bytes),
            // There is no other form for one: its text, or its bytes.
            document @ Payload::Document(..) => {
                let value = crate::codec::payload::decode(document)?;
                Self::Value(crate::codec::struct_pb::encode_value(&value)?)
            }
            Payload::Value(_) => Self::Payload(Bytes::new()),
        })
    }

    fn into_payload(self, _: Format) -> Option<Payload> {
        Some(match self {
            Self::Payload(bytes) => Payload::Struct(bytes),
            Self::Value(bytes) => Payload::Any(bytes),
        })
    }
}

/// The format of a payload, as the contract writes it.
#[must_use]
pub fn format_of(payload: &Payload) -> v1::DataFormat {
    match payload {
        Payload::Document(_, format) => format_to_proto(*format),
        Payload::Value(_) | Payload::Struct(_) | Payload::Any(_) => v1::DataFormat::Dict,
    }
}

/// A format, as the contract writes it.
#[must_use]
pub fn format_to_proto(format: Format) -> v1::DataFormat {
    match format {
        Format::Dict => v1::DataFormat::Dict,
        Format::Json => v1::DataFormat::Json,
        Format::Csv => v1::DataFormat::Csv,
        Format::Text => v1::DataFormat::Text,
    }
}

/// A format, as a caller wrote it; `None` where it was left out.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID` for a number that is none.
pub fn format_from_proto(field: &str, format: i32) -> Result<Option<Format>> {
    match v1::DataFormat::try_from(format) {
        Ok(v1::DataFormat::Unspecified) => Ok(None),
        Ok(v1::DataFormat::Dict) => Ok(Some(Format::Dict)),
        Ok(v1::DataFormat::Json) => Ok(Some(Format::Json)),
        Ok(v1::DataFormat::Csv) => Ok(Some(Format::Csv)),
        Ok(v1::DataFormat::Text) => Ok(Some(Format::Text)),
        Err(_) => {
            let message = format!("{format} is not a data format");
            let violation = Violation::new(field, "UNKNOWN_VALUE", message);
            Err(Error::violations(reason::FORMAT_INVALID, vec![violation]))
        }
    }
}

/// What a service answered, as responses and events have it. A document without a format is JSON.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID` for a format that is not known; what is wrong with the metadata.
pub fn reply_from_proto<O: PayloadOneof>(
    output: Option<O>,
    data_format: i32,
    metadata: HashMap<String, String>,
) -> Result<Reply> {
    let format = format_from_proto("/data_format", data_format)?.unwrap_or(Format::Json);
    let payload = output.and_then(|output| output.into_payload(format));
    Ok(Reply {
        payload: payload.unwrap_or(Payload::empty()),
        metadata: metadata_from_proto(metadata)?,
    })
}
