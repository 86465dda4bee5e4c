//! What the requests of one connection share: its peer, and what it may hold in memory.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::edge::auth::ConnectionCredentials;
use crate::edge::http_guard::Reached;
use crate::edge::metrics::{OpenConnection, PortMetrics};
#[cfg(feature = "tls")]
use crate::edge::tls::ClientCertificate;
use crate::engine::Limits;
use crate::engine::byte_budget::{ByteBudget, NeverWait, NodeBudget};
use crate::model::peer_certificate::PeerCertificate;

/// The budgets of a node: received and not handled yet, answered and not read yet.
#[derive(Clone, Debug)]
pub struct NodeMemory {
    received: Arc<NodeBudget>,
    answered: Arc<NodeBudget>,
    limit_received: usize,
    limit_answered: usize,
}

impl NodeMemory {
    /// The budgets that the limits of a node allow.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            received: NodeBudget::new("node_received_bytes", limits.node_received_bytes),
            answered: NodeBudget::new("node_answered_bytes", limits.node_answered_bytes),
            limit_received: limits.received_bytes,
            limit_answered: limits.answered_bytes,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    /// The address of its peer.
    pub peer: SocketAddr,
    /// The address at which it was accepted.
    pub local: Option<SocketAddr>,
    /// Requests that are not handled yet.
    pub received: Arc<ByteBudget>,
    /// Responses that are not read yet.
    pub answered: Arc<ByteBudget>,
    /// Who has called on it.
    pub(in crate::edge) credentials: ConnectionCredentials,
    /// What is counted of its port.
    open: OpenConnection,
    /// How many streams of workers it carries.
    workers: AtomicUsize,
    /// How many streams of health it carries.
    watches: AtomicUsize,
    /// Set by the handshake.
    peer_certificate: OnceLock<Arc<PeerCertificate>>,
    /// The same, as long as it is accepted.
    #[cfg(feature = "tls")]
    client: OnceLock<Arc<ClientCertificate>>,
    /// The names of the node's own certificate. Set by the handshake.
    #[cfg(feature = "tls")]
    certified: OnceLock<Arc<[String]>>,
}

impl Connection {
    /// A new connection of a node.
    #[must_use]
    pub fn new(
        peer: SocketAddr,
        local: Option<SocketAddr>,
        memory: &NodeMemory,
        metrics: &Arc<PortMetrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            peer,
            local,
            received: ByteBudget::new(memory.limit_received, &memory.received),
            answered: ByteBudget::new(memory.limit_answered, &memory.answered),
            credentials: ConnectionCredentials::default(),
            open: OpenConnection::new(Arc::clone(metrics)),
            workers: AtomicUsize::new(0),
            watches: AtomicUsize::new(0),
            peer_certificate: OnceLock::new(),
            #[cfg(feature = "tls")]
            client: OnceLock::new(),
            #[cfg(feature = "tls")]
            certified: OnceLock::new(),
        })
    }

    /// The verified certificate of the client; `None` where it has none, and without TLS. Each request has it in its
    /// extensions, too, as an `Arc<PeerCertificate>`.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<&Arc<PeerCertificate>> {
        self.peer_certificate.get()
    }

    /// What is counted of its port.
    pub(in crate::edge) fn metrics(&self) -> &PortMetrics {
        self.open.metrics()
    }

    /// Under which names and at which address its requests reach the node.
    pub(super) fn reached(&self) -> Reached<'_> {
        #[cfg(feature = "tls")]
        let certified = self.certified.get().map_or(&[][..], |names| names);
        #[cfg(not(feature = "tls"))]
        let certified = &[];
        Reached {
            local: self.local,
            certified,
        }
    }

    /// Keeps the names of the certificate that the node presented.
    #[cfg(feature = "tls")]
    pub(super) fn set_certified(&self, names: Arc<[String]>) {
        let _ = self.certified.set(names);
    }

    /// Keeps the certificate that the handshake has verified.
    #[cfg(feature = "tls")]
    pub(super) fn set_client(&self, names: PeerCertificate, client: Arc<ClientCertificate>) {
        let _ = self.peer_certificate.set(Arc::new(names));
        let _ = self.client.set(client);
    }

    /// Resolves once the certificate of the client is no longer accepted. Never for a client without one.
    pub(super) async fn withdrawn(&self) {
        #[cfg(feature = "tls")]
        if let Some(client) = self.client.get() {
            return client.withdrawn().await;
        }
        std::future::pending().await
    }

    /// Notes that it carries the stream of a worker, until the guard is dropped.
    ///
    /// Nested calls of its handlers use the same connection. They do not wait for its budget, because one may wait for
    /// another that waits for the budget; the node's budget holds for them.
    #[must_use]
    pub fn carry_worker(self: &Arc<Self>) -> CarriesWorker {
        self.workers.fetch_add(1, Ordering::AcqRel);
        CarriesWorker {
            connection: Arc::clone(self),
            _never_wait: self.answered.never_wait(),
        }
    }

    /// Whether it carries the stream of a worker.
    #[must_use]
    pub fn has_worker(&self) -> bool {
        self.workers.load(Ordering::Acquire) > 0
    }
}

impl Connection {
    /// Notes that it carries a stream of health, until the guard is dropped; `None` where it carries `limit` already.
    pub(in crate::edge) fn carry_watch(self: &Arc<Self>, limit: usize) -> Option<CarriesWatch> {
        let add = |open: usize| (open < limit).then_some(open + 1);
        let added = self
            .watches
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        added.ok().map(|_| CarriesWatch(Arc::clone(self)))
    }
}

/// While it lives, the connection carries a stream of health.
#[derive(Debug)]
pub(in crate::edge) struct CarriesWatch(Arc<Connection>);

impl Drop for CarriesWatch {
    fn drop(&mut self) {
        self.0.watches.fetch_sub(1, Ordering::AcqRel);
    }
}

/// While it lives, the connection carries the stream of a worker.
#[derive(Debug)]
pub struct CarriesWorker {
    connection: Arc<Connection>,
    _never_wait: NeverWait,
}

impl Drop for CarriesWorker {
    fn drop(&mut self) {
        self.connection.workers.fetch_sub(1, Ordering::AcqRel);
    }
}
