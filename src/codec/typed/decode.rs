//! Decodes typed requests to values, which are then checked against the declaration like any other input.

use jiff::Timestamp;

use super::message::{Field, FieldType, MessageType};
use super::method::{Body, Form};
use crate::codec::limits::MAX_KEYS;
use crate::codec::struct_pb::{self, Malformed, WireField, WireReader};
use crate::model::error::{Result, TOO_MANY_KEYS, Violation, Violations, reason};
use crate::model::sio::{Ignored, UnknownKeys};
use crate::model::value::{Dict, Value};

/// Decodes a message. Undeclared fields are named by their numbers, such as `#26730156`.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` with all malformed fields; `INPUT_INVALID` for undeclared fields where they are
/// refused.
pub fn decode(body: &Body, bytes: &[u8]) -> Result<(Value, Ignored)> {
    let mut reading = Reading::default();
    let mut dict = match reading.message(&body.message, bytes) {
        Ok(dict) => dict,
        Err(violation) => {
            reading.malformed.add(violation);
            Dict::new()
        }
    };
    reading.malformed.reject(reason::VALUE_INVALID)?;
    reading.refused.reject(reason::INPUT_INVALID)?;
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
    /// With paths that begin in the message that is being read.
    malformed: Violations,
    refused: Violations,
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
            let first = self.malformed.kept.len();
            let read = if field.repeated {
                self.repeated(field, content, slot)
            } else {
                self.singular(field, content, slot)
            };
            if let Err(violation) = read {
                self.malformed.add(violation);
            }
            self.malformed.put_under(&field.key, first);
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
                let first = self.malformed.kept.len();
                let item = self
                    .value(&field.kind, content)
                    .unwrap_or_else(|violation| {
                        self.malformed.add(violation);
                        Value::Null
                    });
                if self.malformed.kept.len() > first {
                    self.malformed.put_under(&items.len().to_string(), first);
                }
                // A malformed item as well: those after it keep their index.
                items.push(item);
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
                Ok(self.part(struct_pb::walk_dict(bytes).map(Value::Dict)))
            }
            (FieldType::Value, WireField::Bytes(bytes)) => {
                Ok(self.part(struct_pb::walk_any(bytes)))
            }
            (FieldType::Message(message), WireField::Bytes(bytes)) => {
                self.message(message, bytes).map(Value::Dict)
            }
            _ => Err(Malformed("is not of the wire type of its field").into()),
        }
    }

    /// A part of the message, or what is malformed in it.
    fn part(&mut self, read: Result<Value, Violations>) -> Value {
        read.unwrap_or_else(|malformed| {
            self.malformed.extend(malformed);
            Value::Null
        })
    }

    fn unknown(&mut self, policy: UnknownKeys, number: u64) {
        let name = format!("#{number}");
        if policy == UnknownKeys::Refuse {
            let message = "is not a field of this message: generate the client again";
            self.refused
                .add(Violation::new(format!("/{name}"), "UNKNOWN_KEY", message));
        } else {
            self.ignored.add(name);
        }
    }

    fn count(&mut self) -> Result<(), Violation> {
        self.keys += 1;
        if self.keys > MAX_KEYS {
            let message = format!("has more than {MAX_KEYS} fields and items");
            return Err(Violation::new("", TOO_MANY_KEYS, message));
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
