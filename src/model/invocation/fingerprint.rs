//! Fingerprints of requests: they tell a retry from another request with the same CID or key.

use sha2::{Digest as _, Sha256};

use crate::model::id::ServiceName;
use crate::model::value::Value;

/// The SHA-256 of a service name and a canonical input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// Computes the fingerprint of a request. The order of keys is ignored, since it is arbitrary on the wire.
#[must_use]
pub fn fingerprint(service: &ServiceName, input: &Value) -> Fingerprint {
    let mut hash = Sha256::new();
    text(&mut hash, service.as_str());
    digest(&mut hash, &input.normalized());
    Fingerprint(hash.finalize().into())
}

/// Computes the fingerprint of a sequence of requests.
#[must_use]
pub fn fingerprint_of_all(all: impl IntoIterator<Item = Fingerprint>) -> Fingerprint {
    let mut hash = Sha256::new();
    for Fingerprint(one) in all {
        hash.update(one);
    }
    Fingerprint(hash.finalize().into())
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Each value is prefixed with its kind and its length, so that no two sequences of values have the same bytes.
fn digest(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update(b"n"),
        Value::Bool(flag) => hash.update([b'b', u8::from(*flag)]),
        Value::Int(n) => {
            hash.update(b"i");
            hash.update(n.to_be_bytes());
        }
        Value::Float(x) => {
            hash.update(b"f");
            hash.update(x.to_bits().to_be_bytes());
        }
        Value::Digits(digits) => text(hash, digits.as_str()),
        Value::Text(content) => text(hash, content),
        Value::Bytes(bytes) => {
            hash.update(b"y");
            length(hash, bytes.len());
            hash.update(bytes);
        }
        Value::List(items) => {
            hash.update(b"l");
            length(hash, items.len());
            items.iter().for_each(|item| digest(hash, item));
        }
        Value::Dict(dict) => {
            hash.update(b"d");
            length(hash, dict.len());
            let mut pairs: Vec<(&str, &Value)> = dict.iter().collect();
            pairs.sort_unstable_by_key(|(key, _)| *key);
            for (key, value) in pairs {
                text(hash, key);
                digest(hash, value);
            }
        }
    }
}

fn text(hash: &mut Sha256, text: &str) {
    hash.update(b"t");
    length(hash, text.len());
    hash.update(text);
}

fn length(hash: &mut Sha256, len: usize) {
    hash.update((len as u64).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;

    fn of(service: &str, input: impl Into<Value>) -> Fingerprint {
        fingerprint(&ServiceName::parse(service).unwrap(), &input.into())
    }

    #[test]
    fn equal_inputs_have_equal_fingerprints() {
        let one = of("a", dict! { "x": 1, "y": 2 });
        assert_eq!(one, of("a", dict! { "y": 2.0, "x": 1 }));
        assert_ne!(one, of("b", dict! { "x": 1, "y": 2 }));
        assert_ne!(one, of("a", dict! { "x": 1, "y": 3 }));
        assert_ne!(of("a", vec!["ab", "c"]), of("a", vec!["a", "bc"]));
        assert_ne!(of("a", Value::Null), of("a", ""));
    }
}
