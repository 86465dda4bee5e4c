//! What a limit by address holds for: the network that one site has. Used where peers are counted.

use std::net::{IpAddr, Ipv6Addr};

/// The address that a limit holds for: of IPv6, the network of one site (/64), within which a host has all addresses.
pub(super) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Whether a peer is on the machine of the node.
pub(super) fn is_loopback(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}
