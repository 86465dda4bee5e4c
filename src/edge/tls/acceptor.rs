//! Handshakes: at most so many at once, each within a timeout, with the certificate of the moment.

use std::io;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::certificate::peer_certificate;
use super::server_tls::{Loaded, ServerTls};
use super::socket::TlsSocket;
use crate::edge::connection::Connection;
use crate::engine::log_limit::LogLimit;
use crate::engine::{Limits, NodeCertificate};
use crate::model::error::Result;

/// How long, and how much, the node still reads from a client that it refused: a connection that is closed with unread
/// bytes is reset, and the client would not learn why.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 * 1024;

/// Makes the handshakes of a port.
#[derive(Debug)]
pub struct TlsAcceptor {
    tls: ServerTls,
    config: ArcSwap<ServerConfig>,
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
            config,
            certificate,
            warnings,
        } = tls.load(now)?;
        warn(&warnings);
        let acceptor = Self {
            tls,
            config: ArcSwap::new(config),
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

    /// Reads the files again: later handshakes use what they hold. Connections that are open stay.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new); then nothing changes.
    pub(super) fn reload(&self, now: Timestamp) -> Result<NodeCertificate> {
        let loaded = self.tls.load(now)?;
        warn(&loaded.warnings);
        self.config.store(loaded.config);
        Ok(loaded.certificate)
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
        let acceptor = tokio_rustls::TlsAcceptor::from(self.config.load_full());
        let accepted = acceptor.accept(stream).into_fallible().await;
        drop(permit);
        match accepted {
            Ok(stream) => {
                let chain = stream.get_ref().1.peer_certificates();
                if let Some(leaf) = chain.and_then(|chain| chain.first()) {
                    let Some(peer) = peer_certificate(leaf) else {
                        // Without names nobody could tell whose connection it is.
                        self.note(
                            connection,
                            "certificate",
                            "the client certificate is malformed",
                        );
                        return None;
                    };
                    connection.set_peer_certificate(peer);
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

    /// Logs a handshake that failed, once a minute for each reason: clients choose how often they try.
    fn note(&self, connection: &Connection, reason: &'static str, why: &str) {
        let peer = connection.peer;
        match self.failures.is_due(reason, Instant::now()) {
            Some(omitted) => tracing::warn!(%peer, omitted, "TLS handshake failed: {why}"),
            None => tracing::debug!(%peer, "TLS handshake failed: {why}"),
        }
    }
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
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
        Some(Error::InvalidCertificate(error)) => (
            "certificate",
            format!("the client certificate is not accepted: {error}"),
        ),
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
