//! How many connections each address has open, so that one peer cannot take all that the node has. The listener asks
//! for each connection that it accepts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::network::{is_loopback, network};

/// The open connections of each address. There are at most as many addresses as connections.
#[derive(Debug)]
pub(super) struct PeerConnections {
    limit: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection that counts until it is dropped.
#[derive(Debug)]
pub(super) struct PeerPermit {
    peers: Arc<PeerConnections>,
    /// `None` for a peer that is not counted.
    address: Option<IpAddr>,
}

impl PeerConnections {
    /// Allows each address so many connections.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            open: Mutex::default(),
        })
    }

    /// Counts a connection, unless its address has as many as it may. Peers on the machine are not counted: a proxy
    /// beside the node carries the connections of many.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<PeerPermit> {
        let address = Some(network(peer)).filter(|_| !is_loopback(peer));
        if let Some(address) = address {
            let mut all = self.lock();
            let open = all.entry(address).or_default();
            if *open >= self.limit {
                return None;
            }
            *open += 1;
        }
        Some(PeerPermit {
            peers: Arc::clone(self),
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PeerPermit {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut all = self.peers.lock();
        if let Some(open) = all.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                all.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_connections_up_to_the_limit() {
        let peers = PeerConnections::new(2);
        let admit = |peer: &str| peers.admit(peer.parse().unwrap());
        let first = admit("192.0.2.1");
        let _second = admit("::ffff:192.0.2.1").unwrap();
        assert!(admit("192.0.2.1").is_none());
        assert!(admit("192.0.2.2").is_some());
        drop(first);
        assert!(admit("192.0.2.1").is_some());
        // A site of IPv6 is one address.
        let _site = [admit("2001:db8::1").unwrap(), admit("2001:db8::2").unwrap()];
        assert!(admit("2001:db8::3").is_none());
        assert!(admit("2001:db8:0:1::3").is_some());
    }

    #[test]
    fn what_is_closed_and_what_is_local_is_not_remembered() {
        let peers = PeerConnections::new(1);
        let local: Vec<_> = (0..3)
            .map(|_| peers.admit("127.0.0.1".parse().unwrap()).unwrap())
            .collect();
        drop(peers.admit("192.0.2.1".parse().unwrap()));
        assert!(peers.lock().is_empty(), "{local:?}");
    }
}
