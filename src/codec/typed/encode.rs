//! Encodes responses that match their declaration as typed messages.

use jiff::Timestamp;

use super::message::{Field, FieldType, MessageType};
use super::method::{Body, Form};
use crate::codec::struct_pb::WireWriter;
use crate::model::error::Violation;
use crate::model::value::{Dict, Value};

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH: u8 = 2;

/// Encodes a message.
///
/// # Errors
///
/// A violation for a value that the message cannot represent, such as an integer outside of `int64`.
pub fn encode(body: &Body, value: &Value) -> Result<bytes::Bytes, Violation> {
    let mut writer = WireWriter::new();
    let the_one = body.message.fields.first();
    match (body.form, value, the_one) {
        (Form::Dict, Value::Dict(dict), _) => message(&mut writer, &body.message, dict)?,
        // An optional value that is absent.
        (Form::Items | Form::Whole, Value::Null, Some(field))
            if field.repeated || !matches!(field.kind, FieldType::Value) => {}
        (Form::Items | Form::Whole, value, Some(field)) => {
            // The value is the whole message, so that its path has no field.
            let named = self::field(&mut writer, field, value);
            named.map_err(|mut violation| {
                violation.path = violation.path.replacen(&format!("/{}", field.key), "", 1);
                violation
            })?;
        }
        (_, other, _) => return Err(is_not(other, "a dict")),
    }
    Ok(writer.finish())
}

fn message(writer: &mut WireWriter, message: &MessageType, dict: &Dict) -> Result<(), Violation> {
    // The writer works from the end to the beginning.
    for field in message.fields.iter().rev() {
        match dict.get(&field.key) {
            None => {}
            Some(Value::Null) if !matches!(field.kind, FieldType::Value) => {}
            Some(value) => self::field(writer, field, value)?,
        }
    }
    Ok(())
}

fn field(writer: &mut WireWriter, field: &Field, value: &Value) -> Result<(), Violation> {
    let written = if field.repeated {
        repeated(writer, field, value)
    } else {
        singular(writer, field.number, &field.kind, value)
    };
    written.map_err(|violation| violation.under(&field.key))
}

fn repeated(writer: &mut WireWriter, field: &Field, value: &Value) -> Result<(), Violation> {
    let texts: Vec<Value>;
    let items = match value {
        Value::List(items) => items.as_slice(),
        // Comma-separated texts.
        Value::Text(text) if matches!(field.kind, FieldType::Text) => {
            let parts = text.split(',').filter(|_| !text.is_empty());
            texts = parts.map(Value::from).collect();
            &texts
        }
        other => return Err(is_not(other, "a list")),
    };
    let before = writer.len();
    for (index, item) in items.iter().enumerate().rev() {
        let written = if field.kind.is_packed() {
            scalar(writer, &field.kind, item).map(drop)
        } else {
            singular(writer, field.number, &field.kind, item)
        };
        written.map_err(|violation| violation.under(&index.to_string()))?;
    }
    if field.kind.is_packed() && !items.is_empty() {
        writer.close(before, field.number);
    }
    Ok(())
}

fn singular(
    writer: &mut WireWriter,
    number: u32,
    kind: &FieldType,
    value: &Value,
) -> Result<(), Violation> {
    if kind.is_packed() {
        let wire = scalar(writer, kind, value)?;
        writer.tag(number, wire);
        return Ok(());
    }
    let before = writer.len();
    match (kind, value) {
        (FieldType::Text, Value::Text(text)) => writer.put(text.as_bytes()),
        (FieldType::Bytes, Value::Bytes(bytes)) => writer.put(bytes),
        (FieldType::Instant, Value::Text(text)) => instant(writer, text)?,
        (FieldType::Struct, Value::Dict(dict)) => writer.dict(dict, 1)?,
        (FieldType::Value, value) => writer.value(value, 0)?,
        (FieldType::Message(message), Value::Dict(dict)) => self::message(writer, message, dict)?,
        (kind, other) => return Err(is_not(other, kind.name())),
    }
    writer.close(before, number);
    Ok(())
}

/// Writes a number or a boolean without its tag and returns its wire type.
fn scalar(writer: &mut WireWriter, kind: &FieldType, value: &Value) -> Result<u8, Violation> {
    match (kind, value) {
        #[expect(
            clippy::cast_sign_loss,
            reason = "int64 is encoded in two's complement"
        )]
        (FieldType::Int, Value::Int(n)) => writer.varint(*n as u64),
        (FieldType::Int, Value::Digits(digits)) => {
            let message =
                format!("{digits} is outside of int64: invoke the service by its name instead");
            return Err(Violation::new("", "OUT_OF_RANGE", message));
        }
        (FieldType::Bool, Value::Bool(flag)) => writer.varint(u64::from(*flag)),
        (FieldType::Float, Value::Float(x)) => {
            writer.put(&x.to_bits().to_le_bytes());
            return Ok(FIXED64);
        }
        (kind, other) => return Err(is_not(other, kind.name())),
    }
    Ok(VARINT)
}

/// `google.protobuf.Timestamp`.
fn instant(writer: &mut WireWriter, text: &str) -> Result<(), Violation> {
    let instant: Timestamp = text
        .parse()
        .map_err(|_| is_not(&Value::from(text), "an instant"))?;
    let mut seconds = instant.as_second();
    let mut nanos = i64::from(instant.subsec_nanosecond());
    if nanos < 0 {
        // Nanoseconds count forwards, also before 1970.
        seconds -= 1;
        nanos += 1_000_000_000;
    }
    for (number, n) in [(2, nanos), (1, seconds)] {
        if n != 0 {
            #[expect(
                clippy::cast_sign_loss,
                reason = "int64 is encoded in two's complement"
            )]
            writer.varint(n as u64);
            writer.tag(number, VARINT);
        }
    }
    Ok(())
}

fn is_not(value: &Value, expected: &str) -> Violation {
    Violation::new(
        "",
        "WRONG_TYPE",
        format!("{} is not {expected}", value.kind_name()),
    )
}

impl WireWriter {
    /// The tag of a field.
    fn tag(&mut self, number: u32, wire: u8) {
        self.varint(u64::from(number) << 3 | u64::from(wire));
    }

    /// Writes the length of everything since `before`, and a tag in front of it.
    fn close(&mut self, before: usize, number: u32) {
        let len = self.len() - before;
        self.varint(u64::try_from(len).unwrap_or_default());
        self.tag(number, LENGTH);
    }
}
