//! Compression of what the node sends: whether a caller reads gzip, and the gzip of a message.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName};

pub(super) const GZIP: &str = "gzip";
/// Shorter messages are sent as they are: they would hardly become shorter.
const MIN_BYTES: usize = 1_024;

/// Compresses a message; `None` where that is not worth it.
pub(super) fn compressed(message: &[u8]) -> Option<Bytes> {
    if message.len() < MIN_BYTES {
        return None;
    }
    let buffer = Vec::with_capacity(message.len() / 4);
    let mut encoder = GzEncoder::new(buffer, Compression::fast());
    // It is written to memory, which does not fail.
    encoder.write_all(message).ok()?;
    let compressed = encoder.finish().ok()?;
    (compressed.len() < message.len()).then(|| compressed.into())
}

/// Whether a header lists gzip (RFC 9110, 12.5.3); Connect has one of its own for streams. `*` does not: a caller that
/// has no gzip may write it.
pub(super) fn accepts_gzip(headers: &HeaderMap, name: &HeaderName) -> bool {
    let values = headers.get_all(name).iter();
    let mut encodings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|all| all.split(','));
    encodings.any(|encoding| {
        let (name, parameters) = encoding.split_once(';').unwrap_or((encoding, ""));
        let weight = parameters.trim().strip_prefix("q=").unwrap_or("1");
        let is_refused = weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0);
        name.trim().eq_ignore_ascii_case(GZIP) && !is_refused
    })
}
