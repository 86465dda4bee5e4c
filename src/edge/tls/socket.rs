//! A socket with TLS. Its first bytes have been read, to see whether a request begins.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::edge::preface::{self, MAX_FIRST_BYTES};

/// A TLS stream, and the bytes of it that were read before.
#[derive(Debug)]
pub(in crate::edge) struct TlsSocket {
    stream: TlsStream<TcpStream>,
    first: [u8; MAX_FIRST_BYTES],
    /// How many of them were read, and how many of these were handed on.
    read: usize,
    taken: usize,
}

impl TlsSocket {
    /// Reads the first bytes: the beginning of a request line, or all of an HTTP/2 preface. `None` at the end.
    pub(super) async fn begin(mut stream: TlsStream<TcpStream>) -> Option<Self> {
        let mut first = [0; MAX_FIRST_BYTES];
        let mut read = 0;
        while let Some(rest @ [_, ..]) = first.get_mut(read..) {
            match stream.read(rest).await {
                Ok(0) | Err(_) => return None,
                Ok(bytes) => read += bytes,
            }
            let seen = first.get(..read).unwrap_or_default();
            if preface::recognize(seen).is_some() {
                break;
            }
        }
        Some(Self {
            stream,
            first,
            read,
            taken: 0,
        })
    }
}

impl AsyncRead for TlsSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let first = this.first.get(this.taken..this.read).unwrap_or_default();
        if first.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let taken = first.len().min(buffer.remaining());
        buffer.put_slice(first.get(..taken).unwrap_or_default());
        this.taken += taken;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
