//! Who makes the requests of a port: one rule for gRPC and for plain HTTP.

use http::Request;
use http::header::AUTHORIZATION;

use crate::edge::auth::{Authenticated, Authenticator, PeerNames};
#[cfg(feature = "console")]
use crate::edge::auth::{NewSession, SessionCookie, Sessions};
use crate::edge::connection::Connection;
#[cfg(feature = "console")]
use crate::edge::console::ConsoleOptions;
use crate::edge::credential_end::CredentialEnd;
use crate::model::error::Result;
#[cfg(feature = "console")]
use crate::model::error::{Error, reason};

/// Health checks need no credential, as probes have none. Without one they tell the health of the node, and nothing of
/// its services.
const HEALTH_PREFIX: &str = "/grpc.health.v1.Health/";

/// Finds out who makes the requests of a port. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct PortAuth {
    /// `None` where authentication is off.
    authenticator: Option<Authenticator>,
    #[cfg(feature = "console")]
    console: Option<ConsoleAuth>,
}

/// How the page of the node shows who is in front of it.
#[cfg(feature = "console")]
#[derive(Clone, Debug)]
struct ConsoleAuth {
    sessions: Sessions,
    /// Whether the port has TLS.
    is_tls: bool,
}

impl PortAuth {
    /// `is_on`: whether the node asks who calls.
    pub(super) fn new(authenticator: &Authenticator, is_on: bool) -> Self {
        Self {
            authenticator: is_on.then(|| authenticator.clone()),
            #[cfg(feature = "console")]
            console: None,
        }
    }

    /// Who makes a request, whose credential is taken out. `None` where authentication is off, and for health checks
    /// of gRPC without a credential.
    ///
    /// # Errors
    ///
    /// As for [`Authenticator::authenticate`]; of a session, as for [`Authenticator::resume`].
    pub(super) fn authenticate<B>(
        &self,
        request: &mut Request<B>,
        connection: &Connection,
    ) -> Result<Option<Authenticated>> {
        let Some(authenticator) = &self.authenticator else {
            return Ok(None);
        };
        #[cfg(feature = "console")]
        if let Some(found) = self.resume(authenticator, request, connection)? {
            return Ok(Some(found));
        }
        identify(authenticator, connection);
        let is_health = request.uri().path().starts_with(HEALTH_PREFIX);
        let has_credential = || {
            request.headers().contains_key(AUTHORIZATION)
                || connection.credentials.has_certificate()
        };
        if is_health && !has_credential() {
            return Ok(None);
        }
        let authenticated =
            authenticator.authenticate(request, connection.peer, &connection.credentials);
        authenticated.map(Some)
    }

    /// Resolves once the credential that opened a stream is no longer valid. `None` where authentication is off.
    pub(super) fn end(&self, authenticated: Option<&Authenticated>) -> Option<CredentialEnd> {
        let (authenticator, authenticated) = self.authenticator.as_ref().zip(authenticated)?;
        let clock = authenticator.keys().clock().clone();
        Some(Box::pin(authenticated.end(clock)))
    }
}

/// Finds out whom the client certificate of a connection names.
fn identify(authenticator: &Authenticator, connection: &Connection) {
    if let Some(certificate) = connection.peer_certificate() {
        let names = PeerNames {
            uris: &certificate.uris,
            dns_names: &certificate.dns_names,
        };
        authenticator.identify(&connection.credentials, connection.peer, names);
    }
}

#[cfg(feature = "console")]
impl PortAuth {
    /// The same, of a node that serves its console.
    pub(super) fn with_console(
        mut self,
        authenticator: &Authenticator,
        options: &ConsoleOptions,
        is_tls: bool,
    ) -> Self {
        if options.enabled {
            let clock = authenticator.keys().clock().clone();
            let (idle, lifetime) = (options.session_idle, options.session_lifetime);
            let sessions = Sessions::new(idle, lifetime, clock);
            self.console = Some(ConsoleAuth { sessions, is_tls });
        }
        self
    }

    /// Takes the cookie of a session out of a request that is no call of gRPC, and makes it an extension.
    pub(super) fn take_cookie<B>(&self, request: &mut Request<B>) {
        let Some(console) = &self.console else { return };
        if let Some(cookie) = SessionCookie::take(request, console.is_tls) {
            request.extensions_mut().insert(cookie);
        }
    }

    /// Who makes a request with a session. A credential in the request itself precedes it.
    fn resume<B>(
        &self,
        authenticator: &Authenticator,
        request: &mut Request<B>,
        connection: &Connection,
    ) -> Result<Option<Authenticated>> {
        let cookie = request.extensions_mut().remove::<SessionCookie>();
        let (Some(cookie), Some(console)) = (cookie, &self.console) else {
            return Ok(None);
        };
        if request.headers().contains_key(AUTHORIZATION) {
            return Ok(None);
        }
        let path = request.uri().path();
        authenticator.resume(&console.sessions, &cookie, path, connection.peer)
    }

    /// Whether the node asks who calls.
    pub(super) fn is_on(&self) -> bool {
        self.authenticator.is_some()
    }

    /// Begins a session with an API key.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `AUTHENTICATION_OFF`; as for [`Authenticator::log_in`] and [`Sessions::begin`].
    pub(super) fn log_in(
        &self,
        key: &str,
        path: &str,
        connection: &Connection,
    ) -> Result<NewSession> {
        let Some((authenticator, console)) = self.authenticator.as_ref().zip(self.console.as_ref())
        else {
            let message = "authentication is off: there is nothing to log in to";
            return Err(Error::failed_precondition(
                reason::AUTHENTICATION_OFF,
                message,
            ));
        };
        let authenticated = authenticator.log_in(key, path, connection.peer)?;
        console.sessions.begin(authenticated, connection.peer)
    }

    /// Ends a session, if there is one.
    pub(super) fn log_out(&self, token: &str, connection: &Connection) {
        if let Some(console) = &self.console {
            console.sessions.end(token, connection.peer);
        }
    }

    /// Whether a request has anything to prove who makes it.
    pub(super) fn has_credential<B>(&self, request: &Request<B>, connection: &Connection) -> bool {
        let cookie = request.extensions().get::<SessionCookie>();
        cookie.is_some_and(SessionCookie::is_there)
            || request.headers().contains_key(AUTHORIZATION)
            || self.has_certificate(connection)
    }

    /// Whether the client certificate of a connection names a caller.
    pub(super) fn has_certificate(&self, connection: &Connection) -> bool {
        let Some(authenticator) = &self.authenticator else {
            return false;
        };
        identify(authenticator, connection);
        connection.credentials.has_certificate()
    }
}
