//! The bytes of a message to JSON.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{Kind, MessageDescriptor};

use super::any::{CONTENT, TYPE, has_own_form, type_name};
use super::scalar::NULL_VALUE;
use super::well_known::{self, duration_text, timestamp_text};
use super::{FindType, MAX_MESSAGE_DEPTH};
use crate::codec::json::{compact, quoted};
use crate::codec::struct_pb::{self, Malformed, WireField, WireReader};
use crate::model::error::{Error, Result, reason};
use crate::model::value::Value;

type Written = Result<(), Malformed>;

/// Writes an encoded message as JSON. Fields that its type does not have are left out.
///
/// # Errors
///
/// `INTERNAL` / `TRANSPORT` where the bytes are no such message.
pub fn write(message: &MessageDescriptor, bytes: &[u8], find: FindType<'_>) -> Result<String> {
    let mut writer = Writer {
        out: String::new(),
        depth: 0,
        find,
    };
    let written = writer.message(message, bytes);
    written.map_err(|Malformed(what)| {
        let message = format!(
            "`{}` cannot be written as JSON: it {what}",
            message.full_name()
        );
        Error::internal(reason::TRANSPORT, message)
    })?;
    Ok(writer.out)
}

struct Writer<'a> {
    out: String,
    depth: usize,
    find: FindType<'a>,
}

impl Writer<'_> {
    fn message(&mut self, message: &MessageDescriptor, bytes: &[u8]) -> Written {
        if self.depth == MAX_MESSAGE_DEPTH {
            return Err(Malformed("is nested too deep"));
        }
        self.depth += 1;
        let written = self.form_of(message, bytes);
        self.depth -= 1;
        written
    }

    fn form_of(&mut self, message: &MessageDescriptor, bytes: &[u8]) -> Written {
        match message.full_name() {
            well_known::TIMESTAMP => quoted(&mut self.out, &timestamp_text(bytes)?),
            well_known::DURATION => quoted(&mut self.out, &duration_text(bytes)?),
            well_known::STRUCT => {
                let dict = struct_pb::decode_dict(bytes);
                let dict = dict.map_err(|_| Malformed("has a malformed dict"))?;
                return self.value(&dict.into());
            }
            well_known::VALUE => {
                let value = struct_pb::decode_value(bytes);
                return self.value(&value.map_err(|_| Malformed("has a malformed value"))?);
            }
            well_known::LIST_VALUE => return self.list_value(bytes),
            well_known::ANY => return self.any(bytes),
            _ => {
                self.out.push('{');
                self.fields(message, bytes, true)?;
                self.out.push('}');
            }
        }
        Ok(())
    }

    fn value(&mut self, value: &Value) -> Written {
        let written = compact(&mut self.out, value);
        written.map_err(|_| Malformed("has a number that is not finite"))
    }

    fn list_value(&mut self, bytes: &[u8]) -> Written {
        let mut reader = WireReader::new(bytes);
        let mut separator = '[';
        while let Some((_, content)) = reader.field()? {
            self.out.push(std::mem::replace(&mut separator, ','));
            let value = struct_pb::decode_value(bytes_of(content)?);
            self.value(&value.map_err(|_| Malformed("has a malformed value"))?)?;
        }
        self.out.push_str(if separator == '[' { "[]" } else { "]" });
        Ok(())
    }

    /// Writes the fields of a message, in the order of their declaration.
    fn fields(&mut self, message: &MessageDescriptor, bytes: &[u8], is_first: bool) -> Written {
        let mut contents = Vec::new();
        let mut reader = WireReader::new(bytes);
        while let Some(content) = reader.field()? {
            contents.push(content);
        }
        // What is repeated keeps its order.
        contents.sort_by_key(|(number, _)| *number);
        let mut is_first = is_first;
        for declared in &message.descriptor_proto().field {
            let number = declared.number().unsigned_abs();
            let Some(field) = message.get_field(number) else {
                continue;
            };
            let start = contents.partition_point(|(it, _)| *it < u64::from(number));
            let own = contents.get(start..).unwrap_or_default();
            let length = own.partition_point(|(it, _)| *it == u64::from(number));
            let own = own.get(..length).unwrap_or_default();
            // Of a singular field, the last one holds.
            let Some((_, last)) = own.last() else {
                continue;
            };
            if !std::mem::replace(&mut is_first, false) {
                self.out.push(',');
            }
            quoted(&mut self.out, field.json_name());
            self.out.push(':');
            let own = own.iter().map(|(_, content)| *content);
            match field.kind() {
                Kind::Message(entry) if field.is_map() => self.map(&entry, own)?,
                kind if field.is_list() => self.list(&kind, own)?,
                kind => self.single(&kind, *last)?,
            }
        }
        Ok(())
    }

    fn list<'b>(&mut self, kind: &Kind, contents: impl Iterator<Item = WireField<'b>>) -> Written {
        self.out.push('[');
        let start = self.out.len();
        for content in contents {
            match content {
                WireField::Bytes(packed) if can_be_packed(kind) => {
                    let mut reader = WireReader::new(packed);
                    while !reader.is_empty() {
                        let item = packed_item(&mut reader, kind)?;
                        self.separate(start);
                        self.single(kind, item)?;
                    }
                }
                content => {
                    self.separate(start);
                    self.single(kind, content)?;
                }
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn separate(&mut self, start: usize) {
        if self.out.len() > start {
            self.out.push(',');
        }
    }

    fn map<'b>(
        &mut self,
        entry: &MessageDescriptor,
        contents: impl Iterator<Item = WireField<'b>>,
    ) -> Written {
        let (key_field, value_field) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let (key_kind, value_kind) = (key_field.kind(), value_field.kind());
        self.out.push('{');
        let start = self.out.len();
        for content in contents {
            let mut reader = WireReader::new(bytes_of(content)?);
            let (mut key, mut value) = (absent(&key_kind), absent(&value_kind));
            while let Some((number, content)) = reader.field()? {
                match number {
                    1 => key = content,
                    2 => value = content,
                    _ => {}
                }
            }
            self.separate(start);
            self.map_key(&key_kind, key)?;
            self.out.push(':');
            self.single(&value_kind, value)?;
        }
        self.out.push('}');
        Ok(())
    }

    /// A key, which is text whatever its type is.
    fn map_key(&mut self, kind: &Kind, content: WireField<'_>) -> Written {
        let start = self.out.len();
        self.single(kind, content)?;
        let is_text = self
            .out
            .get(start..)
            .is_some_and(|key| key.starts_with('"'));
        if !is_text {
            self.out.insert(start, '"');
            self.out.push('"');
        }
        Ok(())
    }

    fn single(&mut self, kind: &Kind, content: WireField<'_>) -> Written {
        let out = &mut self.out;
        match (kind, content) {
            (Kind::Message(message), WireField::Bytes(bytes)) => {
                return self.message(message, bytes);
            }
            (Kind::String, WireField::Bytes(text)) => {
                let text =
                    str::from_utf8(text).map_err(|_| Malformed("has a text that is not UTF-8"))?;
                quoted(out, text);
            }
            (Kind::Bytes, WireField::Bytes(bytes)) => quoted(out, &STANDARD.encode(bytes)),
            (Kind::Bool, WireField::Varint(n)) => {
                out.push_str(if n == 0 { "false" } else { "true" })
            }
            (Kind::Double, WireField::Fixed64(bits)) => number(out, f64::from_bits(bits)),
            (Kind::Float, WireField::Fixed32(bits)) => single_number(out, f32::from_bits(bits)),
            (Kind::Enum(declared), WireField::Varint(n)) => {
                let n = low_32(n).cast_signed();
                match declared.get_value(n) {
                    Some(_) if declared.full_name() == NULL_VALUE => out.push_str("null"),
                    Some(known) => quoted(out, known.name()),
                    None => push(out, n),
                }
            }
            (Kind::Int32, WireField::Varint(n)) => push(out, low_32(n).cast_signed()),
            (Kind::Uint32, WireField::Varint(n)) => push(out, low_32(n)),
            (Kind::Sint32 | Kind::Sint64, WireField::Varint(n)) => {
                let n = (n >> 1).cast_signed() ^ -(n & 1).cast_signed();
                match kind {
                    Kind::Sint32 => push(out, n),
                    _ => push_quoted(out, n),
                }
            }
            (Kind::Sfixed32, WireField::Fixed32(n)) => push(out, n.cast_signed()),
            (Kind::Fixed32, WireField::Fixed32(n)) => push(out, n),
            // JSON numbers of many readers are doubles.
            (Kind::Int64, WireField::Varint(n)) | (Kind::Sfixed64, WireField::Fixed64(n)) => {
                push_quoted(out, n.cast_signed());
            }
            (Kind::Uint64, WireField::Varint(n)) | (Kind::Fixed64, WireField::Fixed64(n)) => {
                push_quoted(out, n);
            }
            _ => return Err(Malformed("has a field of another wire type")),
        }
        Ok(())
    }

    /// An `Any` as the message in it, or with its bytes where it cannot be read.
    fn any(&mut self, bytes: &[u8]) -> Written {
        let (mut url, mut content): (&[u8], &[u8]) = (&[], &[]);
        let mut reader = WireReader::new(bytes);
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => url = bytes_of(field)?,
                2 => content = bytes_of(field)?,
                _ => {}
            }
        }
        let url = str::from_utf8(url).map_err(|_| Malformed("has a type that is not UTF-8"))?;
        if url.is_empty() && content.is_empty() {
            self.out.push_str("{}");
            return Ok(());
        }
        self.out.push('{');
        quoted(&mut self.out, TYPE);
        self.out.push(':');
        quoted(&mut self.out, url);
        let (start, depth) = (self.out.len(), self.depth);
        let message = type_name(url).and_then(self.find);
        let written = message.map(|message| match has_own_form(message.full_name()) {
            false => self.fields(&message, content, false),
            true => {
                let _ = write!(self.out, ",\"{CONTENT}\":");
                self.message(&message, content)
            }
        });
        if !matches!(written, Some(Ok(()))) {
            self.out.truncate(start);
            self.depth = depth;
            let _ = write!(self.out, ",\"{CONTENT}\":");
            quoted(&mut self.out, &STANDARD.encode(content));
        }
        self.out.push('}');
        Ok(())
    }
}

fn bytes_of(content: WireField<'_>) -> Result<&[u8], Malformed> {
    match content {
        WireField::Bytes(bytes) => Ok(bytes),
        _ => Err(Malformed("has a field of another wire type")),
    }
}

fn can_be_packed(kind: &Kind) -> bool {
    !matches!(kind, Kind::Message(_) | Kind::String | Kind::Bytes)
}

fn packed_item<'a>(reader: &mut WireReader<'a>, kind: &Kind) -> Result<WireField<'a>, Malformed> {
    Ok(match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireField::Fixed64(reader.fixed64()?),
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireField::Fixed32(reader.fixed32()?),
        _ => WireField::Varint(reader.varint()?),
    })
}

/// The default, which the entry of a map leaves out.
fn absent(kind: &Kind) -> WireField<'static> {
    match kind {
        Kind::Message(_) | Kind::String | Kind::Bytes => WireField::Bytes(&[]),
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireField::Fixed64(0),
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireField::Fixed32(0),
        _ => WireField::Varint(0),
    }
}

fn low_32(n: u64) -> u32 {
    u32::try_from(n & u64::from(u32::MAX)).unwrap_or_default()
}

fn push(out: &mut String, n: impl std::fmt::Display) {
    let _ = write!(out, "{n}");
}

fn push_quoted(out: &mut String, n: impl std::fmt::Display) {
    let _ = write!(out, "\"{n}\"");
}

fn number(out: &mut String, x: f64) {
    if x.is_finite() {
        // The shortest text that parses to the same double.
        let _ = write!(out, "{x:?}");
    } else {
        out.push_str(not_finite(x));
    }
}

fn single_number(out: &mut String, x: f32) {
    if x.is_finite() {
        let _ = write!(out, "{x:?}");
    } else {
        out.push_str(not_finite(f64::from(x)));
    }
}

fn not_finite(x: f64) -> &'static str {
    match x {
        f64::INFINITY => "\"Infinity\"",
        f64::NEG_INFINITY => "\"-Infinity\"",
        _ => "\"NaN\"",
    }
}
