//! A caller that was authenticated, and how long its credential is valid.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::access::Validity;
use crate::engine::clock::Clock;
use crate::model::access::Caller;
use crate::model::error::{Error, Kind, reason};

/// A caller, and how long its credential is valid.
#[derive(Clone, Debug)]
pub(in crate::edge) struct Authenticated {
    pub(in crate::edge) caller: Caller,
    /// `None` where the connection ends with the credential.
    pub(super) validity: Option<Arc<Validity>>,
}

/// When the credential of a request expires: an extension of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::edge) struct ExpireTime(pub(in crate::edge) Timestamp);

impl Authenticated {
    /// A caller whose credential ends with its connection.
    pub(super) fn for_ever(caller: Caller) -> Self {
        Self {
            caller,
            validity: None,
        }
    }

    /// A caller whose credential expires.
    #[cfg(feature = "jwt")]
    pub(super) fn until(caller: Caller, expire_time: Timestamp) -> Self {
        Self {
            caller,
            validity: Some(Arc::new(Validity::new(Some(expire_time)))),
        }
    }

    /// The same caller, as it calls from an address.
    pub(super) fn at(mut self, peer: SocketAddr) -> Self {
        if let Caller::Authenticated(identity) = &mut self.caller {
            Arc::make_mut(identity).peer = Some(peer);
        }
        self
    }

    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        let validity = self.validity.as_ref();
        validity.is_none_or(|validity| validity.is_valid(now))
    }

    /// Ends the credential.
    #[cfg(feature = "jwt")]
    pub(super) fn revoke(&self) {
        if let Some(validity) = &self.validity {
            validity.revoke();
        }
    }

    /// When the credential expires, if it does.
    pub(in crate::edge) fn expire_time(&self) -> Option<ExpireTime> {
        let validity = self.validity.as_ref()?;
        validity.expire_time().map(ExpireTime)
    }

    /// Resolves once the credential is revoked or has expired, with the error of what was opened with it.
    pub(in crate::edge) fn end(&self, clock: Clock) -> impl Future<Output = Error> + use<> {
        let validity = self.validity.clone();
        async move {
            let message = match validity {
                None => std::future::pending().await,
                Some(validity) => match validity.ended(&clock).await {
                    true => "the credential was revoked",
                    false => "the credential has expired",
                },
            };
            Error::new(Kind::Unauthenticated, reason::CREDENTIAL_INVALID, message)
        }
    }
}
