//! API keys as text: `cdy_<id>_<secret>`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::engine::store::SecretHash;
use crate::model::error::{Error, Result, reason};

/// What all keys begin with, so that scanners of source code find those that were committed by mistake.
const PREFIX: &str = "cdy_";
/// How many characters an id has: about 95 random bits.
const ID_CHARS: usize = 16;
/// How many random bytes a secret has.
const SECRET_BYTES: usize = 32;
/// Letters and digits. `_` ends an id.
const ID_ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new API key with its secret: shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeySecret(String);

impl ApiKeySecret {
    /// The text, as callers send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Generates a key: its text, its id, and the hash of its secret.
    ///
    /// # Errors
    ///
    /// `INTERNAL` where the system gives no random bytes.
    pub(super) fn generate() -> Result<(Self, String, SecretHash)> {
        let mut bytes = [0; ID_CHARS + SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| {
            let message = format!("the system gives no random bytes: {error}");
            Error::internal(reason::RANDOM_FAILED, message)
        })?;
        let (id, secret) = bytes.split_at(ID_CHARS);
        // An id need not be uniform, only unique.
        let id = id.iter().map(|byte| {
            let letter = ID_ALPHABET.get(usize::from(*byte) % ID_ALPHABET.len());
            letter.map_or('0', |letter| char::from(*letter))
        });
        let (id, secret) = (id.collect::<String>(), URL_SAFE_NO_PAD.encode(secret));
        let text = format!("{PREFIX}{id}_{secret}");
        Ok((Self(text), id, hash(&secret)))
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeySecret")
    }
}

/// Whether a credential looks like an API key.
pub(super) fn is_key(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Splits the text of a key into its id and its secret; `None` for anything else.
pub(super) fn parse(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix(PREFIX)?.split_once('_')
}

/// The id that a text is, or that the whole key has which it is: an operator revokes a key that leaked as it was found.
/// `None` for anything else, which may be a part of a secret.
#[must_use]
pub fn id_of_key(text: &str) -> Option<&str> {
    let id = parse(text).map_or(text, |(id, _)| id);
    let is_id = id.len() == ID_CHARS && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then_some(id)
}

/// The hash of a secret.
pub(super) fn hash(secret: &str) -> SecretHash {
    SecretHash(Sha256::digest(secret.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_parsed_and_its_debug_form_has_no_secret() {
        let (key, id, secret_hash) = ApiKeySecret::generate().unwrap();
        let (parsed, secret) = parse(key.expose()).unwrap();
        assert_eq!((parsed, hash(secret)), (id.as_str(), secret_hash));
        assert_eq!((id.len(), secret.len()), (16, 43));
        assert!(is_key(key.expose()));
        assert_eq!(id_of_key(key.expose()), Some(parsed));
        assert_eq!(id_of_key(parsed), Some(parsed));
        assert_eq!(id_of_key(secret), None);
        assert_eq!(
            format!("{key:?} {secret_hash:?}"),
            "ApiKeySecret SecretHash"
        );
    }

    #[test]
    fn other_texts_are_no_keys() {
        for text in ["", "cdy_", "cdy_id", "id_secret", "CDY_id_secret"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
