//! Seals the blobs of a store, and opens them. Without keys it passes them on as they are.

use std::borrow::Cow;

use super::error::{damaged, keys_missing};
use super::keys::StoreKeys;
use super::place::Place;
use super::sealed::{Sealed, is_sealed};
use crate::model::error::Result;

/// Seals and opens blobs.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct BlobCipher {
    keys: Option<StoreKeys>,
    /// Whether plain blobs are refused.
    encrypted_only: bool,
}

impl BlobCipher {
    /// A cipher with these keys; without keys, one that seals nothing.
    pub(in crate::store) fn new(keys: Option<StoreKeys>, encrypted_only: bool) -> Self {
        Self {
            keys,
            encrypted_only,
        }
    }

    pub(in crate::store) fn keys(&self) -> Option<&StoreKeys> {
        self.keys.as_ref()
    }

    /// Whether it seals.
    #[inline]
    pub(in crate::store) fn is_on(&self) -> bool {
        self.keys.is_some()
    }

    /// Seals a blob for a place, with the first key.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `STORE_FAILED`: the system has no random bytes.
    #[inline]
    pub(in crate::store) fn seal(&self, place: Place, plain: Vec<u8>) -> Result<Vec<u8>> {
        match &self.keys {
            None => Ok(plain),
            Some(keys) => keys.ring().first().seal(place, &plain),
        }
    }

    /// Opens a blob of a place. One that is plain is passed on, unless these are refused.
    ///
    /// # Errors
    ///
    /// `DATA_LOSS` / `STORE_DAMAGED`: it is not what was sealed for this place, or plain and refused;
    /// `FAILED_PRECONDITION` / `STORE_KEY_MISSING`.
    #[inline]
    pub(in crate::store) fn open<'b>(&self, place: Place, blob: &'b [u8]) -> Result<Cow<'b, [u8]>> {
        if !is_sealed(blob) {
            return self.check_plain(blob).map(|()| Cow::Borrowed(blob));
        }
        match Sealed::split(blob)? {
            (sealed, []) => self.open_sealed(place, &sealed).map(Cow::Owned),
            _ => Err(damaged("an encrypted blob with something behind it")),
        }
    }

    /// Opens one that is known to be sealed.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub(in crate::store) fn open_sealed(
        &self,
        place: Place,
        sealed: &Sealed<'_>,
    ) -> Result<Vec<u8>> {
        let ring = self.keys.as_ref().map(StoreKeys::ring);
        match ring.as_ref().and_then(|ring| ring.get(sealed.key_id)) {
            Some(key) => key.open(place, sealed),
            None => Err(keys_missing("it needs", &[sealed.key_id])),
        }
    }

    /// Refuses a plain blob where all must be sealed. One of no bytes says nothing.
    ///
    /// # Errors
    ///
    /// `DATA_LOSS` / `STORE_DAMAGED`.
    #[inline]
    pub(in crate::store) fn check_plain(&self, blob: &[u8]) -> Result<()> {
        match self.encrypted_only && !blob.is_empty() {
            false => Ok(()),
            true => Err(damaged(
                "it is not encrypted, and the node was told to read nothing that is not",
            )),
        }
    }
}

#[cfg(test)]
mod tests;
