//! The layout of a sealed blob. It tells by itself that it is one, and which key opens it.
//!
//! ```text
//!  0x00 │ version │ length of key id │ key id │ nonce (24) │ length of the rest (4, BE) │ ciphertext │ tag (16)
//! ```
//!
//! No plain blob begins with 0x00: it would be a message with the field 0, which protobuf does not have, or a message
//! of no bytes in front of others, which is never written.

use super::error::damaged;
use crate::model::error::Result;

/// The first byte.
const MARK: u8 = 0;
/// The version of the layout, and of the algorithm.
pub(super) const VERSION: u8 = 1;
pub(super) const NONCE_BYTES: usize = 24;
pub(super) const TAG_BYTES: usize = 16;
/// The mark, the version and the length of the key id.
const FIRST_BYTES: usize = 3;

/// Whether a blob, or what follows in a column of several, is sealed.
#[inline]
pub(in crate::store) fn is_sealed(blob: &[u8]) -> bool {
    blob.first() == Some(&MARK)
}

/// The parts of a sealed blob.
#[derive(Clone, Copy)]
pub(in crate::store) struct Sealed<'b> {
    /// The mark, the version and the key id: authenticated with the blob.
    pub(super) header: &'b [u8],
    pub(in crate::store) key_id: &'b str,
    pub(super) nonce: &'b [u8; NONCE_BYTES],
    pub(super) ciphertext: &'b [u8],
    pub(super) tag: &'b [u8; TAG_BYTES],
}

impl<'b> Sealed<'b> {
    /// Splits a sealed blob from what follows it.
    ///
    /// # Errors
    ///
    /// `DATA_LOSS` / `STORE_DAMAGED`.
    pub(in crate::store) fn split(blob: &'b [u8]) -> Result<(Self, &'b [u8])> {
        match blob.get(1) {
            Some(&VERSION) | None => {}
            Some(other) => {
                return Err(damaged(format_args!(
                    "an encrypted blob of version {other}, which this version does not know"
                )));
            }
        }
        Self::parse(blob).ok_or_else(|| damaged("an encrypted blob that is cut off"))
    }

    fn parse(blob: &'b [u8]) -> Option<(Self, &'b [u8])> {
        let id_bytes = usize::from(*blob.get(FIRST_BYTES - 1)?);
        let (header, rest) = blob.split_at_checked(FIRST_BYTES + id_bytes)?;
        let key_id = str::from_utf8(header.get(FIRST_BYTES..)?).ok()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (body, rest) = rest.split_at_checked(length)?;
        let (ciphertext, tag) = body.split_last_chunk()?;
        let sealed = Self {
            header,
            key_id,
            nonce,
            ciphertext,
            tag,
        };
        Some((sealed, rest))
    }
}

/// The header of a blob sealed with a key. The id has at most 32 bytes.
pub(super) fn header(key_id: &str) -> Vec<u8> {
    let length = u8::try_from(key_id.len()).unwrap_or(u8::MAX);
    let mut header = vec![MARK, VERSION, length];
    header.extend_from_slice(key_id.as_bytes());
    header
}
