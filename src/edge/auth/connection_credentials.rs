//! The credentials of one connection: that of its last request, so that most requests cost a comparison, and its client
//! certificate.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use jiff::Timestamp;
use subtle::ConstantTimeEq as _;

use super::authenticated::Authenticated;
use crate::model::access::{Caller, Identity};

/// The credentials of one connection.
#[derive(Default)]
pub(in crate::edge) struct ConnectionCredentials {
    last: ArcSwapOption<Last>,
    certificate: OnceLock<Option<Caller>>,
}

/// The credential of the last request.
struct Last {
    header: HeaderValue,
    authenticated: Authenticated,
}

impl ConnectionCredentials {
    /// Finds out, the first time, whom the client certificate of the connection names. Returns it that time alone.
    pub(super) fn identify(&self, identify: impl FnOnce() -> Option<Identity>) -> Option<&Caller> {
        let mut is_first = false;
        let caller = self.certificate.get_or_init(|| {
            is_first = true;
            Some(Caller::Authenticated(Arc::new(identify()?)))
        });
        caller.as_ref().filter(|_| is_first)
    }

    /// Whether the connection has a client certificate that names no caller of this node.
    pub(super) fn has_unknown_certificate(&self) -> bool {
        matches!(self.certificate.get(), Some(None))
    }

    /// Whom the client certificate names.
    pub(super) fn certificate(&self) -> Option<&Caller> {
        self.certificate.get()?.as_ref()
    }

    /// Whether its client certificate names a caller.
    pub(in crate::edge) fn has_certificate(&self) -> bool {
        self.certificate().is_some()
    }

    /// Whom a header proves, if it is that of the last request, and is valid still.
    pub(super) fn last(&self, header: &HeaderValue, now: Timestamp) -> Option<Authenticated> {
        let last = self.last.load();
        let last = last.as_ref()?;
        let is_same = is_equal(last.header.as_bytes(), header.as_bytes());
        (is_same && last.authenticated.is_valid(now)).then(|| last.authenticated.clone())
    }

    /// Remembers the credential of a request. Returns whether the connection had another caller, or none.
    pub(super) fn remember(&self, header: HeaderValue, authenticated: &Authenticated) -> bool {
        let next = Last {
            header,
            authenticated: authenticated.clone(),
        };
        let before = self.last.swap(Some(Arc::new(next)));
        before.is_none_or(|before| before.authenticated.caller != authenticated.caller)
    }
}

/// Compares secrets in a time that depends on their length alone. Eight bytes at a time, since each call does it:
/// `subtle` compares slices byte by byte.
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (words_a, rest_a) = a.as_chunks::<8>();
    let (words_b, rest_b) = b.as_chunks::<8>();
    let words = words_a.iter().zip(words_b);
    let rest = rest_a.iter().zip(rest_b);
    let different = words.fold(0, |different, (a, b)| {
        different | (u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b))
    });
    let different = rest.fold(different, |different, (a, b)| different | u64::from(a ^ b));
    different.ct_eq(&0).into()
}

impl fmt::Debug for ConnectionCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionCredentials")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_equal_in_every_byte() {
        for len in 0..40 {
            let secret: Vec<u8> = (0..len).collect();
            assert!(is_equal(&secret, &secret.clone()));
            for at in 0..secret.len() {
                let mut other = secret.clone();
                other[at] ^= 0x80;
                assert!(!is_equal(&secret, &other), "{len} {at}");
            }
            assert!(!is_equal(&secret, &[secret.as_slice(), &[0]].concat()));
        }
    }
}
