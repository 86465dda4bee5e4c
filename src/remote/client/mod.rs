//! A client of a node: the operations of a handler's context, over gRPC.

mod batch;
mod connection;
mod discover;
mod invoke;
mod manage;

pub use self::connection::Client;
pub use self::manage::Selector;
pub use super::protocol::result_stream::ResultStream;
