//! The address under which a node is reached from this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::remote::protocol::endpoint::DEFAULT_PORT;

/// The address to dial on this machine for a node that listens on `bound`.
pub(super) fn dial_address(bound: SocketAddr) -> SocketAddr {
    match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), bound.port())
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            SocketAddr::new(Ipv6Addr::LOCALHOST.into(), bound.port())
        }
        _ => bound,
    }
}

/// The option with which commands reach a node at `address`: empty for the default address.
pub(super) fn node_option(address: SocketAddr) -> String {
    match address == SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DEFAULT_PORT) {
        true => String::new(),
        false => format!(" --node {address}"),
    }
}
