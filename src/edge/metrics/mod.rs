//! `/metrics`: what the node counts, for Prometheus and all that reads its formats (`docs/metrics.md`).
//!
//! Most is counted where it happens and read here; connections and requests are counted here.

mod call_body;
mod connections;
mod endpoint;
mod exposition;
mod families;
mod http_requests;
mod open_connection;
mod port_metrics;
mod process;
mod rpc_calls;
mod services;
mod text;

pub(super) use self::endpoint::MetricsApi;
pub(super) use self::http_requests::HttpRequest;
pub(super) use self::open_connection::OpenConnection;
pub use self::port_metrics::PortMetrics;
pub(super) use self::rpc_calls::{RpcCall, code_of};
