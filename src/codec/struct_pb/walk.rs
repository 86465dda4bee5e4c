//! The walk over an encoded `Struct`, with one sink that builds values and one that discards them.
//!
//! It continues after a malformed value, to find all of them: the length of a value tells where the next one begins.

use std::str;

use super::read::{Malformed, WireField, WireReader, only_bytes};
use crate::codec::limits::{MAX_DEPTH, MAX_KEYS, TOO_DEEP};
use crate::model::error::{TOO_MANY_KEYS, Violation, Violations};
use crate::model::value::{Dict, Value};

pub(super) const ENTRIES: u64 = 1;
const ENTRY_KEY: u64 = 1;
const ENTRY_VALUE: u64 = 2;
pub(super) const ITEMS: u64 = 1;
const VALUE_NULL: u64 = 1;
const VALUE_NUMBER: u64 = 2;
const VALUE_TEXT: u64 = 3;
const VALUE_BOOL: u64 = 4;
pub(super) const VALUE_STRUCT: u64 = 5;
pub(super) const VALUE_LIST: u64 = 6;
/// Number and wire type in one byte.
const KEY_TAG: u8 = 0x0a;
const ENTRY_VALUE_TAG: u8 = 0x12;
const NUMBER_TAG: u8 = 0x11;
const TEXT_TAG: u8 = 0x1a;

/// The result builder of a walk.
pub(super) trait Sink {
    type Value;
    type List: Default;
    type Dict;
    /// What is known of a text.
    type Text<'t>;

    /// `None` for what is not UTF-8.
    fn utf8(bytes: &[u8]) -> Option<Self::Text<'_>>;
    fn null() -> Self::Value;
    fn bool(flag: bool) -> Self::Value;
    fn number(x: f64) -> Self::Value;
    fn text(text: Self::Text<'_>) -> Self::Value;
    fn list(list: Self::List) -> Self::Value;
    fn dict(dict: Self::Dict) -> Self::Value;
    /// An empty dict for this many encoded bytes.
    fn empty_dict(bytes: usize) -> Self::Dict;
    fn push(list: &mut Self::List, item: Self::Value);
    /// The last value of a key wins, as in every protobuf map.
    fn insert(dict: &mut Self::Dict, key: Self::Text<'_>, value: Self::Value);
}

/// Builds nothing, for the scan.
pub(super) struct Discard;

impl Sink for Discard {
    type Value = ();
    type List = ();
    type Dict = ();
    type Text<'t> = ();

    fn utf8(bytes: &[u8]) -> Option<()> {
        // Of short texts, which most are ASCII, this takes a third of the time.
        (bytes.is_ascii() || str::from_utf8(bytes).is_ok()).then_some(())
    }
    fn null() {}
    fn bool(_: bool) {}
    fn number(_: f64) {}
    fn text((): ()) {}
    fn list((): ()) {}
    fn dict((): ()) {}
    fn empty_dict(_: usize) {}
    fn push((): &mut (), (): ()) {}
    fn insert((): &mut (), (): (), (): ()) {}
}

/// Builds values, for the decoder.
pub(super) struct Build;

impl Sink for Build {
    type Value = Value;
    type List = Vec<Value>;
    type Dict = Dict;
    type Text<'t> = &'t str;

    fn utf8(bytes: &[u8]) -> Option<&str> {
        str::from_utf8(bytes).ok()
    }
    fn null() -> Value {
        Value::Null
    }
    fn bool(flag: bool) -> Value {
        Value::Bool(flag)
    }
    fn number(x: f64) -> Value {
        Value::from_double(x)
    }
    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
    fn list(list: Vec<Value>) -> Value {
        Value::List(list)
    }
    fn dict(dict: Dict) -> Value {
        Value::Dict(dict)
    }
    fn empty_dict(bytes: usize) -> Dict {
        // Most entries take more bytes than this. A table that is too small would be rehashed each time it grows.
        const ENTRY_BYTES: usize = 20;
        Dict::with_capacity((bytes / ENTRY_BYTES).min(1_024))
    }
    fn push(list: &mut Vec<Value>, item: Value) {
        list.push(item);
    }
    fn insert(dict: &mut Dict, key: &str, value: Value) {
        dict.insert(key, value);
    }
}

pub(super) fn walk_struct<S: Sink>(bytes: &[u8]) -> Result<S::Dict, Violations> {
    let mut walk = StructWalk::default();
    let read = walk.dict::<S>(bytes);
    walk.finish(read)
}

pub(super) fn walk_value<S: Sink>(bytes: &[u8]) -> Result<S::Value, Violations> {
    let mut walk = StructWalk::default();
    let read = walk.value::<S>(bytes);
    walk.finish(read)
}

#[derive(Default)]
struct StructWalk {
    depth: usize,
    keys: usize,
    /// What is malformed, with paths that begin in the dict or list that is being read.
    malformed: Violations,
}

impl StructWalk {
    fn dict<S: Sink>(&mut self, bytes: &[u8]) -> Result<S::Dict, Violation> {
        self.enter()?;
        let dict = self.entries::<S>(bytes);
        self.depth -= 1;
        dict
    }

    #[inline]
    fn entries<S: Sink>(&mut self, bytes: &[u8]) -> Result<S::Dict, Violation> {
        let mut dict = S::empty_dict(bytes.len());
        let mut reader = WireReader::new(bytes);
        while let Some((number, field)) = reader.field()? {
            let (ENTRIES, WireField::Bytes(entry)) = (number, field) else {
                return Err(unknown_field("google.protobuf.Struct", number));
            };
            self.count()?;
            if let Err(violation) = self.entry::<S>(&mut dict, entry) {
                self.malformed.add(violation);
            }
        }
        Ok(dict)
    }

    #[inline]
    fn entry<S: Sink>(&mut self, dict: &mut S::Dict, bytes: &[u8]) -> Result<(), Violation> {
        let (key, value) = match short_entry(bytes) {
            Some(entry) => entry,
            None => any_entry(bytes)?,
        };
        let Some(name) = S::utf8(key) else {
            return Err(Violation::new(
                "",
                "NOT_UTF8",
                "has a key that is not UTF-8",
            ));
        };
        let first = self.malformed.kept.len();
        match self.value::<S>(value) {
            Ok(value) if self.malformed.kept.len() == first => S::insert(dict, name, value),
            read => self.report(read.err(), &String::from_utf8_lossy(key), first),
        }
        Ok(())
    }

    #[inline]
    fn value<S: Sink>(&mut self, bytes: &[u8]) -> Result<S::Value, Violation> {
        // The usual encoding of texts and numbers.
        if let Some(text) = only_bytes(TEXT_TAG, bytes) {
            return read_text::<S>(text);
        }
        if let [NUMBER_TAG, number @ ..] = bytes
            && let Ok(bits) = <[u8; 8]>::try_from(number)
        {
            return read_number::<S>(u64::from_le_bytes(bits));
        }
        self.any_value::<S>(bytes)
    }

    fn any_value<S: Sink>(&mut self, bytes: &[u8]) -> Result<S::Value, Violation> {
        let mut reader = WireReader::new(bytes);
        let Some((number, field)) = reader.field()? else {
            let message = "has no kind: null is `null_value`, not nothing";
            return Err(Violation::new("", "NO_KIND", message));
        };
        if !reader.is_empty() {
            return Err(Malformed("has more than one kind").into());
        }
        match (number, field) {
            // Any number is accepted: enums are open in proto3, and this one has one member.
            (VALUE_NULL, WireField::Varint(_)) => Ok(S::null()),
            (VALUE_NUMBER, WireField::Fixed64(bits)) => read_number::<S>(bits),
            (VALUE_TEXT, WireField::Bytes(text)) => read_text::<S>(text),
            (VALUE_BOOL, WireField::Varint(flag)) => Ok(S::bool(flag != 0)),
            (VALUE_STRUCT, WireField::Bytes(dict)) => self.dict::<S>(dict).map(S::dict),
            (VALUE_LIST, WireField::Bytes(list)) => self.list::<S>(list).map(S::list),
            (number, _) => Err(unknown_field("google.protobuf.Value", number)),
        }
    }

    fn list<S: Sink>(&mut self, bytes: &[u8]) -> Result<S::List, Violation> {
        self.enter()?;
        let list = self.items::<S>(bytes);
        self.depth -= 1;
        list
    }

    #[inline]
    fn items<S: Sink>(&mut self, bytes: &[u8]) -> Result<S::List, Violation> {
        let mut list = S::List::default();
        let mut reader = WireReader::new(bytes);
        let mut index = 0_usize;
        while let Some((number, field)) = reader.field()? {
            let (ITEMS, WireField::Bytes(item)) = (number, field) else {
                return Err(unknown_field("google.protobuf.ListValue", number));
            };
            self.count()?;
            let first = self.malformed.kept.len();
            match self.value::<S>(item) {
                Ok(item) if self.malformed.kept.len() == first => S::push(&mut list, item),
                read => self.report(read.err(), &index.to_string(), first),
            }
            index += 1;
        }
        Ok(list)
    }

    fn enter(&mut self) -> Result<(), Violation> {
        if self.depth == MAX_DEPTH {
            return Err(too_deep());
        }
        self.depth += 1;
        Ok(())
    }

    fn count(&mut self) -> Result<(), Violation> {
        self.keys += 1;
        if self.keys > MAX_KEYS {
            let message = format!("has more than {MAX_KEYS} keys and items");
            return Err(Violation::new("", TOO_MANY_KEYS, message));
        }
        Ok(())
    }

    /// Reports what is malformed at a key: the value itself, or parts of it, which were found since the `first`.
    #[cold]
    fn report(&mut self, value: Option<Violation>, key: &str, first: usize) {
        if let Some(violation) = value {
            self.malformed.add(violation);
        }
        self.malformed.put_under(key, first);
    }

    fn finish<T>(mut self, read: Result<T, Violation>) -> Result<T, Violations> {
        match read {
            Ok(value) if self.malformed.is_empty() => return Ok(value),
            Ok(_) => {}
            Err(violation) => self.malformed.add(violation),
        }
        Err(self.malformed)
    }
}

/// The key and the value of an entry in its usual encoding: the key first, both short.
#[inline]
fn short_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [KEY_TAG, len @ ..0x80, rest @ ..] = bytes else {
        return None;
    };
    let (key, rest) = rest.split_at_checked(usize::from(*len))?;
    Some((key, only_bytes(ENTRY_VALUE_TAG, rest)?))
}

/// The key and the value of an entry in any encoding.
pub(super) fn any_entry(bytes: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    let (mut key, mut value) = (None, None);
    let mut reader = WireReader::new(bytes);
    while let Some((number, field)) = reader.field()? {
        let slot = match number {
            ENTRY_KEY => &mut key,
            ENTRY_VALUE => &mut value,
            _ => return Err(unknown_field("an entry of google.protobuf.Struct", number)),
        };
        let WireField::Bytes(content) = field else {
            return Err(unknown_field("an entry of google.protobuf.Struct", number));
        };
        if slot.replace(content).is_some() {
            return Err(Malformed("has a field twice in one entry").into());
        }
    }
    // An entry without a value has the default value, which has no kind.
    Ok((key.unwrap_or_default(), value.unwrap_or_default()))
}

#[inline]
fn read_number<S: Sink>(bits: u64) -> Result<S::Value, Violation> {
    let x = f64::from_bits(bits);
    match x.is_finite() {
        true => Ok(S::number(x)),
        false => Err(not_finite(x)),
    }
}

#[inline]
fn read_text<S: Sink>(text: &[u8]) -> Result<S::Value, Violation> {
    let text = S::utf8(text).map(S::text);
    text.ok_or_else(|| Violation::new("", "NOT_UTF8", "is not UTF-8"))
}

pub(super) fn too_deep() -> Violation {
    let message = format!("is nested deeper than {MAX_DEPTH} dicts and lists");
    Violation::new("", TOO_DEEP, message)
}

pub(super) fn not_finite(x: f64) -> Violation {
    let message = format!("is {x}, which cannot be encoded");
    Violation::new("", "NOT_FINITE", message)
}

fn unknown_field(message: &str, number: u64) -> Violation {
    let text = format!("field {number} is not one of {message}, or not of its wire type");
    Violation::new("", "MALFORMED", text)
}

impl From<Malformed> for Violation {
    fn from(Malformed(message): Malformed) -> Self {
        Self::new("", "MALFORMED", message)
    }
}
