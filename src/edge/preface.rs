//! Detection of silent connections: waits for the first bytes of a connection, and for all of an HTTP/2 preface.

use std::time::Duration;

use tokio::net::TcpStream;

/// How often a partially received preface is checked again.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether the client sends its first request line or HTTP/2 preface in time. hyper alone would wait forever for the
/// rest of an HTTP/2 preface.
pub(super) async fn is_received(stream: &TcpStream, timeout: Duration) -> bool {
    let mut seen = [0; PREFACE.len()];
    let received = async {
        loop {
            match stream.peek(&mut seen).await {
                Ok(0) | Err(_) => return false,
                Ok(n) if n == PREFACE.len() => return true,
                Ok(n) if !PREFACE.starts_with(seen.get(..n).unwrap_or_default()) => return true,
                // `peek` leaves half a preface readable, so the stream would be ready again at once.
                Ok(_) => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
    };
    tokio::time::timeout(timeout, received)
        .await
        .unwrap_or(false)
}
