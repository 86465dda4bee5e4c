//! Scalars: numbers, texts, bytes and enums of JSON as fields of a message.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost_reflect::{EnumDescriptor, Kind};

use crate::codec::struct_pb::WireWriter;
use crate::model::error::Violation;
use crate::model::id::truncated;
use crate::model::sio::closest_name;
use crate::model::value::Value;

/// The wire types.
pub(super) const VARINT: u32 = 0;
pub(super) const FIXED64: u32 = 1;
pub(super) const BYTES: u32 = 2;
pub(super) const FIXED32: u32 = 5;

/// The enum of null in a `Value`.
pub(super) const NULL_VALUE: &str = "google.protobuf.NullValue";

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Base64 in either alphabet, with or without padding.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let alphabet = match text.contains(['-', '_']) {
        true => &URL_SAFE,
        false => &STANDARD,
    };
    GeneralPurpose::new(alphabet, LENIENT).decode(text).ok()
}

/// Writes a scalar with the tag of its field.
pub(super) fn write_scalar(
    out: &mut WireWriter,
    kind: &Kind,
    number: u32,
    value: &Value,
) -> Result<(), Violation> {
    let wire_type = match kind {
        Kind::Double => {
            out.put(&double(value)?.to_le_bytes());
            FIXED64
        }
        Kind::Float => {
            out.put(&float(value)?.to_le_bytes());
            FIXED32
        }
        Kind::Bool => {
            let Value::Bool(flag) = value else {
                return Err(wrong_type(value, "true or false"));
            };
            out.varint(u64::from(*flag));
            VARINT
        }
        Kind::String => {
            let text = value.as_text().ok_or_else(|| wrong_type(value, "text"))?;
            write_bytes(out, text.as_bytes());
            BYTES
        }
        Kind::Bytes => {
            let text = value
                .as_text()
                .ok_or_else(|| wrong_type(value, "base64 text"))?;
            let bytes = from_base64(text)
                .ok_or_else(|| Violation::new("", "MALFORMED", "is not base64 text"))?;
            write_bytes(out, &bytes);
            BYTES
        }
        Kind::Enum(declared) => {
            out.varint(i64::from(enum_number(declared, value)?).cast_unsigned());
            VARINT
        }
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Sint32 | Kind::Sint64 => {
            out.varint(integer(kind, value)?);
            VARINT
        }
        Kind::Fixed64 | Kind::Sfixed64 => {
            out.put(&integer(kind, value)?.to_le_bytes());
            FIXED64
        }
        Kind::Fixed32 | Kind::Sfixed32 => {
            let [a, b, c, d, ..] = integer(kind, value)?.to_le_bytes();
            out.put(&[a, b, c, d]);
            FIXED32
        }
        // The reader writes messages.
        Kind::Message(_) => return Err(wrong_type(value, "a dict")),
    };
    write_tag(out, number, wire_type);
    Ok(())
}

pub(super) fn write_tag(out: &mut WireWriter, number: u32, wire_type: u32) {
    out.varint(u64::from(number << 3 | wire_type));
}

/// Writes bytes and their length.
pub(super) fn write_bytes(out: &mut WireWriter, bytes: &[u8]) {
    out.put(bytes);
    out.varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
}

/// The bits of an integer in its encoding.
fn integer(kind: &Kind, value: &Value) -> Result<u64, Violation> {
    let (least, most) = match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => (i128::from(i32::MIN), i128::from(i32::MAX)),
        Kind::Uint32 | Kind::Fixed32 => (0, i128::from(u32::MAX)),
        Kind::Uint64 | Kind::Fixed64 => (0, i128::from(u64::MAX)),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    let n = whole_number(value)?;
    if !(least..=most).contains(&n) {
        let message = format!("is not between {least} and {most}");
        return Err(Violation::new("", "OUT_OF_RANGE", message));
    }
    let bits = match i64::try_from(n) {
        Ok(n) if matches!(kind, Kind::Sint32 | Kind::Sint64) => {
            ((n << 1) ^ (n >> 63)).cast_unsigned()
        }
        Ok(n) => n.cast_unsigned(),
        Err(_) => u64::try_from(n).unwrap_or_default(),
    };
    Ok(bits)
}

fn whole_number(value: &Value) -> Result<i128, Violation> {
    let n = match value {
        Value::Int(n) => Some(i128::from(*n)),
        // Beyond 2^64 every kind refuses it.
        #[expect(clippy::cast_possible_truncation, reason = "whole, and saturating")]
        Value::Float(x) if x.fract() == 0.0 => Some(*x as i128),
        Value::Digits(digits) => digits.as_str().parse().ok(),
        Value::Text(text) => match text.parse() {
            Ok(n) => Some(n),
            Err(_) => {
                return Err(Violation::new(
                    "",
                    "MALFORMED",
                    "is not the text of a whole number",
                ));
            }
        },
        Value::Float(_) => None,
        other => return Err(wrong_type(other, "a whole number")),
    };
    n.ok_or_else(|| Violation::new("", "OUT_OF_RANGE", "is not a whole number of 64 bits"))
}

fn double(value: &Value) -> Result<f64, Violation> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "the nearest double, as in JSON")]
        Value::Int(n) => Ok(*n as f64),
        Value::Float(x) => Ok(*x),
        Value::Digits(digits) => finite(digits.as_str()),
        Value::Text(text) => match text.as_str() {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            text => match Value::number(text) {
                Some(_) => finite(text),
                None => Err(Violation::new(
                    "",
                    "MALFORMED",
                    "is not the text of a number",
                )),
            },
        },
        other => Err(wrong_type(other, "a number")),
    }
}

fn finite(text: &str) -> Result<f64, Violation> {
    let x = text.parse::<f64>().ok().filter(|x| x.is_finite());
    x.ok_or_else(|| Violation::new("", "OUT_OF_RANGE", "is too large for a double"))
}

fn float(value: &Value) -> Result<f32, Violation> {
    let x = double(value)?;
    #[expect(clippy::cast_possible_truncation, reason = "checked below")]
    let narrow = x as f32;
    match narrow.is_infinite() && x.is_finite() {
        false => Ok(narrow),
        true => Err(Violation::new(
            "",
            "OUT_OF_RANGE",
            "is too large for a float",
        )),
    }
}

fn enum_number(declared: &EnumDescriptor, value: &Value) -> Result<i32, Violation> {
    match value {
        Value::Null if declared.full_name() == NULL_VALUE => Ok(0),
        Value::Text(name) => match declared.get_value_by_name(name) {
            Some(known) => Ok(known.number()),
            None => Err(unknown_name(declared, name)),
        },
        Value::Int(n) => i32::try_from(*n)
            .map_err(|_| Violation::new("", "OUT_OF_RANGE", "is not a number of 32 bits")),
        other => Err(wrong_type(other, "the name of a value")),
    }
}

fn unknown_name(declared: &EnumDescriptor, name: &str) -> Violation {
    const MAX_LISTED: usize = 12;
    let known: Vec<_> = declared.values().collect();
    let names = known.iter().map(prost_reflect::EnumValueDescriptor::name);
    let advice = match closest_name(name, &names.clone().collect()) {
        Some(closest) => format!("did you mean `{closest}`?"),
        None => {
            let listed: Vec<_> = names.take(MAX_LISTED).collect();
            format!("the values are `{}`", listed.join("`, `"))
        }
    };
    let message = format!("`{}` is not a value of it; {advice}", truncated(name));
    Violation::new("", "UNKNOWN_VALUE", message)
}

/// The violation of a value of another type. It does not show the value, which may be a secret.
pub(super) fn wrong_type(value: &Value, expected: &str) -> Violation {
    let message = format!("is {}: expected {expected}", value.kind_name());
    Violation::new("", "WRONG_TYPE", message)
}
