//! Finds what arrived empty in an encoded `Struct` or `Value`: clients that drop unknown keys send plain objects so.

use std::str;

use super::read::{WireField, WireReader};
use super::walk::{ENTRIES, ITEMS, VALUE_LIST, VALUE_STRUCT, any_entry};
use crate::codec::limits::MAX_DEPTH;
use crate::model::error::push_segment;

/// A message that arrived empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmptyMember {
    /// Its path, as a JSON pointer with `*` for any index; empty for the whole.
    pub path: String,
    /// Its type.
    pub kind: EmptyKind,
}

/// The type of an empty message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyKind {
    /// `google.protobuf.Struct`.
    Struct,
    /// `google.protobuf.ListValue`.
    List,
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// A message of a typed method.
    Message,
}

impl EmptyMember {
    pub(in crate::codec) fn new(kind: EmptyKind) -> Self {
        let path = String::new();
        Self { path, kind }
    }

    /// The same member with `key` in front of its path.
    #[must_use]
    pub(in crate::codec) fn under(mut self, key: &str) -> Self {
        let mut path = String::new();
        push_segment(&mut path, key);
        self.path.insert_str(0, &path);
        self
    }
}

/// The first empty part of a `Struct`, or the `Struct` itself; `None` also for one that is malformed.
#[must_use]
pub fn empty_in_struct(bytes: &[u8]) -> Option<EmptyMember> {
    in_struct(bytes, MAX_DEPTH)
}

/// The first empty part of a `Value`; `None` also for one that is malformed.
#[must_use]
pub fn empty_in_value(bytes: &[u8]) -> Option<EmptyMember> {
    in_value(bytes, MAX_DEPTH)
}

fn in_struct(bytes: &[u8], depth: usize) -> Option<EmptyMember> {
    if bytes.is_empty() {
        return Some(EmptyMember::new(EmptyKind::Struct));
    }
    let mut reader = WireReader::new(bytes);
    while let Ok(Some((ENTRIES, WireField::Bytes(entry)))) = reader.field() {
        let (key, value) = any_entry(entry).ok()?;
        if let Some(found) = in_value(value, depth) {
            return Some(found.under(str::from_utf8(key).ok()?));
        }
    }
    None
}

fn in_value(bytes: &[u8], depth: usize) -> Option<EmptyMember> {
    let depth = depth.checked_sub(1)?;
    match WireReader::new(bytes).field() {
        Ok(Some((VALUE_STRUCT, WireField::Bytes(inner)))) => in_struct(inner, depth),
        Ok(Some((VALUE_LIST, WireField::Bytes(inner)))) => in_list(inner, depth),
        _ => None,
    }
}

fn in_list(bytes: &[u8], depth: usize) -> Option<EmptyMember> {
    if bytes.is_empty() {
        return Some(EmptyMember::new(EmptyKind::List));
    }
    let mut reader = WireReader::new(bytes);
    while let Ok(Some((ITEMS, WireField::Bytes(item)))) = reader.field() {
        if let Some(found) = in_value(item, depth) {
            return Some(found.under("*"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::struct_pb::{encode_dict, encode_value};
    use crate::dict;
    use crate::model::value::{Dict, Value};

    #[test]
    fn the_first_empty_part_is_found_with_its_path() {
        let none = Dict::new;
        let items = vec![Value::from(1), Value::from(none())];
        for (dict, found) in [
            (none(), Some(("", EmptyKind::Struct))),
            (dict! { "a": 1, "b": "" }, None),
            (
                dict! { "a": 1, "b/c": none() },
                Some(("/b~1c", EmptyKind::Struct)),
            ),
            (
                dict! { "a": dict! { "b": Vec::<i64>::new() } },
                Some(("/a/b", EmptyKind::List)),
            ),
            (
                dict! { "list": items },
                Some(("/list/*", EmptyKind::Struct)),
            ),
        ] {
            let found = found.map(|(path, kind)| EmptyMember {
                path: path.to_owned(),
                kind,
            });
            assert_eq!(empty_in_struct(&encode_dict(&dict).unwrap()), found);
            let value = encode_value(&Value::Dict(dict)).unwrap();
            assert_eq!(empty_in_value(&value), found);
        }
        for malformed in [&b"\x0a"[..], b"\xff\xff", b"\x12\x00"] {
            assert_eq!(empty_in_struct(malformed), None);
            assert_eq!(empty_in_value(malformed), None);
        }
    }
}
