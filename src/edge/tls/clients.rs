//! The clients that are connected with a certificate. When the files are read again, their certificates are checked
//! again, and the connections of those that are no longer accepted end, as do those of a certificate that expires.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use tokio_util::sync::CancellationToken;

use super::certificate::expire_time;

/// A certificate with the intermediate ones, as its client has sent them.
type Chain = Arc<[CertificateDer<'static>]>;

/// The certificates with which clients are connected, each once: a fleet of clients may share one.
#[derive(Debug, Default)]
pub(super) struct ConnectedClients(Mutex<HashMap<Chain, Weak<ClientCertificate>>>);

/// A certificate with which clients are connected.
#[derive(Debug)]
pub(in crate::edge) struct ClientCertificate {
    chain: Chain,
    /// When the first one of the chain expires.
    expire_time: Timestamp,
    withdrawn: CancellationToken,
    clients: Arc<ConnectedClients>,
}

impl ConnectedClients {
    /// Adds a connection, which holds what is returned as long as it is open.
    pub(super) fn add(
        self: &Arc<Self>,
        chain: &[CertificateDer<'static>],
    ) -> Arc<ClientCertificate> {
        let mut certificates = self.lock();
        if let Some(known) = certificates.get(chain).and_then(Weak::upgrade) {
            return known;
        }
        let certificate = Arc::new(ClientCertificate {
            chain: chain.into(),
            expire_time: expire_time(chain),
            withdrawn: CancellationToken::new(),
            clients: Arc::clone(self),
        });
        let chain = Arc::clone(&certificate.chain);
        certificates.insert(chain, Arc::downgrade(&certificate));
        certificate
    }

    /// Ends the connections of those that `verifier` does not accept; returns their certificates, each with the reason.
    pub(super) fn check(
        &self,
        verifier: &dyn ClientCertVerifier,
    ) -> Vec<(Arc<ClientCertificate>, rustls::Error)> {
        let refused = self.all().into_iter().filter_map(|certificate| {
            let error = certificate.verify(verifier).err()?;
            self.withdraw(&certificate);
            Some((certificate, error))
        });
        refused.collect()
    }

    /// Ends the connections of those that have expired at a time; returns their certificates.
    pub(super) fn end_expired(&self, now: Timestamp) -> Vec<Arc<ClientCertificate>> {
        let mut expired = self.all();
        expired.retain(|certificate| certificate.expire_time <= now);
        for certificate in &expired {
            self.withdraw(certificate);
        }
        expired
    }

    fn withdraw(&self, certificate: &ClientCertificate) {
        // One that connects again is another entry.
        self.lock().remove(&certificate.chain);
        certificate.withdrawn.cancel();
    }

    /// All that are connected. The lock is not held while they are verified: handshakes wait for it.
    fn all(&self) -> Vec<Arc<ClientCertificate>> {
        self.lock().values().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Chain, Weak<ClientCertificate>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientCertificate {
    /// Resolves once it is no longer accepted.
    pub(in crate::edge) async fn withdrawn(&self) {
        self.withdrawn.cancelled().await;
    }

    /// The certificate itself, in DER.
    pub(super) fn leaf(&self) -> &[u8] {
        self.chain.first().map_or(&[], AsRef::as_ref)
    }

    /// Verifies it, as a handshake does.
    pub(super) fn verify(&self, verifier: &dyn ClientCertVerifier) -> Result<(), rustls::Error> {
        let Some((leaf, intermediates)) = self.chain.split_first() else {
            return Ok(());
        };
        // The time of handshakes.
        let verified = verifier.verify_client_cert(leaf, intermediates, UnixTime::now());
        verified.map(drop)
    }
}

impl Drop for ClientCertificate {
    fn drop(&mut self) {
        let mut certificates = self.clients.lock();
        // It may be known again, since the last connection has ended.
        if let Some(other) = certificates.get(&self.chain)
            && other.strong_count() == 0
        {
            certificates.remove(&self.chain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_known_once_and_as_long_as_it_is_used() {
        let clients = Arc::new(ConnectedClients::default());
        let chain = |byte: u8| [CertificateDer::from(vec![byte])];
        let (one, same, other) = (
            clients.add(&chain(1)),
            clients.add(&chain(1)),
            clients.add(&chain(2)),
        );
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
        drop(one);
        assert_eq!(clients.lock().len(), 2);
        drop(same);
        assert_eq!(clients.lock().len(), 1);
        drop(other);
        assert!(clients.lock().is_empty());
    }
}
