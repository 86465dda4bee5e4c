//! The network edge: the listener, HTTP routing on one port, status mapping, and the gRPC services.

mod acts;
pub(crate) mod auth;
mod caller;
#[cfg(feature = "cli")]
pub(crate) mod conformance;
pub mod connection;
mod connection_task;
mod credential_end;
pub mod grpc;
mod grpc_message;
mod grpc_only;
mod healthz;
mod http_guard;
pub mod listener;
mod message_length;
mod plain_text;
mod preface;
mod progress_timer;
mod request_body;
mod response_body;
mod router;
mod status_mapping;
mod stream_task;
mod wakeup;
mod write_timeout;

pub(crate) use self::http_guard::AllowedHosts;
pub use self::router::{HostRoutes, PortService, WrapRouter};
