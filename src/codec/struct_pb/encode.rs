//! Encodes values as `Struct` and `Value`.
//!
//! Messages are written from the end to the beginning: each length is known by the time it is written, so nothing is
//! measured in advance and nothing is moved afterwards.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, Bytes};

use super::invalid_value;
use super::walk::{not_finite, too_deep};
use crate::codec::limits::MAX_DEPTH;
use crate::model::error::{Result, Violation};
use crate::model::value::{Dict, MAX_SAFE_INTEGER, Value};

const TAG_ENTRY: u8 = 0x0a;
const TAG_KEY: u8 = 0x0a;
const TAG_ENTRY_VALUE: u8 = 0x12;
const TAG_ITEM: u8 = 0x0a;
const TAG_NULL: u8 = 0x08;
const TAG_NUMBER: u8 = 0x11;
const TAG_TEXT: u8 = 0x1a;
const TAG_BOOL: u8 = 0x20;
const TAG_STRUCT: u8 = 0x2a;
const TAG_LIST: u8 = 0x32;

/// Encodes a dict as a `Struct`.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for values that `Struct` cannot represent: NaN, infinities, nesting beyond
/// [`MAX_DEPTH`].
pub fn encode_dict(dict: &Dict) -> Result<Bytes> {
    let mut writer = WireWriter::for_keys(dict.len());
    writer.dict(dict, 1).map_err(invalid_value)?;
    Ok(writer.finish())
}

/// Encodes a value as a `Value`.
///
/// # Errors
///
/// As for [`encode_dict`].
pub fn encode_value(value: &Value) -> Result<Bytes> {
    let mut writer = WireWriter::for_keys(1);
    writer.value(value, 0).map_err(invalid_value)?;
    Ok(writer.finish())
}

/// A buffer that grows towards the front.
pub(in crate::codec) struct WireWriter {
    buffer: Vec<u8>,
    /// The index of the first written byte.
    start: usize,
}

impl WireWriter {
    pub(in crate::codec) fn new() -> Self {
        Self::for_keys(4)
    }

    fn for_keys(keys: usize) -> Self {
        const BYTES_PER_KEY: usize = 40;
        let capacity = (keys * BYTES_PER_KEY).clamp(64, 1 << 20);
        Self {
            buffer: vec![0; capacity],
            start: capacity,
        }
    }

    pub(in crate::codec) fn finish(self) -> Bytes {
        let mut bytes = Bytes::from(self.buffer);
        bytes.advance(self.start);
        bytes
    }

    /// The number of written bytes.
    pub(in crate::codec) fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    #[inline]
    pub(in crate::codec) fn put(&mut self, bytes: &[u8]) {
        if self.start < bytes.len() {
            self.grow(bytes.len());
        }
        let end = self.start;
        self.start -= bytes.len();
        if let Some(room) = self.buffer.get_mut(self.start..end) {
            room.copy_from_slice(bytes);
        }
    }

    #[cold]
    fn grow(&mut self, room: usize) {
        const HEADROOM: usize = 256;
        let len = self.len();
        // With room for the tags and lengths in front of a large text: it would be moved for them.
        let capacity = (self.buffer.len() * 2).max(len + room + HEADROOM);
        let mut buffer = vec![0; capacity];
        let start = capacity - len;
        if let (Some(to), Some(from)) = (buffer.get_mut(start..), self.buffer.get(self.start..)) {
            to.copy_from_slice(from);
        }
        self.buffer = buffer;
        self.start = start;
    }

    /// Writes the length of everything since `before`, and a tag in front of it.
    #[inline]
    fn length_and_tag(&mut self, before: usize, tag: u8) {
        let len = self.len() - before;
        if let Ok(short @ 0..0x80) = u8::try_from(len) {
            self.put(&[tag, short]);
            return;
        }
        self.varint(u64::try_from(len).unwrap_or_default());
        self.put(&[tag]);
    }

    pub(in crate::codec) fn varint(&mut self, mut n: u64) {
        let mut varint = [0; 10];
        let mut used = 0;
        for byte in &mut varint {
            used += 1;
            *byte = u8::try_from(n & 0x7f).unwrap_or_default();
            n >>= 7;
            if n == 0 {
                break;
            }
            *byte |= 0x80;
        }
        self.put(varint.get(..used).unwrap_or_default());
    }

    pub(in crate::codec) fn dict(&mut self, dict: &Dict, depth: usize) -> Result<(), Violation> {
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        for (key, value) in dict.iter().rev() {
            let entry = self.len();
            self.value(value, depth).map_err(|v| v.under(key))?;
            self.length_and_tag(entry, TAG_ENTRY_VALUE);
            self.text(key, TAG_KEY);
            self.length_and_tag(entry, TAG_ENTRY);
        }
        Ok(())
    }

    pub(in crate::codec) fn list(
        &mut self,
        items: &[Value],
        depth: usize,
    ) -> Result<(), Violation> {
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        for (index, item) in items.iter().enumerate().rev() {
            let before = self.len();
            self.value(item, depth)
                .map_err(|v| v.under(&index.to_string()))?;
            self.length_and_tag(before, TAG_ITEM);
        }
        Ok(())
    }

    pub(in crate::codec) fn value(&mut self, value: &Value, depth: usize) -> Result<(), Violation> {
        match value {
            Value::Null => self.put(&[TAG_NULL, 0]),
            Value::Bool(flag) => self.put(&[TAG_BOOL, u8::from(*flag)]),
            Value::Int(n) if (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(n) => {
                #[expect(clippy::cast_precision_loss, reason = "exact within this range")]
                self.double(*n as f64);
            }
            Value::Int(n) => self.text(&n.to_string(), TAG_TEXT),
            Value::Float(x) if x.is_finite() => self.double(*x),
            Value::Float(x) => return Err(not_finite(*x)),
            Value::Digits(digits) => self.text(digits.as_str(), TAG_TEXT),
            Value::Text(text) => self.text(text, TAG_TEXT),
            Value::Bytes(bytes) => self.text(&STANDARD.encode(bytes), TAG_TEXT),
            Value::List(items) => {
                let before = self.len();
                self.list(items, depth + 1)?;
                self.length_and_tag(before, TAG_LIST);
            }
            Value::Dict(dict) => {
                let before = self.len();
                self.dict(dict, depth + 1)?;
                self.length_and_tag(before, TAG_STRUCT);
            }
        }
        Ok(())
    }

    fn double(&mut self, x: f64) {
        self.put(&x.to_bits().to_le_bytes());
        self.put(&[TAG_NUMBER]);
    }

    fn text(&mut self, text: &str, tag: u8) {
        let before = self.len();
        self.put(text.as_bytes());
        self.length_and_tag(before, tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_text_is_written_into_one_buffer_of_its_size() {
        const SIZE: usize = 1 << 20;
        let mut writer = WireWriter::for_keys(1);
        let text = Value::from("x".repeat(SIZE));
        let dict: Dict = [("text", text)].into_iter().collect();
        writer.dict(&dict, 1).unwrap();
        assert!(writer.len() > SIZE);
        assert!(writer.buffer.len() < SIZE + 1_024);
    }
}
