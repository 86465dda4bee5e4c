//! A caller that was authenticated, and how long its credential is valid.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;

#[cfg(feature = "console")]
use super::session_life::SessionLife;
use crate::engine::access::Validity;
#[cfg(feature = "jwt")]
use crate::engine::access::ValidityGroup;
use crate::engine::clock::Clock;
use crate::model::access::Caller;
use crate::model::error::{Error, Kind, reason};

/// A caller, and how long its credential is valid.
#[derive(Clone, Debug)]
pub(in crate::edge) struct Authenticated {
    pub(in crate::edge) caller: Caller,
    /// `None` where the connection ends with the credential.
    pub(super) validity: Option<Arc<Validity>>,
    /// The session of the console that stands for the credential.
    #[cfg(feature = "console")]
    session: Option<Arc<SessionLife>>,
}

/// When the credential of a request expires: an extension of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::edge) struct ExpireTime(pub(in crate::edge) Timestamp);

impl Authenticated {
    /// A caller whose credential ends with its connection.
    pub(super) fn for_ever(caller: Caller) -> Self {
        Self::new(caller, None)
    }

    /// A caller, and how long its credential is valid.
    pub(super) fn new(caller: Caller, validity: Option<Arc<Validity>>) -> Self {
        Self {
            caller,
            validity,
            #[cfg(feature = "console")]
            session: None,
        }
    }

    /// The same caller, by a session.
    #[cfg(feature = "console")]
    pub(super) fn in_session(self, session: Arc<SessionLife>) -> Self {
        Self {
            session: Some(session),
            ..self
        }
    }

    /// The session of the console, if that is the credential.
    #[cfg(feature = "console")]
    pub(in crate::edge) fn session(&self) -> Option<&SessionLife> {
        self.session.as_deref()
    }

    /// A caller whose credential expires, and ends with its group.
    #[cfg(feature = "jwt")]
    pub(super) fn until(caller: Caller, expire_time: Timestamp, group: Arc<ValidityGroup>) -> Self {
        let validity = Validity::of_group(expire_time, group);
        Self::new(caller, Some(Arc::new(validity)))
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

    /// When the credential expires, if it does.
    pub(in crate::edge) fn expire_time(&self) -> Option<ExpireTime> {
        let validity = self.validity.as_ref()?;
        validity.expire_time().map(ExpireTime)
    }

    /// Resolves once the credential is revoked or has expired, with the error of what was opened with it.
    pub(in crate::edge) fn end(&self, clock: Clock) -> impl Future<Output = Error> + use<> {
        let validity = self.validity.clone();
        #[cfg(feature = "console")]
        let session = self.session.clone();
        async move {
            let credential_end = async {
                match validity {
                    None => std::future::pending().await,
                    Some(validity) => match validity.ended(&clock).await {
                        true => "the credential was revoked",
                        false => "the credential has expired",
                    },
                }
            };
            #[cfg(feature = "console")]
            let message = tokio::select! {
                message = credential_end => message,
                () = session_end(session.as_deref(), &clock) => "the session has ended",
            };
            #[cfg(not(feature = "console"))]
            let message = credential_end.await;
            Error::new(Kind::Unauthenticated, reason::CREDENTIAL_INVALID, message)
        }
    }
}

/// Resolves once a session has ended; never where there is none.
#[cfg(feature = "console")]
async fn session_end(session: Option<&SessionLife>, clock: &Clock) {
    match session {
        Some(session) => session.ended(clock).await,
        None => std::future::pending().await,
    }
}
