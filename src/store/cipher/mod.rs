//! Encrypts what callers sent and got, for the stores that last: keys, the file that they are in, and sealed blobs.
//!
//! ```text
//!  key file ──▶ StoreKeys ──▶ BlobCipher ──▶ seal: blob ──▶ mark, version, key id, nonce, ciphertext, tag
//!                                        └─▶ open: sealed by a known key, for this place; plain blobs pass
//! ```
//!
//! XChaCha20-Poly1305 with random nonces of 24 bytes. A counter would have to survive crashes and restored backups,
//! which write again from an earlier state; 24 random bytes never collide. `docs/encryption.md` says what is promised.

mod blob_cipher;
mod error;
mod key;
mod key_file;
mod key_ring;
mod keys;
#[cfg(feature = "cli")]
mod new_key;
mod place;
mod sealed;

pub(in crate::store) use self::blob_cipher::BlobCipher;
pub(in crate::store) use self::error::keys_missing;
pub(in crate::store) use self::key::StoreKey;
pub(in crate::store) use self::key_ring::KeyRing;
pub use self::keys::StoreKeys;
#[cfg(feature = "cli")]
pub(crate) use self::new_key::new_key;
pub(in crate::store) use self::place::{Column, Place};
pub(in crate::store) use self::sealed::{Sealed, is_sealed};
