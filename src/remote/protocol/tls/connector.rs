//! Connects to a node over TLS: TCP, the handshake, and whether the node accepts the client.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ProtocolVersion, SignatureScheme};
use tokio::io::AsyncBufRead;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::client_tls::ClientTls;
use super::failure::{handshake_error, no_http2};
use crate::model::error::{BoxError, Error, Result, reason};

/// How long a client that was asked for a certificate waits to hear whether it is accepted. A server of TLS 1.3 says it
/// after the handshake of the client is over; one that accepts may say nothing.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects to the host and port of a URI. Its errors are those of the model, in a box.
#[derive(Clone, Debug)]
pub(in crate::remote) struct TlsConnector {
    tls: ClientTls,
    tcp: HttpConnector,
}

impl TlsConnector {
    pub(in crate::remote) fn new(tls: ClientTls) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self { tls, tcp }
    }

    /// Checks that the files can be read and used now.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `TLS_INVALID`.
    pub(in crate::remote) fn check(&self) -> Result<()> {
        self.tls.config().map(drop)
    }
}

impl Service<Uri> for TlsConnector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = BoxError;
    type Future =
        Pin<Box<dyn Future<Output = std::result::Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let tls = self.tls.clone();
        let connect = self.tcp.call(uri.clone());
        Box::pin(async move {
            let socket = connect.await?.into_inner();
            let stream = handshake(tls, socket, &uri).await?;
            Ok(TokioIo::new(stream))
        })
    }
}

/// Reads the files anew, and makes the handshake.
async fn handshake(tls: ClientTls, socket: TcpStream, uri: &Uri) -> Result<TlsStream<TcpStream>> {
    let node = uri.authority().map_or("the node", |node| node.as_str());
    let has_certificate = tls.has_certificate();
    let read = tokio::task::spawn_blocking(move || tls.config()).await;
    let mut config = read
        .map_err(|_| Error::internal(reason::TLS_FAILED, "the certificates could not be read"))??;
    let asked = Arc::new(Asked::new(config.client_auth_cert_resolver));
    config.client_auth_cert_resolver = Arc::clone(&asked) as _;
    let name = server_name(uri)?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let failed = |error| handshake_error(node, &error, has_certificate);
    let mut stream = connector.connect(name, socket).await.map_err(failed)?;
    let session = stream.get_ref().1;
    if session.alpn_protocol() != Some(b"h2") {
        return Err(no_http2(node));
    }
    if asked.was_asked() && session.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
        let verdict = tokio::time::timeout(VERDICT_TIMEOUT, verdict(&mut stream)).await;
        verdict.unwrap_or(Ok(())).map_err(failed)?;
    }
    Ok(stream)
}

/// Waits until the node says something after the handshake: a ticket or data where it accepts the client.
async fn verdict(stream: &mut TlsStream<TcpStream>) -> std::io::Result<()> {
    poll_fn(|cx| match Pin::new(&mut *stream).poll_fill_buf(cx) {
        Poll::Ready(Ok([])) => Poll::Ready(Err(std::io::ErrorKind::UnexpectedEof.into())),
        Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => match stream.get_ref().1.tls13_tickets_received() {
            0 => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        },
    })
    .await
}

/// The name that the certificate of the node must have.
fn server_name(uri: &Uri) -> Result<ServerName<'static>> {
    let host = uri.host().unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    ServerName::try_from(host.to_owned()).map_err(|_| {
        let message = format!("`{host}` is not a name that a certificate can have");
        Error::invalid_argument(reason::REQUEST_INVALID, message)
    })
}

/// Remembers whether the node asked for a certificate.
#[derive(Debug)]
struct Asked {
    certificate: Arc<dyn ResolvesClientCert>,
    asked: AtomicBool,
}

impl Asked {
    fn new(certificate: Arc<dyn ResolvesClientCert>) -> Self {
        Self {
            certificate,
            asked: AtomicBool::new(false),
        }
    }

    fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.certificate.resolve(issuers, schemes)
    }

    fn has_certs(&self) -> bool {
        self.certificate.has_certs()
    }
}
