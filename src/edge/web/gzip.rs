//! Decompression of messages, with a limit on what they become.

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::GzDecoder;

use super::body::too_large;
use super::envelope::malformed;
use crate::model::error::Result;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::compression::compressed;

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
