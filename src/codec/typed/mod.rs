//! Typed methods: each service with a declaration is also a gRPC method, with fields for its elements.
//!
//! Everything is derived from the declaration, so that field numbers need no file, no store and no agreement between
//! nodes. `names` derives names, `number` field numbers, `Method` messages. `MethodDirectory` holds the methods
//! of one node and detects clashes. `descriptor` and `proto_file` describe them; `decode` and `encode` convert
//! values.

mod comments;
mod decode;
mod descriptor;
mod directory;
mod empty;
mod encode;
mod message;
mod method;
pub mod names;
mod nested_names;
mod number;
mod package_options;
mod proto_file;
#[cfg(test)]
mod tests;

pub use self::decode::decode;
pub use self::descriptor::descriptor;
pub use self::directory::{CallMode, MethodDirectory, MethodMatch, Note};
pub use self::encode::encode;
pub use self::message::{Field, FieldType, MessageType};
pub use self::method::{Body, Method, UNDECLARED};
pub use self::number::number;
pub use self::package_options::PackageOptions;
pub use self::proto_file::{HEADER, ProtoFile, proto_file};
