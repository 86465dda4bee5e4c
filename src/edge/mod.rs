//! The network edge: the listener, HTTP routing on one port, status mapping, and the gRPC services.

#[cfg(feature = "cli")]
pub(crate) mod conformance;
pub mod grpc;
pub mod listener;
mod preface;
mod request_body;
mod router;
mod status_mapping;

pub use self::router::{PortService, WrapRouter};
