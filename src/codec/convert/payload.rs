//! Payloads and their formats. Every message of the contract that carries a payload has the same `oneof`.

use std::collections::HashMap;

use bytes::Bytes;

use super::metadata::metadata_from_proto;
use crate::codec::proto::v1;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::payload::{Format, Payload, Reply};

/// The `oneof` of `payload`, `value` and `document` of one message.
pub trait PayloadOneof: Sized {
    /// Converts a payload to a member of the `oneof`.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `VALUE_INVALID` for values that cannot be encoded.
    fn from_payload(payload: Payload) -> Result<Self>;

    /// Converts the member to a payload; `None` for a member that is not one. `format` is the format of a document.
    fn into_payload(self, format: Format) -> Option<Payload>;
}

/// Encodes a payload that is a value in memory.
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
    v1::outcome::Outcome { Payload, Value, Document, else Failure Typed };
    v1::dispatch::Input { Payload, Value, Document };
    v1::dispatch_result::Outcome { Payload, Value, Document, else Failure Later };
    v1::complete_invocation_request::Outcome { Payload, Value, Document, else Failure };
}

impl PayloadOneof for v1::dispatch_item::Item {
    fn from_payload(payload: Payload) -> Result<Self> {
        Ok(match encoded(payload)? {
            Payload::Any(bytes) => Self::Value(bytes),
            Payload::Struct(bytes) => Self::Payload(bytes),
            // An item has no member for documents: the document is decoded.
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

/// The format of a payload, in the contract's form.
#[must_use]
pub fn format_of(payload: &Payload) -> v1::DataFormat {
    match payload {
        Payload::Document(_, format) => format_to_proto(*format),
        Payload::Value(_) | Payload::Struct(_) | Payload::Any(_) => v1::DataFormat::Dict,
    }
}

/// Converts a format to the contract's form.
#[must_use]
pub fn format_to_proto(format: Format) -> v1::DataFormat {
    match format {
        Format::Dict => v1::DataFormat::Dict,
        Format::Json => v1::DataFormat::Json,
        Format::Csv => v1::DataFormat::Csv,
        Format::Text => v1::DataFormat::Text,
        Format::Form => v1::DataFormat::Form,
    }
}

/// Converts an optional format. `field` is the path of a violation.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID` for an unknown number.
pub fn format_from_proto(field: &str, format: i32) -> Result<Option<Format>> {
    match v1::DataFormat::try_from(format) {
        Ok(v1::DataFormat::Unspecified) => Ok(None),
        Ok(v1::DataFormat::Dict) => Ok(Some(Format::Dict)),
        Ok(v1::DataFormat::Json) => Ok(Some(Format::Json)),
        Ok(v1::DataFormat::Csv) => Ok(Some(Format::Csv)),
        Ok(v1::DataFormat::Text) => Ok(Some(Format::Text)),
        Ok(v1::DataFormat::Form) => Ok(Some(Format::Form)),
        Err(_) => {
            let message = format!("{format} is not a data format");
            let violation = Violation::new(field, "UNKNOWN_VALUE", message);
            Err(Error::violations(reason::FORMAT_INVALID, vec![violation]))
        }
    }
}

/// Converts the format of a document; JSON where none is given.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID`.
pub fn document_format_from_proto(data_format: i32) -> Result<Format> {
    let format = format_from_proto("/data_format", data_format)?;
    Ok(format.unwrap_or(Format::Json))
}

/// Converts the input of a request. The engine checks it against the declaration.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID` for an unknown format, or one that does not fit the member.
pub fn input_from_proto<O: PayloadOneof>(input: Option<O>, data_format: i32) -> Result<Payload> {
    let format = format_from_proto("/data_format", data_format)?;
    let payload = input
        .and_then(|input| input.into_payload(format.unwrap_or(Format::Json)))
        .unwrap_or(Payload::empty());
    let mismatch = match (&payload, format) {
        (Payload::Document(..), Some(Format::Dict)) => {
            Some("a document is JSON, CSV, text or a form; a dict is sent as `payload`")
        }
        (Payload::Struct(_) | Payload::Any(_), Some(Format::Csv | Format::Text | Format::Form)) => {
            Some("CSV, text and forms are sent as `document`")
        }
        _ => None,
    };
    if let Some(message) = mismatch {
        let violation = Violation::new("/data_format", reason::FORMAT_INVALID, message);
        return Err(Error::violations(reason::FORMAT_INVALID, vec![violation]));
    }
    Ok(payload)
}

/// Converts a payload to the `oneof` of a message, with the format of its document.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for a payload that cannot be encoded.
pub fn payload_to_proto<O: PayloadOneof>(payload: Payload) -> Result<(O, i32)> {
    let data_format = match &payload {
        Payload::Document(_, format) => format_to_proto(*format),
        Payload::Value(_) | Payload::Struct(_) | Payload::Any(_) => v1::DataFormat::Unspecified,
    };
    Ok((O::from_payload(payload)?, data_format.into()))
}

/// Converts the output of a response or an event. A document without a format is JSON.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID` for an unknown format; `METADATA_TOO_LARGE`.
pub fn reply_from_proto<O: PayloadOneof>(
    output: Option<O>,
    data_format: i32,
    metadata: HashMap<String, String>,
) -> Result<Reply> {
    let format = document_format_from_proto(data_format)?;
    let payload = output.and_then(|output| output.into_payload(format));
    Ok(Reply {
        payload: payload.unwrap_or(Payload::empty()),
        metadata: metadata_from_proto(metadata)?,
    })
}
