//! A socket whose peer has to read: HTTP/1 has no flow control that would tell, and no heartbeat.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::progress_timer::ProgressTimer;

pin_project! {
    /// A socket that fails with `TimedOut` where its peer does not read, or very little, for a timeout.
    #[derive(Debug)]
    pub(super) struct WriteTimeout<S> {
        #[pin]
        socket: S,
        // Armed while bytes wait for the peer.
        unread: ProgressTimer,
    }
}

impl<S> WriteTimeout<S> {
    pub(super) fn new(socket: S, timeout: Duration) -> Self {
        Self {
            socket,
            unread: ProgressTimer::new(timeout),
        }
    }
}

impl<S: AsyncRead> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().socket.poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite> WriteTimeout<S> {
    /// Checks the result of a write of `wanted` bytes.
    fn check(
        unread: &mut ProgressTimer,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
        wanted: usize,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) if bytes < wanted => unread.advance(bytes),
            // The socket has room for more.
            Poll::Ready(_) => unread.disarm(),
            Poll::Pending => {
                unread.arm();
                if unread.poll_expired(cx).is_ready() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        written
    }
}

impl<S: AsyncWrite> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.socket.poll_write(cx, data);
        Self::check(this.unread, cx, written, data.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.socket.poll_write_vectored(cx, slices);
        let wanted = slices.iter().map(|slice| slice.len()).sum();
        Self::check(this.unread, cx, written, wanted)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().socket.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().socket.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::{Instant, sleep};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_fails_the_write_after_the_timeout() {
        let (socket, _peer) = tokio::io::duplex(1024);
        let start = Instant::now();
        let written = WriteTimeout::new(socket, TIMEOUT)
            .write_all(&[0; 4096])
            .await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), TIMEOUT.as_secs());
    }

    /// Writes 1 MiB to a peer that reads so many bytes each second, and returns how long it took.
    async fn write_to(bytes_a_second: usize) -> (io::Result<()>, Duration) {
        let (socket, mut peer) = tokio::io::duplex(1024);
        let read = async {
            let mut buffer = vec![0; bytes_a_second];
            while peer.read_exact(&mut buffer).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        };
        let start = Instant::now();
        let write = async {
            let mut socket = WriteTimeout::new(socket, TIMEOUT);
            (socket.write_all(&vec![0; 1 << 20]).await, start.elapsed())
        };
        tokio::join!(write, read).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_very_little_does_not_read() {
        let (slow, after) = write_to(512).await;
        assert_eq!(slow.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(after.as_secs(), TIMEOUT.as_secs());
        let (steady, after) = write_to(4096).await;
        steady.unwrap();
        assert!(after > 8 * TIMEOUT);
    }
}
