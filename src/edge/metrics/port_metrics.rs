//! What is counted of a port: connections, gRPC calls and HTTP requests.

use std::sync::Arc;

use super::connections::Connections;
use super::http_requests::HttpRequests;
use super::rpc_calls::RpcCalls;
use crate::model::error::Result;

/// What is counted of a port.
#[derive(Debug)]
pub struct PortMetrics {
    pub(super) connections: Connections,
    pub(in crate::edge) rpc: RpcCalls,
    pub(in crate::edge) http: HttpRequests,
}

impl PortMetrics {
    /// Counts from now on.
    ///
    /// # Errors
    ///
    /// `INTERNAL` where the built-in descriptors cannot be decoded.
    pub fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            connections: Connections::default(),
            rpc: RpcCalls::new()?,
            http: HttpRequests::default(),
        }))
    }
}
