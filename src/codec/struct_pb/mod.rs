//! Encoding and decoding of `google.protobuf.Struct`, `Value` and `ListValue` without prost types.
//!
//! External payloads are scanned once, on arrival: wire format, UTF-8, finite numbers, depth, number of keys, no
//! duplicate fields. Otherwise the malformed bytes of one caller could end the stream of a worker. Scanning and
//! decoding are one walk with two sinks, so that both accept the same bytes.

mod empty;
mod encode;
mod read;
mod walk;

use crate::codec::limits::{VALUE_LIMITS, with_limits};
use crate::model::error::{Error, Result, Violation, Violations, reason};
use crate::model::value::{Dict, Value};

pub use self::empty::{EmptyKind, EmptyMember, empty_in_struct, empty_in_value};
pub(in crate::codec) use self::encode::WireWriter;
pub use self::encode::{encode_dict, encode_value};
pub(in crate::codec) use self::read::{Malformed, WireField, WireReader};

/// Checks an encoded `Struct` without decoding it. Allocates nothing unless it is malformed.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` with all violations.
pub fn scan_struct(bytes: &[u8]) -> Result<()> {
    walk::walk_struct::<walk::Discard>(bytes).map_err(malformed)
}

/// Checks an encoded `Value` without decoding it. Allocates nothing unless it is malformed.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` with all violations.
pub fn scan_value(bytes: &[u8]) -> Result<()> {
    walk::walk_value::<walk::Discard>(bytes).map_err(malformed)
}

/// Decodes a `Struct`.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` with all violations.
pub fn decode_dict(bytes: &[u8]) -> Result<Dict> {
    walk::walk_struct::<walk::Build>(bytes).map_err(malformed)
}

/// Decodes a `Value`.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` with all violations.
pub fn decode_value(bytes: &[u8]) -> Result<Value> {
    walk::walk_value::<walk::Build>(bytes).map_err(malformed)
}

/// Decodes a `Struct` that is part of another message.
pub(in crate::codec) fn walk_dict(bytes: &[u8]) -> Result<Dict, Violations> {
    walk::walk_struct::<walk::Build>(bytes)
}

/// Decodes a `Value` that is part of another message.
pub(in crate::codec) fn walk_any(bytes: &[u8]) -> Result<Value, Violations> {
    walk::walk_value::<walk::Build>(bytes)
}

/// The range of the `Struct` inside an encoded and scanned `Value`, if it holds one.
#[must_use]
pub fn struct_within(value: &[u8]) -> Option<std::ops::Range<usize>> {
    let mut reader = WireReader::new(value);
    match reader.field() {
        Ok(Some((walk::VALUE_STRUCT, WireField::Bytes(inner)))) if reader.is_empty() => {
            Some(value.len() - inner.len()..value.len())
        }
        _ => None,
    }
}

fn malformed(violations: Violations) -> Error {
    with_limits(violations.into_error(reason::VALUE_INVALID), VALUE_LIMITS)
}

fn invalid_value(violation: Violation) -> Error {
    Error::violations(reason::VALUE_INVALID, vec![violation])
}

#[cfg(test)]
mod tests;
