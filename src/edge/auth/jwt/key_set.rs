//! The public keys of an issuer, from a JSON Web Key Set.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use sha2::{Digest as _, Sha256};

/// How long a key set is, at most: 1 MiB.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// How many keys it has, at most.
const MAX_KEYS: usize = 100;
/// The smallest RSA key, in bits. Smaller ones can be broken.
const MIN_RSA_BITS: usize = 2048;

/// The public keys of an issuer.
#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<PublicKey>,
    /// Of the text that they were read from.
    hash: [u8; 32],
}

/// A key, and the algorithms that it may be used with: those of its own kind, whatever a token asks for.
struct PublicKey {
    id: Option<String>,
    key: DecodingKey,
    algorithms: Vec<Algorithm>,
}

impl KeySet {
    /// Reads a file.
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let mut text = Vec::new();
        let read = File::open(file).and_then(|opened| {
            // One byte more tells that it is longer.
            let limit = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
            let mut opened = opened.take(limit);
            opened.read_to_end(&mut text)
        });
        read.map_err(|error| error.to_string())?;
        Self::parse(&text)
    }

    /// Parses a key set. Keys that are not for signatures, or that no algorithm here uses, are left out.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Document {
            keys: Vec<serde_json::Value>,
        }
        if text.len() > MAX_BYTES {
            return Err("it is longer than 1 MiB".to_owned());
        }
        let document: Document = serde_json::from_slice(text).map_err(|error| no_set(&error))?;
        let keys = document.keys.into_iter().take(MAX_KEYS);
        let keys: Vec<_> = keys
            // A key of a kind that is not known must not hide the others.
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok())
            .filter_map(|key| PublicKey::new(&key))
            .collect();
        match keys.is_empty() {
            true => Err("it has no public key for RS256, PS256, ES256, ES384 or EdDSA".to_owned()),
            false => Ok(Self {
                keys,
                hash: Sha256::digest(text).into(),
            }),
        }
    }

    /// Whether there are no keys: they were never read.
    #[cfg(feature = "tls")]
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether both were read from the same text.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.hash == other.hash
    }

    /// The key that a token names. Without a name: the only one for its algorithm.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let is_usable = |key: &&PublicKey| key.algorithms.contains(&algorithm);
        let mut usable = self.keys.iter().filter(is_usable);
        match id {
            Some(id) => usable.find(|key| key.id.as_deref() == Some(id)),
            None => usable.next().filter(|_| usable.next().is_none()),
        }
        .map(|key| &key.key)
    }
}

/// Why a text is no key set. The error of the parser repeats values, and the file may be one with a secret that was
/// named by mistake.
fn no_set(error: &serde_json::Error) -> String {
    let what = match error.is_data() {
        true => "it has no list `keys`",
        false => "it is no JSON",
    };
    let (line, column) = (error.line(), error.column());
    format!("it is no JSON Web Key Set: {what} (line {line}, column {column})")
}

impl PublicKey {
    fn new(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(rsa) => {
                let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).ok()?;
                if modulus.len() * 8 < MIN_RSA_BITS {
                    return None;
                }
                vec![Algorithm::RS256, Algorithm::PS256]
            }
            AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(okp) => match okp.curve {
                EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
                _ => return None,
            },
            // A symmetric key is no public one: each reader of the set could sign.
            _ => return None,
        };
        if let Some(only) = common.key_algorithm {
            let only = match only {
                KeyAlgorithm::RS256 => Algorithm::RS256,
                KeyAlgorithm::PS256 => Algorithm::PS256,
                KeyAlgorithm::ES256 => Algorithm::ES256,
                KeyAlgorithm::ES384 => Algorithm::ES384,
                KeyAlgorithm::EdDSA => Algorithm::EdDSA,
                _ => return None,
            };
            algorithms.retain(|algorithm| *algorithm == only);
        }
        Some(Self {
            id: common.key_id.clone(),
            key: DecodingKey::from_jwk(jwk).ok()?,
            algorithms,
        })
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeySet({})", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // From RFC 7515 and RFC 8037.
    const EC: &str = r#"{"kty":"EC","crv":"P-256","kid":"ec",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    const ED: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"ed","alg":"EdDSA","use":"sig",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn parse(keys: &[&str]) -> Result<KeySet, String> {
        KeySet::parse(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes())
    }

    #[test]
    fn a_key_is_used_with_algorithms_of_its_kind() {
        let keys = parse(&[EC, ED]).unwrap();
        for (id, algorithm, is_found) in [
            (Some("ec"), Algorithm::ES256, true),
            (Some("ed"), Algorithm::EdDSA, true),
            (Some("ec"), Algorithm::EdDSA, false),
            (Some("ec"), Algorithm::ES384, false),
            (Some("ec"), Algorithm::HS256, false),
            (Some("x"), Algorithm::ES256, false),
            (None, Algorithm::ES256, true),
            (None, Algorithm::RS256, false),
        ] {
            assert_eq!(
                keys.find(id, algorithm).is_some(),
                is_found,
                "{id:?} {algorithm:?}"
            );
        }
        // Which of two is meant would be a guess.
        let two = parse(&[EC, &EC.replace("\"ec\"", "\"other\"")]).unwrap();
        assert!(two.find(None, Algorithm::ES256).is_none());
    }

    #[test]
    fn keys_of_other_kinds_are_left_out() {
        let symmetric = r#"{"kty":"oct","kid":"s","k":"c2VjcmV0"}"#;
        let weak = r#"{"kty":"RSA","kid":"w","n":"AQAB","e":"AQAB"}"#;
        let encryption = EC.replace("\"EC\",", "\"EC\",\"use\":\"enc\",");
        for keys in [
            &[symmetric][..],
            &[weak],
            &[&encryption],
            &[r#"{"kty":"new"}"#],
            &[],
        ] {
            assert!(parse(keys).is_err(), "{keys:?}");
        }
        let found = parse(&[symmetric, r#"{"kty":"new"}"#, ED]).unwrap();
        assert_eq!(found.keys.len(), 1);
        for text in ["", "[]", "{}", "{\"keys\":7}"] {
            assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
