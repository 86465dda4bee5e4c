//! The first bytes of a connection: waits for them, and for all of an HTTP/2 preface; recognizes TLS.

use std::time::Duration;

use tokio::net::TcpStream;

/// How often a partially received preface is checked again.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How many bytes tell what a client sends.
pub(super) const MAX_FIRST_BYTES: usize = PREFACE.len();
/// The content type and the major version of a TLS record with a handshake.
const TLS_HANDSHAKE: &[u8] = &[0x16, 0x03];

/// What a client sends first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstBytes {
    /// Too little in time, or the end.
    Nothing,
    /// A TLS handshake.
    Tls,
    /// The line of an HTTP/1 request, an HTTP/2 preface, or anything else.
    Http,
}

/// Waits until the client sends its first request line or HTTP/2 preface. hyper alone would wait forever for the rest
/// of an HTTP/2 preface.
pub(super) async fn first_bytes(stream: &TcpStream, timeout: Duration) -> FirstBytes {
    let mut seen = [0; MAX_FIRST_BYTES];
    let received = async {
        loop {
            let seen = match stream.peek(&mut seen).await {
                Ok(0) | Err(_) => return FirstBytes::Nothing,
                Ok(n) => seen.get(..n).unwrap_or_default(),
            };
            if let Some(first) = recognize(seen) {
                return first;
            }
            // `peek` leaves half a preface readable, so the stream would be ready again at once.
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    tokio::time::timeout(timeout, received)
        .await
        .unwrap_or(FirstBytes::Nothing)
}

/// What these bytes begin; `None` where more are needed to tell.
pub(super) fn recognize(seen: &[u8]) -> Option<FirstBytes> {
    if seen.starts_with(TLS_HANDSHAKE) {
        return Some(FirstBytes::Tls);
    }
    let may_be_either = PREFACE.starts_with(seen) || TLS_HANDSHAKE.starts_with(seen);
    (seen == PREFACE || !may_be_either).then_some(FirstBytes::Http)
}
