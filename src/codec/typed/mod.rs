//! Typed methods: each service with a declaration is a gRPC method as well, with fields for its elements.
//!
//! Everything follows from the declaration, so that numbers need no file, no store and no agreement between nodes:
//! [`names`] makes the names, [`number`] the field numbers, [`Method`] the messages; [`Directory`] holds the methods of
//! one node and finds those that clash; [`descriptor`] and [`proto_file`] describe them, [`decode`] and [`encode`]
//! carry values.

mod decode;
mod descriptor;
mod directory;
mod encode;
mod message;
mod method;
pub mod names;
mod number;
mod proto_file;
#[cfg(test)]
mod tests;

pub use self::decode::decode;
pub use self::descriptor::descriptor;
pub use self::directory::{Directory, Found, Mode};
pub use self::encode::encode;
pub use self::message::{Field, Kind, Message};
pub use self::method::{Body, Method, UNDECLARED};
pub use self::number::number;
pub use self::proto_file::{ProtoFile, proto_file};
