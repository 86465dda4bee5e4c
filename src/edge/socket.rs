//! The socket of a connection, with TLS or without, and how a connection begins.

use std::io;
use std::pin::Pin;
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::edge::connection::Connection;
#[cfg(feature = "tls")]
use crate::edge::plain_refusal;
use crate::edge::preface::{self, FirstBytes};
#[cfg(feature = "tls")]
use crate::edge::tls::{TlsAcceptor, TlsSocket};

/// Whether the connections of a port use TLS.
#[derive(Clone, Debug)]
pub enum Transport {
    /// They do not.
    Plain,
    /// They do.
    #[cfg(feature = "tls")]
    Tls(Arc<TlsAcceptor>),
}

impl Transport {
    /// Waits until a client begins: for its first bytes and, with TLS, for the handshake and the first bytes after it.
    /// `None` where the connection is over. A client that does not use TLS where the port does is answered here.
    pub(super) async fn begin(
        &self,
        stream: TcpStream,
        connection: &Connection,
        timeout: Duration,
    ) -> Option<Socket> {
        match (self, preface::first_bytes(&stream, timeout).await) {
            (_, FirstBytes::Nothing) => {
                tracing::debug!(peer = %connection.peer, "connection closed before its first request");
                None
            }
            (Self::Plain, first) => {
                // hyper answers it in plain text, by which TLS libraries recognize a port without TLS.
                if first == FirstBytes::Tls {
                    note_tls(connection);
                }
                Some(Socket::Plain(stream))
            }
            #[cfg(feature = "tls")]
            (Self::Tls(acceptor), FirstBytes::Tls) => {
                let socket = acceptor.accept(stream, connection).await?;
                Some(Socket::Tls(Box::new(socket)))
            }
            #[cfg(feature = "tls")]
            (Self::Tls(_), FirstBytes::Http) => {
                plain_refusal::refuse(stream, connection, timeout).await;
                None
            }
        }
    }
}

/// Logs that a client uses TLS; as a warning only the first time, since the client chooses how often it connects.
fn note_tls(connection: &Connection) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    const MESSAGE: &str = "a client uses TLS, which this port does not: connect without it (`http://`, grpcurl \
                           `-plaintext`, insecure credentials), or start the node with `--tls-cert` and `--tls-key`";
    let peer = connection.peer;
    match WARNED.swap(true, Ordering::Relaxed) {
        false => tracing::warn!(%peer, "{MESSAGE}"),
        true => tracing::debug!(%peer, "{MESSAGE}"),
    }
}

/// The socket of a connection. An enum: with a pointer to a trait, each read and write would be an indirect call.
#[derive(Debug)]
pub(super) enum Socket {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<TlsSocket>),
}

impl AsyncRead for Socket {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, data),
        }
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
        }
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
