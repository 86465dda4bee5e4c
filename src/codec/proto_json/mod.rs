//! `ProtoJSON`: protobuf messages as JSON and back, by their descriptors.
//!
//! It is how Connect, `grpcurl` and the JSON of generated code write messages: names in lower camel case (the names of
//! the `.proto` file are read, too), 64-bit integers as text, bytes as base64, `Timestamp`, `Duration`, `Struct`,
//! `Value` and `Any` in forms of their own. Messages are not built in memory: JSON becomes the bytes of the message,
//! and its bytes become JSON. So a text of many small values costs no more than a multiple of its length.

mod any;
mod read;
mod scalar;
#[cfg(test)]
mod tests;
mod well_known;
mod write;

use prost_reflect::MessageDescriptor;

pub use self::read::{Json, Undeclared, read};
pub use self::write::write;
use crate::codec::limits::MAX_DEPTH;

/// How deep the dicts and lists of a JSON text may be nested: a value, in a message.
const MAX_JSON_DEPTH: usize = MAX_DEPTH + 8;
/// How deep messages may be nested in one that is written.
const MAX_MESSAGE_DEPTH: usize = MAX_DEPTH + 8;

/// Finds the type of a message in an `Any`, by its full name.
pub type FindType<'a> = &'a dyn Fn(&str) -> Option<MessageDescriptor>;
