//! How callers come in: the connection loop, and the gRPC services on it.

mod answer;
mod body;
pub mod grpc;
pub mod listener;

pub use self::answer::{Front, Wrap};
