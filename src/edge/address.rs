//! The address of a node, as clients write it.

use std::fmt;
use std::net::SocketAddr;

/// The address of a node. It is shown as clients write it: with `https://` where the node has TLS.
#[derive(Clone, Copy, Debug)]
pub struct NodeAddress {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it has TLS.
    pub is_tls: bool,
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_tls {
            true => write!(f, "https://{}", self.address),
            false => self.address.fmt(f),
        }
    }
}
