//! Conversions of payloads between their forms, on demand.

use bytes::Bytes;

use crate::codec::limits::ValueLimits;
use crate::codec::{csv, form, json, struct_pb, text};
use crate::model::error::Result;
use crate::model::payload::{Format, Payload};
use crate::model::sio::CsvOptions;
use crate::model::value::Value;

/// Decodes a payload.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` or `DOCUMENT_MALFORMED`.
pub fn decode(payload: Payload) -> Result<Value> {
    match payload {
        Payload::Value(value) => Ok(value),
        Payload::Struct(bytes) => struct_pb::decode_dict(&bytes).map(Value::Dict),
        Payload::Any(bytes) => struct_pb::decode_value(&bytes),
        Payload::Document(bytes, Format::Dict | Format::Json) => json::read(&bytes),
        Payload::Document(bytes, Format::Csv) => csv::read(&bytes, CsvOptions::default()),
        Payload::Document(bytes, Format::Text) => text::read(&bytes).map(Value::from),
        Payload::Document(bytes, Format::Form) => form::read(&bytes),
    }
}

/// Checks an external payload once, on arrival.
///
/// # Errors
///
/// As for [`decode`].
pub fn scan(payload: &Payload) -> Result<()> {
    match payload {
        Payload::Value(_) => Ok(()),
        Payload::Document(bytes, Format::Dict | Format::Json) => json::scan(bytes),
        Payload::Document(..) => decode(payload.clone()).map(drop),
        Payload::Struct(bytes) => struct_pb::scan_struct(bytes),
        Payload::Any(bytes) => struct_pb::scan_value(bytes),
    }
}

/// Checks a payload against limits that are smaller than those of its format.
///
/// # Errors
///
/// As for [`decode`] and [`ValueLimits::check`].
pub fn check_within(payload: &Payload, limits: ValueLimits) -> Result<()> {
    match payload {
        Payload::Value(value) => limits.check(value),
        encoded => limits.check(&decode(encoded.clone())?),
    }
}

/// Encodes a payload for a response.
///
/// With [`Format::Dict`] that is `Struct` for a dict and `Any` for everything else; otherwise it is a document. A
/// payload that already has the form is returned unchanged.
///
/// # Errors
///
/// As for [`decode`], and for values that the format cannot represent.
pub fn encode(payload: Payload, format: Format) -> Result<Payload> {
    match (format, payload) {
        (Format::Dict, Payload::Struct(bytes)) => Ok(Payload::Struct(bytes)),
        (Format::Dict, Payload::Any(bytes)) => Ok(match struct_pb::struct_within(&bytes) {
            Some(range) => Payload::Struct(bytes.slice(range)),
            None => Payload::Any(bytes),
        }),
        (Format::Dict, other) => match decode(other)? {
            Value::Dict(dict) => struct_pb::encode_dict(&dict).map(Payload::Struct),
            value => struct_pb::encode_value(&value).map(Payload::Any),
        },
        (Format::Json, Payload::Document(bytes, Format::Json)) => {
            Ok(Payload::Document(utf8(bytes)?, Format::Json))
        }
        (Format::Json, other) => {
            let text = json::write(&decode(other)?)?;
            Ok(Payload::Document(text.into(), Format::Json))
        }
        (Format::Csv, Payload::Document(bytes, Format::Csv)) => {
            Ok(Payload::Document(bytes, Format::Csv))
        }
        (Format::Csv, other) => {
            let text = csv::write(&decode(other)?, None, CsvOptions::default())?;
            Ok(Payload::Document(text.into(), Format::Csv))
        }
        (Format::Text, Payload::Document(bytes, Format::Text)) => {
            Ok(Payload::Document(utf8(bytes)?, Format::Text))
        }
        (Format::Text, other) => {
            let text = text::write(&decode(other)?)?;
            Ok(Payload::Document(text.into(), Format::Text))
        }
        (Format::Form, Payload::Document(bytes, Format::Form)) => {
            Ok(Payload::Document(bytes, Format::Form))
        }
        (Format::Form, other) => {
            let text = form::write(&decode(other)?)?;
            Ok(Payload::Document(text.into(), Format::Form))
        }
    }
}

/// Whether a value stays the same as a dict of the contract. Its numbers have 53 bits: others become text.
#[must_use]
pub fn is_exact_in_dict(value: &Value) -> bool {
    let encoded = struct_pb::encode_value(value);
    let decoded = encoded.and_then(|bytes| struct_pb::decode_value(&bytes));
    decoded.is_ok_and(|decoded| decoded == *value)
}

/// The format of a response: the requested one, or else that of the input. A form is answered with JSON.
#[must_use]
pub fn answer_format(requested: Option<Format>, input: &Payload) -> Format {
    requested.unwrap_or(match input {
        Payload::Document(_, Format::Form) => Format::Json,
        Payload::Document(_, format) => *format,
        Payload::Value(_) | Payload::Struct(_) | Payload::Any(_) => Format::Dict,
    })
}

fn utf8(bytes: Bytes) -> Result<Bytes> {
    text::read(&bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;

    #[test]
    fn a_dict_is_encoded_as_a_struct_from_every_form() {
        let value = Value::from(dict! { "a": 1 });
        let any = Payload::Any(struct_pb::encode_value(&value).unwrap());
        let json = Payload::Document(Bytes::from_static(b"{\"a\":1}"), Format::Json);
        for payload in [any, json, Payload::Value(value.clone())] {
            let encoded = encode(payload, Format::Dict).unwrap();
            assert!(matches!(encoded, Payload::Struct(_)), "{encoded:?}");
            assert_eq!(decode(encoded).unwrap(), value);
        }
    }

    #[test]
    fn digits_stay_numbers_in_json_and_become_text_in_a_struct() {
        let text = b"123456789012345678901234567890";
        let document = Payload::Document(Bytes::from_static(text), Format::Json);
        let Payload::Document(again, _) = encode(
            Payload::Value(decode(document.clone()).unwrap()),
            Format::Json,
        )
        .unwrap() else {
            panic!("JSON is a document");
        };
        assert_eq!(again.as_ref(), text);
        let over_struct = decode(encode(document, Format::Dict).unwrap()).unwrap();
        assert_eq!(over_struct, Value::from("123456789012345678901234567890"));
    }

    #[test]
    fn an_empty_payload_is_the_empty_dict() {
        assert_eq!(decode(Payload::empty()).unwrap(), Value::from(dict! {}));
    }
}
