//! Handshakes: at most so many at once, each within a timeout, with the certificate of the moment.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::certificate::peer_certificate;
use super::clients::{ClientCertificate, ConnectedClients};
use super::server_tls::{Accepts, Loaded, ServerTls};
use super::socket::TlsSocket;
use crate::edge::connection::Connection;
use crate::engine::log_limit::LogLimit;
use crate::engine::{Limits, NodeCertificate};
use crate::model::error::Result;

/// How long, and how much, the node still reads from a client that it refused: a connection that is closed with unread
/// bytes is reset, and the client would not learn why.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 * 1024;
/// How many client certificates that are no longer accepted are logged one by one.
const MAX_LOGGED: usize = 20;

/// Makes the handshakes of a port.
#[derive(Debug)]
pub struct TlsAcceptor {
    tls: ServerTls,
    accepts: ArcSwap<Accepts>,
    clients: Arc<ConnectedClients>,
    handshakes: Semaphore,
    timeout: Duration,
    failures: LogLimit,
}

impl TlsAcceptor {
    /// Reads the files; also returns what the certificate is.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `TLS_INVALID`, with a violation for each file that cannot be used.
    pub(crate) fn new(
        tls: ServerTls,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<(Self, NodeCertificate)> {
        let Loaded {
            accepts,
            certificate,
            warnings,
        } = tls.load(now)?;
        warn(&warnings);
        let acceptor = Self {
            tls,
            accepts: ArcSwap::from_pointee(accepts),
            clients: Arc::default(),
            handshakes: Semaphore::new(limits.tls_handshakes.clamp(1, Semaphore::MAX_PERMITS)),
            timeout: limits.tls_handshake_timeout,
            failures: LogLimit::default(),
        };
        Ok((acceptor, certificate))
    }

    /// The files that it reads.
    pub(super) fn files(&self) -> &ServerTls {
        &self.tls
    }

    /// Whether nobody connects without a certificate of the given CAs.
    pub(crate) fn authenticates_clients(&self) -> bool {
        self.tls.authenticates_clients()
    }

    /// Reads the files again: later handshakes use what they hold. Connections that are open stay, unless their client
    /// certificate is not accepted any more.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new); then nothing changes.
    pub(super) fn reload(&self, now: Timestamp) -> Result<NodeCertificate> {
        let loaded = self.tls.load(now)?;
        warn(&loaded.warnings);
        let accepts = Arc::new(loaded.accepts);
        // Before the check: a handshake that ends meanwhile sees the one or is seen by the other.
        self.accepts.store(Arc::clone(&accepts));
        let withdrawn = self.clients.check(&*accepts.clients);
        let withdrawn = withdrawn
            .iter()
            .map(|(certificate, error)| (&**certificate, refusal(error)));
        log_closed(withdrawn);
        Ok(loaded.certificate)
    }

    /// Ends the connections whose client certificate has expired.
    pub(super) fn end_expired(&self, now: Timestamp) {
        let expired = self.clients.end_expired(now);
        let why = |certificate| (certificate, "the client certificate has expired".to_owned());
        log_closed(expired.iter().map(|it| why(&**it)));
    }

    /// Makes the handshake of a connection, whose first bytes are of TLS, and waits for its first request. `None` where
    /// there is none in time: the connection is over.
    pub(in crate::edge) async fn accept(
        &self,
        stream: TcpStream,
        connection: &Connection,
    ) -> Option<TlsSocket> {
        let socket = tokio::time::timeout(self.timeout, self.handshake(stream, connection)).await;
        socket.unwrap_or_else(|_| {
            self.note(connection, "timeout", "not over in time");
            None
        })
    }

    async fn handshake(&self, stream: TcpStream, connection: &Connection) -> Option<TlsSocket> {
        // Held for the handshake alone: what follows costs no more than without TLS.
        let permit = self.handshakes.acquire().await.ok()?;
        let accepts = self.accepts.load_full();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&accepts.config));
        let accepted = acceptor.accept(stream).into_fallible().await;
        drop(permit);
        match accepted {
            Ok(stream) => {
                connection.set_certified(Arc::clone(&accepts.names));
                let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                if !chain.is_empty() {
                    self.note_client(chain, &accepts, connection)?;
                }
                TlsSocket::begin(stream).await
            }
            Err((error, stream)) => {
                let (reason, why) = failure(&error);
                self.note(connection, reason, &why);
                linger(stream).await;
                None
            }
        }
    }

    /// Keeps the certificate of a client with its connection; `None` where the connection is over.
    fn note_client(
        &self,
        chain: &[CertificateDer<'static>],
        accepted_by: &Arc<Accepts>,
        connection: &Connection,
    ) -> Option<()> {
        let client = self.clients.add(chain);
        let Some(peer) = peer_certificate(client.leaf()) else {
            // Without names nobody could tell whose connection it is.
            let why = "the client certificate is malformed";
            self.note(connection, "certificate", why);
            return None;
        };
        let now = self.accepts.load();
        // The files were read during the handshake.
        if !Arc::ptr_eq(&now, accepted_by)
            && let Err(error) = client.verify(&*now.clients)
        {
            self.note(connection, "certificate", &refusal(&error));
            return None;
        }
        connection.set_client(peer, client);
        Some(())
    }

    /// Logs a handshake that failed, once a minute for each reason: clients choose how often they try.
    fn note(&self, connection: &Connection, reason: &'static str, why: &str) {
        let peer = connection.peer;
        match self.failures.is_due(reason, Instant::now()) {
            Some(omitted) => tracing::warn!(%peer, omitted, "TLS handshake failed: {why}"),
            None => tracing::debug!(%peer, "TLS handshake failed: {why}"),
        }
    }
}

/// Logs that the connections of client certificates were closed, the first ones one by one.
fn log_closed<'a>(closed: impl ExactSizeIterator<Item = (&'a ClientCertificate, String)>) {
    let more = closed.len().saturating_sub(MAX_LOGGED);
    for (certificate, why) in closed.take(MAX_LOGGED) {
        let peer = peer_certificate(certificate.leaf()).unwrap_or_default();
        let (subject, serial) = (peer.subject, peer.serial);
        tracing::warn!(subject, serial, "connections closed: {why}");
    }
    if more > 0 {
        tracing::warn!(
            certificates = more,
            "connections of more client certificates closed"
        );
    }
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// Why a client certificate is not accepted.
fn refusal(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(CertificateError::Revoked) => {
            "the client certificate is revoked (`--tls-client-crl`)".to_owned()
        }
        Error::InvalidCertificate(CertificateError::UnknownRevocationStatus) => {
            "`--tls-client-crl` has no list of the CA of the client certificate".to_owned()
        }
        Error::InvalidCertificate(error) => {
            format!("the client certificate is not accepted: {error}")
        }
        error => error.to_string(),
    }
}

/// A reason, of few, and what happened.
fn failure(error: &io::Error) -> (&'static str, String) {
    use rustls::Error;
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(Error::NoCertificatesPresented) => (
            "no certificate",
            "the client has no certificate, and this node requires one (`--tls-client-ca`)"
                .to_owned(),
        ),
        Some(error @ Error::InvalidCertificate(_)) => ("certificate", refusal(error)),
        Some(Error::AlertReceived(alert)) => (
            "refused",
            format!("the client refuses the certificate of this node: {alert:?}"),
        ),
        Some(error) => ("protocol", error.to_string()),
        None => ("connection", error.kind().to_string()),
    }
}

/// Closes a refused connection so that its client gets the alert.
async fn linger(mut stream: TcpStream) {
    let read = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(LINGER, read).await;
}
