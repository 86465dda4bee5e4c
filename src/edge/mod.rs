//! The network edge: the listener, TLS, HTTP routing on one port, status mapping, and the gRPC services.

mod acts;
mod address;
mod allowed;
pub(crate) mod auth;
mod caller;
mod challenge;
mod compression;
#[cfg(feature = "cli")]
pub(crate) mod conformance;
pub mod connection;
mod connection_age;
mod connection_task;
#[cfg(feature = "console")]
pub mod console;
mod control_frames;
mod cors;
mod counting;
mod credential_end;
mod etag;
pub mod grpc;
mod grpc_message;
mod grpc_only;
mod http;
mod http_context;
mod http_guard;
mod http_headers;
pub mod listener;
mod message_length;
mod metrics;
mod network;
mod openapi;
mod origin;
mod page_headers;
mod peer_connections;
#[cfg(feature = "tls")]
mod plain_refusal;
mod plain_text;
mod port_auth;
mod preface;
mod progress_timer;
mod reads;
mod request_body;
mod response_body;
mod router;
mod server_span;
#[cfg(feature = "jwt")]
pub(crate) mod shown_url;
mod socket;
mod status_mapping;
mod stream_task;
#[cfg(feature = "tls")]
pub mod tls;
mod wakeup;
mod web;
mod write_timeout;

pub use self::address::NodeAddress;
pub(crate) use self::allowed::Allowed;
pub(crate) use self::cors::ANY_WITH_CERTIFICATES;
#[cfg(feature = "cli")]
pub(crate) use self::cors::AllowedOrigins;
#[cfg(feature = "cli")]
pub(crate) use self::http_guard::AllowedHosts;
pub use self::metrics::PortMetrics;
pub use self::router::{HostRoutes, PortService, WrapRouter};
pub use self::socket::Transport;
