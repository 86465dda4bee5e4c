//! Decodes typed requests to values, which are then checked against the declaration like any other input.

use jiff::Timestamp;

use super::message::{Field, FieldType, MessageType};
use super::method::{Body, Form};
use crate::codec::limits::MAX_KEYS;
use crate::codec::struct_pb::{self, Malformed, WireField, WireReader};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::sio::{Ignored, UnknownKeys};
use crate::model::value::{Dict, Value};

/// Decodes a message. Undeclared fields are named by their numbers, such as `#26730156`.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` with the path; `INPUT_INVALID` for undeclared fields where they are refused.
pub fn decode(body: &Body, bytes: &[u8]) -> Result<(Value, Ignored)> {
    let mut reading = Reading::default();
    let dict = reading.message(&body.message, bytes);
    let mut dict =
        dict.map_err(|violation| Error::violations(reason::VALUE_INVALID, vec![violation]))?;
    if !reading.refused.is_empty() {
        return Err(Error::violations(reason::INPUT_INVALID, reading.refused));
    }
    let mut the_one = || {
        let field = body.message.fields.first()?;
        dict.remove(&field.key)
    };
    let value = match body.form {
        Form::Dict => Value::Dict(dict),
        Form::Items => the_one().unwrap_or_else(|| Value::List(Vec::new())),
        Form::Whole => the_one().unwrap_or_else(|| Dict::new().into()),
    };
    Ok((value, reading.ignored))
}

#[derive(Default)]
struct Reading {
    ignored: Ignored,
    refused: Vec<Violation>,
    keys: usize,
}

impl Reading {
    fn message(&mut self, message: &MessageType, bytes: &[u8]) -> Result<Dict, Violation> {
        let mut slots: Vec<Option<Value>> = vec![None; message.fields.len()];
        let mut reader = WireReader::new(bytes);
        while let Some((number, content)) = reader.field()? {
            let Some((place, field)) = message.field(number) else {
                self.unknown(message.unknown, number);
                continue;
            };
            let Some(slot) = slots.get_mut(place) else {
                continue;
            };
            self.count()?;
            let read = if field.repeated {
                self.repeated(field, content, slot)
            } else {
                self.singular(field, content, slot)
            };
            read.map_err(|violation| violation.under(&field.key))?;
        }
        let fields = message.fields.iter().zip(slots);
        let present = fields.filter_map(|(field, value)| {
            let empty = || (field.repeated && field.required).then(|| Value::List(Vec::new()));
            Some((field.key.as_str(), value.or_else(empty)?))
        });
        Ok(present.collect())
    }

    fn singular(
        &mut self,
        field: &Field,
        content: WireField<'_>,
        slot: &mut Option<Value>,
    ) -> Result<(), Violation> {
        // Protobuf would merge the two messages silently.
        if slot.is_some() && field.kind.is_message() {
            return Err(Violation::new("", "MALFORMED", "occurs twice"));
        }
        *slot = Some(self.value(&field.kind, content)?);
        Ok(())
    }

    fn repeated(
        &mut self,
        field: &Field,
        content: WireField<'_>,
        slot: &mut Option<Value>,
    ) -> Result<(), Violation> {
        let Value::List(items) = slot.get_or_insert_with(|| Value::List(Vec::new())) else {
            return Ok(());
        };
        match content {
            WireField::Bytes(packed) if field.kind.is_packed() => {
                let mut reader = WireReader::new(packed);
                while !reader.is_empty() {
                    self.count()?;
                    let content = match field.kind {
                        FieldType::Float => WireField::Fixed64(reader.fixed64()?),
                        _ => WireField::Varint(reader.varint()?),
                    };
                    items.push(self.value(&field.kind, content)?);
                }
            }
            content => {
                let index = items.len().to_string();
                items.push(
                    self.value(&field.kind, content)
                        .map_err(|v| v.under(&index))?,
                );
            }
        }
        Ok(())
    }

    fn value(&mut self, kind: &FieldType, content: WireField<'_>) -> Result<Value, Violation> {
        match (kind, content) {
            #[expect(
                clippy::cast_possible_wrap,
                reason = "int64 is encoded in two's complement"
            )]
            (FieldType::Int, WireField::Varint(n)) => Ok(Value::Int(n as i64)),
            (FieldType::Bool, WireField::Varint(n)) => Ok(Value::Bool(n != 0)),
            // NaN and infinities are rejected by the check of the declaration.
            (FieldType::Float, WireField::Fixed64(bits)) => Ok(Value::Float(f64::from_bits(bits))),
            (FieldType::Text, WireField::Bytes(text)) => match std::str::from_utf8(text) {
                Ok(text) => Ok(Value::from(text)),
                Err(_) => Err(Violation::new("", "NOT_UTF8", "is not UTF-8")),
            },
            (FieldType::Bytes, WireField::Bytes(bytes)) => Ok(Value::Bytes(bytes.to_vec().into())),
            (FieldType::Instant, WireField::Bytes(bytes)) => instant(bytes),
            (FieldType::Struct, WireField::Bytes(bytes)) => {
                struct_pb::walk_dict(bytes).map(Value::Dict)
            }
            (FieldType::Value, WireField::Bytes(bytes)) => struct_pb::walk_any(bytes),
            (FieldType::Message(message), WireField::Bytes(bytes)) => {
                self.message(message, bytes).map(Value::Dict)
            }
            _ => Err(Malformed("is not of the wire type of its field").into()),
        }
    }

    fn unknown(&mut self, policy: UnknownKeys, number: u64) {
        let name = format!("#{number}");
        if policy == UnknownKeys::Refuse {
            let message = "is not a field of this message: generate the client again";
            self.refused
                .push(Violation::new(format!("/{name}"), "UNKNOWN_KEY", message));
        } else {
            self.ignored.add(name);
        }
    }

    fn count(&mut self) -> Result<(), Violation> {
        self.keys += 1;
        if self.keys > MAX_KEYS {
            let message = format!("has more than {MAX_KEYS} fields and items");
            return Err(Violation::new("", "TOO_MANY_KEYS", message));
        }
        Ok(())
    }
}

/// `google.protobuf.Timestamp`.
fn instant(bytes: &[u8]) -> Result<Value, Violation> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = WireReader::new(bytes);
    while let Some((number, content)) = reader.field()? {
        #[expect(
            clippy::cast_possible_wrap,
            reason = "int64 is encoded in two's complement"
        )]
        match (number, content) {
            (1, WireField::Varint(n)) => seconds = n as i64,
            (2, WireField::Varint(n)) => nanos = n as i64,
            _ => {}
        }
    }
    let nanos = i32::try_from(nanos).ok().filter(|nanos| *nanos >= 0);
    nanos
        .and_then(|nanos| Timestamp::new(seconds, nanos).ok())
        .map(|instant| Value::Text(instant.to_string()))
        .ok_or_else(|| {
            Violation::new(
                "",
                "OUT_OF_RANGE",
                "is not an instant in the years 1 to 9999",
            )
        })
}
