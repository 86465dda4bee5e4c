//! A cable between a worker and its node, which can be cut and mended.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::any_port;
use super::raw::spawn;

/// Hands on what comes to its address.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// Fires when the cable is cut; `None` while it is.
    cable: Arc<Mutex<Option<CancellationToken>>>,
    /// Where new connections lead.
    node: Arc<Mutex<SocketAddr>>,
    /// How many connections came while it was cut.
    refused: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn to(node: SocketAddr) -> Self {
        let listener = TcpListener::bind(any_port()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let cable = Arc::new(Mutex::new(Some(CancellationToken::new())));
        let of_loop = Arc::clone(&cable);
        let node = Arc::new(Mutex::new(node));
        let far = Arc::clone(&node);
        let refused = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&refused);
        drop(spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let cut = of_loop.lock().unwrap().clone();
                match cut {
                    Some(cut) => {
                        let node = *far.lock().unwrap();
                        drop(spawn(hand_on(near, node, cut)));
                    }
                    None => drop(counted.fetch_add(1, Ordering::SeqCst)),
                }
            }
        }));
        Self {
            address,
            cable,
            node,
            refused,
        }
    }

    /// Breaks all connections, and lets none through.
    pub(crate) fn cut(&self) {
        if let Some(cable) = self.cable.lock().unwrap().take() {
            cable.cancel();
        }
    }

    /// Has new connections lead to another node; those there are stay.
    pub(crate) fn lead_to(&self, node: SocketAddr) {
        *self.node.lock().unwrap() = node;
    }

    /// How many connections were not let through.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    pub(crate) fn mend(&self) {
        *self.cable.lock().unwrap() = Some(CancellationToken::new());
    }
}

async fn hand_on(mut near: TcpStream, node: SocketAddr, cut: CancellationToken) {
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
