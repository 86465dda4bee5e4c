//! The network edge: the listener, HTTP routing on one port, status mapping, and the gRPC services.

pub mod connection;
pub mod grpc;
pub mod listener;
mod message_length;
mod preface;
mod request_body;
mod response_body;
mod router;
mod status_mapping;
mod stream_task;

pub use self::router::{PortService, WrapRouter};
