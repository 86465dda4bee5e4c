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
    certificate: OnceLock<Caller>,
}

/// The credential of the last request.
struct Last {
    header: HeaderValue,
    authenticated: Authenticated,
}

impl ConnectionCredentials {
    /// Remembers whom the client certificate of the connection names.
    #[expect(
        dead_code,
        reason = "the listener calls it once it asks for certificates"
    )]
    pub(in crate::edge) fn set_certificate(&self, identity: Identity) {
        let _ = self
            .certificate
            .set(Caller::Authenticated(Arc::new(identity)));
    }

    /// Whom the client certificate names.
    pub(super) fn certificate(&self) -> Option<&Caller> {
        self.certificate.get()
    }

    /// Whom a header proves, if it is that of the last request, and is valid still.
    pub(super) fn last(&self, header: &HeaderValue, now: Timestamp) -> Option<Authenticated> {
        let last = self.last.load();
        let last = last.as_ref()?;
        let is_same = last.header.as_bytes().ct_eq(header.as_bytes());
        let is_valid = bool::from(is_same) && last.authenticated.is_valid(now);
        is_valid.then(|| last.authenticated.clone())
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

impl fmt::Debug for ConnectionCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionCredentials")
    }
}
