//! Encoding and decoding of the model: payloads, documents, protobuf messages, statuses.

mod cell;
pub mod convert;
pub mod csv;
mod display;
#[cfg(feature = "server")]
pub(crate) mod failure;
pub mod filter;
pub mod form;
pub mod json;
mod json_syntax;
mod json_valid;
pub mod limits;
#[cfg(feature = "server")]
pub(crate) mod objects;
#[cfg(feature = "server")]
pub mod openapi;
pub mod payload;
pub mod proto;
#[cfg(feature = "server")]
pub mod proto_json;
pub mod sio;
pub mod status;
pub mod struct_pb;
pub mod text;
pub mod typed;
#[cfg(feature = "server")]
pub(crate) mod units;
pub mod wire;
