//! A TCP proxy between a worker and its node. Its connections can be cut, and redirected to another node.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::any_port;
use super::raw::spawn;

/// Forwards connections to a node.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// Cancelled when the connections are cut; `None` while they are.
    cut: Arc<Mutex<Option<CancellationToken>>>,
    /// The target of new connections.
    node: Arc<Mutex<SocketAddr>>,
    /// The number of connections that were refused while it was cut.
    refused: Arc<AtomicUsize>,
    /// The number of connections that were forwarded.
    forwarded: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn to(node: SocketAddr) -> Self {
        let listener = TcpListener::bind(any_port()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(Mutex::new(Some(CancellationToken::new())));
        let current = Arc::clone(&cut);
        let node = Arc::new(Mutex::new(node));
        let target = Arc::clone(&node);
        let refused = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&refused);
        let forwarded = Arc::new(AtomicUsize::new(0));
        let counted_forwarded = Arc::clone(&forwarded);
        drop(spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let cut = current.lock().unwrap().clone();
                match cut {
                    Some(cut) => {
                        counted_forwarded.fetch_add(1, Ordering::SeqCst);
                        let node = *target.lock().unwrap();
                        drop(spawn(forward(near, node, cut)));
                    }
                    None => drop(counted.fetch_add(1, Ordering::SeqCst)),
                }
            }
        }));
        Self {
            address,
            cut,
            node,
            refused,
            forwarded,
        }
    }

    /// How many connections it has forwarded.
    pub(crate) fn forwarded(&self) -> usize {
        self.forwarded.load(Ordering::SeqCst)
    }

    /// Resets all connections, and refuses new ones.
    pub(crate) fn cut(&self) {
        if let Some(cut) = self.cut.lock().unwrap().take() {
            cut.cancel();
        }
    }

    /// Forwards new connections to another node. Established connections stay.
    pub(crate) fn redirect_to(&self, node: SocketAddr) {
        *self.node.lock().unwrap() = node;
    }

    /// The number of refused connections.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Forwards new connections again.
    pub(crate) fn restore(&self) {
        *self.cut.lock().unwrap() = Some(CancellationToken::new());
    }
}

async fn forward(mut near: TcpStream, node: SocketAddr, cut: CancellationToken) {
    let Ok(mut far) = TcpStream::connect(node).await else {
        return;
    };
    for side in [&near, &far] {
        let _ = side.set_nodelay(true);
        // A reset, not an orderly end.
        let _ = side.set_zero_linger();
    }
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        () = cut.cancelled() => {}
    }
}
