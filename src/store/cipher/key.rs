//! A key: its id, and the cipher that it is for. Nothing shows the key itself.

use std::fmt;

use chacha20poly1305::aead::{AeadInOut as _, Generate as _, KeyInit as _};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};

use super::error::{cannot_seal, damaged, key_invalid};
use super::place::Place;
use super::sealed::{NONCE_BYTES, Sealed, TAG_BYTES, header};
use crate::model::error::Result;

pub(super) const KEY_BYTES: usize = 32;
/// How many characters the id of a key has at most.
pub(super) const MAX_ID: usize = 32;

/// A key of a store.
pub(in crate::store) struct StoreKey {
    id: Box<str>,
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreKey").field(&self.id).finish()
    }
}

/// Whether a text is the id of a key: up to 32 letters, digits, `-`, `_` and `.`, the first one a letter or a digit.
pub(super) fn is_id(text: &str) -> bool {
    let of_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.len() <= MAX_ID
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(of_id)
}

impl StoreKey {
    /// A key with a valid id.
    pub(super) fn new(id: &str, key: &[u8; KEY_BYTES]) -> Self {
        Self {
            id: id.into(),
            cipher: XChaCha20Poly1305::new(key.into()),
        }
    }

    /// The id, which is no secret.
    pub(in crate::store) fn id(&self) -> &str {
        &self.id
    }

    /// Seals a blob for a place. Each call has a nonce of its own.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `STORE_FAILED`: the system has no random bytes.
    pub(in crate::store) fn seal(&self, place: Place, plain: &[u8]) -> Result<Vec<u8>> {
        let nonce = XNonce::try_generate().map_err(cannot_seal)?;
        let length = u32::try_from(plain.len() + TAG_BYTES).map_err(cannot_seal)?;
        let mut blob = header(&self.id);
        let context = place.context(&blob);
        blob.reserve_exact(NONCE_BYTES + 4 + plain.len() + TAG_BYTES);
        blob.extend_from_slice(&nonce);
        blob.extend_from_slice(&length.to_be_bytes());
        let start = blob.len();
        blob.extend_from_slice(plain);
        let body = blob.get_mut(start..).unwrap_or_default();
        let tag = self
            .cipher
            .encrypt_inout_detached(&nonce, &context, body.into())
            .map_err(cannot_seal)?;
        blob.extend_from_slice(&tag);
        Ok(blob)
    }

    /// Opens a blob that was sealed with this key for a place. The tag is compared in constant time.
    ///
    /// # Errors
    ///
    /// `DATA_LOSS` / `STORE_DAMAGED`: it was changed, or sealed for another place or with another key.
    pub(in crate::store) fn open(&self, place: Place, sealed: &Sealed<'_>) -> Result<Vec<u8>> {
        let context = place.context(sealed.header);
        let mut plain = sealed.ciphertext.to_vec();
        let (nonce, tag) = (XNonce::from(*sealed.nonce), Tag::from(*sealed.tag));
        self.cipher
            .decrypt_inout_detached(&nonce, &context, plain.as_mut_slice().into(), &tag)
            .map_err(|_| damaged("an encrypted blob that was changed, or does not belong here"))?;
        Ok(plain)
    }

    /// An empty blob, sealed: it shows later whether a key with this id is this one.
    pub(in crate::store) fn sample(&self) -> Result<Vec<u8>> {
        self.seal(Place::SAMPLE, &[])
    }

    /// Checks that this is the key that sealed a sample.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `STORE_KEY_INVALID`.
    pub(in crate::store) fn check_sample(&self, sample: &[u8]) -> Result<()> {
        let is_ours = Sealed::split(sample).is_ok_and(|(sealed, rest)| {
            rest.is_empty() && self.open(Place::SAMPLE, &sealed).is_ok()
        });
        match is_ours {
            true => Ok(()),
            false => Err(key_invalid(format!(
                "the key `{}` is not the one with this id that was used before: a new key needs a new id",
                self.id
            ))),
        }
    }
}
