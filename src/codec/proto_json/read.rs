//! JSON to the bytes of a message. All violations are found, each with its path.

use bytes::Bytes;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::any::AnyParts;
use super::scalar::{BYTES, NULL_VALUE, write_bytes, write_scalar, write_tag, wrong_type};
use super::{FindType, MAX_JSON_DEPTH, well_known};
use crate::codec::json;
use crate::codec::struct_pb::WireWriter;
use crate::model::error::{Result, Violation, Violations};
use crate::model::sio::{Ignored, closest_name};
use crate::model::value::{Dict, Value};

/// What happens to keys that are no fields of their message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undeclared {
    /// They are violations.
    Refuse,
    /// They are dropped, and listed.
    Drop,
}

/// A message that was read from JSON.
#[derive(Debug)]
pub struct Json {
    /// The encoded message.
    pub message: Bytes,
    /// The keys that were dropped.
    pub ignored: Ignored,
}

/// Reads a JSON text as a message. An empty text is the empty message.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED` with line and column where the text is not JSON; `reason` with all
/// violations where it is no such message.
pub fn read(
    text: &[u8],
    message: &MessageDescriptor,
    undeclared: Undeclared,
    find: FindType<'_>,
    reason: &'static str,
) -> Result<Json> {
    let value = match text.trim_ascii() {
        [] => Value::from(Dict::new()),
        text => json::read_nested(text, MAX_JSON_DEPTH)?,
    };
    let mut reader = Reader {
        out: WireWriter::new(),
        violations: Violations::default(),
        ignored: Ignored::default(),
        undeclared,
        find,
    };
    reader.message(message, &value);
    let Reader {
        out,
        mut violations,
        ignored,
        ..
    } = reader;
    // Messages are written from the end to the beginning.
    violations.kept.reverse();
    violations.ignored = (!ignored.is_empty()).then(|| ignored.to_text());
    violations.reject(reason)?;
    Ok(Json {
        message: out.finish(),
        ignored,
    })
}

struct Reader<'a> {
    out: WireWriter,
    /// With paths that begin in the message that is being read.
    violations: Violations,
    ignored: Ignored,
    undeclared: Undeclared,
    find: FindType<'a>,
}

impl Reader<'_> {
    fn message(&mut self, message: &MessageDescriptor, value: &Value) {
        let written = match (message.full_name(), value) {
            (well_known::TIMESTAMP, value) => well_known::write_timestamp(&mut self.out, value),
            (well_known::DURATION, value) => well_known::write_duration(&mut self.out, value),
            (well_known::VALUE, value) => self.out.value(value, 0),
            (well_known::STRUCT, Value::Dict(dict)) => self.out.dict(dict, 1),
            (well_known::LIST_VALUE, Value::List(items)) => self.out.list(items, 1),
            (well_known::LIST_VALUE, other) => Err(wrong_type(other, "a list")),
            (well_known::ANY, Value::Dict(dict)) => self.any(dict),
            (_, Value::Dict(dict)) => {
                self.fields(message, dict.iter());
                Ok(())
            }
            (_, other) => Err(wrong_type(other, "a dict")),
        };
        self.report(written);
    }

    fn report(&mut self, written: Result<(), Violation>) {
        if let Err(violation) = written {
            self.violations.add(violation);
        }
    }

    /// Writes the fields of a message.
    fn fields<'v>(
        &mut self,
        message: &MessageDescriptor,
        keys: impl DoubleEndedIterator<Item = (&'v str, &'v Value)>,
    ) {
        let mut seen: Vec<(FieldDescriptor, &str)> = Vec::new();
        for (key, value) in keys.rev() {
            let by_name = || message.get_field_by_name(key);
            let Some(field) = message.get_field_by_json_name(key).or_else(by_name) else {
                self.unknown(message, key);
                continue;
            };
            let is_list = field.is_list() || field.is_map();
            if value.is_null() && (is_list || !accepts_null(&field.kind())) {
                continue;
            }
            let first = self.violations.kept.len();
            match seen.iter().find(|(other, _)| excludes(&field, other)) {
                Some((_, other)) => {
                    let message = format!("cannot be given together with `{other}`");
                    self.violations
                        .add(Violation::new("", "NOT_ALLOWED", message));
                }
                None => self.field(&field, value),
            }
            self.violations.put_under(key, first);
            seen.push((field, key));
        }
    }

    fn unknown(&mut self, message: &MessageDescriptor, key: &str) {
        if self.undeclared == Undeclared::Drop {
            self.ignored.add(key.to_owned());
            return;
        }
        if self.violations.is_full() {
            self.violations.omitted += 1;
            return;
        }
        let fields: Vec<_> = message.fields().collect();
        let names = fields.iter().map(FieldDescriptor::json_name);
        let advice = match closest_name(key, &names.collect()) {
            Some(name) => format!("; did you mean `{name}`?"),
            None => String::new(),
        };
        let first = self.violations.kept.len();
        let message = format!("is not a field of `{}`{advice}", message.full_name());
        self.violations
            .add(Violation::new("", "UNKNOWN_KEY", message));
        self.violations.put_under(key, first);
    }

    fn field(&mut self, field: &FieldDescriptor, value: &Value) {
        let (kind, number) = (field.kind(), field.number());
        match (&kind, value) {
            (Kind::Message(entry), Value::Dict(dict)) if field.is_map() => {
                for (key, value) in dict.iter().rev() {
                    let first = self.violations.kept.len();
                    self.entry(entry, number, key, value);
                    self.violations.put_under(key, first);
                }
            }
            (_, other) if field.is_map() => self.report(Err(wrong_type(other, "a dict"))),
            (kind, Value::List(items)) if field.is_list() => {
                for (index, item) in items.iter().enumerate().rev() {
                    let first = self.violations.kept.len();
                    self.single(kind, number, item);
                    if self.violations.kept.len() > first {
                        self.violations.put_under(&index.to_string(), first);
                    }
                }
            }
            (_, other) if field.is_list() => self.report(Err(wrong_type(other, "a list"))),
            (kind, value) => self.single(kind, number, value),
        }
    }

    /// One entry of a map: a message of a key and a value.
    fn entry(&mut self, entry: &MessageDescriptor, number: u32, key: &str, value: &Value) {
        let start = self.out.len();
        let field = entry.map_entry_value_field();
        self.single(&field.kind(), field.number(), value);
        let field = entry.map_entry_key_field();
        let key = match (field.kind(), key) {
            (Kind::Bool, "true") => Value::Bool(true),
            (Kind::Bool, "false") => Value::Bool(false),
            (_, key) => Value::from(key),
        };
        let written = write_scalar(&mut self.out, &field.kind(), field.number(), &key);
        self.report(written);
        self.end_of_message(start, number);
    }

    fn single(&mut self, kind: &Kind, number: u32, value: &Value) {
        let Kind::Message(message) = kind else {
            let written = write_scalar(&mut self.out, kind, number, value);
            return self.report(written);
        };
        let start = self.out.len();
        self.message(message, value);
        self.end_of_message(start, number);
    }

    /// Writes the length and the tag of a message.
    fn end_of_message(&mut self, start: usize, number: u32) {
        let length = self.out.len() - start;
        self.out.varint(u64::try_from(length).unwrap_or(u64::MAX));
        write_tag(&mut self.out, number, BYTES);
    }

    fn any(&mut self, dict: &Dict) -> Result<(), Violation> {
        let Some(parts) = AnyParts::of(dict, self.find)? else {
            return Ok(());
        };
        match parts {
            AnyParts::Fields { url, message, keys } => {
                let start = self.out.len();
                self.fields(&message, keys.into_iter());
                self.end_of_message(start, 2);
                self.type_url(url);
            }
            AnyParts::Whole {
                url,
                message,
                value,
            } => {
                let start = self.out.len();
                let first = self.violations.kept.len();
                self.message(&message, value);
                self.violations.put_under("value", first);
                self.end_of_message(start, 2);
                self.type_url(url);
            }
            AnyParts::Encoded { url, bytes } => {
                write_bytes(&mut self.out, &bytes);
                write_tag(&mut self.out, 2, BYTES);
                self.type_url(url);
            }
        }
        Ok(())
    }

    fn type_url(&mut self, url: &str) {
        write_bytes(&mut self.out, url.as_bytes());
        write_tag(&mut self.out, 1, BYTES);
    }
}

/// Whether null is a value of the field, and not its absence.
fn accepts_null(kind: &Kind) -> bool {
    match kind {
        Kind::Message(message) => message.full_name() == well_known::VALUE,
        Kind::Enum(declared) => declared.full_name() == NULL_VALUE,
        _ => false,
    }
}

/// Whether two fields cannot both be given: they are the same one, by two names, or members of one `oneof`.
fn excludes(field: &FieldDescriptor, other: &FieldDescriptor) -> bool {
    let is_same_oneof = || {
        let oneof = field.containing_oneof();
        oneof.is_some() && oneof == other.containing_oneof()
    };
    field == other || is_same_oneof()
}
