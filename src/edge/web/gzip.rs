//! Compression of messages, with a limit on what they are decompressed to.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::body::too_large;
use super::envelope::malformed;
use crate::model::error::Result;

/// Shorter messages are sent as they are: they would hardly become shorter.
const MIN_BYTES: usize = 1_024;

/// Decompresses a message of at most `limit` bytes. Nothing compressed is the empty message.
///
/// # Errors
///
/// `MALFORMED_MESSAGE` where it is not gzip; `MESSAGE_TOO_LARGE`.
pub(super) fn decompressed(compressed: &[u8], limit: usize) -> Result<Bytes> {
    let mut message = Vec::new();
    if compressed.is_empty() {
        return Ok(message.into());
    }
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut reader = GzDecoder::new(compressed).take(most);
    let read = reader.read_to_end(&mut message);
    read.map_err(|_| malformed("it is not gzip, as its encoding says"))?;
    match message.len() > limit {
        true => Err(too_large(limit)),
        false => Ok(message.into()),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_decompressed_up_to_a_limit() {
        let message = b"abc".repeat(1_000);
        let gzip = compressed(&message).unwrap();
        assert!(gzip.len() < 100);
        assert_eq!(decompressed(&gzip, 3_000).unwrap(), message);
        let reason = |compressed: &[u8], limit| {
            let error = decompressed(compressed, limit).unwrap_err();
            error.reason().to_owned()
        };
        assert_eq!(reason(&gzip, 2_999), "MESSAGE_TOO_LARGE");
        assert_eq!(reason(b"abc", 10), "MALFORMED_MESSAGE");
        assert_eq!(reason(&gzip[..20], 3_000), "MALFORMED_MESSAGE");
        assert_eq!(compressed(b"abc"), None);
    }
}
