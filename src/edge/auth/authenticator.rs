//! Finds out who calls, from the credential of a request.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::Request;
use jiff::Timestamp;
use tokio::time::Instant;

use super::attempts::Attempts;
use super::authenticated::Authenticated;
use super::bearer;
use super::certificates::{self, PeerNames};
use super::connection_credentials::ConnectionCredentials;
#[cfg(feature = "jwt")]
use super::jwt::TokenVerifier;
use super::options::AccessOptions;
use super::principal_list;
#[cfg(feature = "console")]
use super::session_cookie::SessionCookie;
#[cfg(feature = "console")]
use super::sessions::Sessions;
use crate::engine::Invoker;
use crate::engine::access::{KeyRing, Presented, audit};
use crate::engine::clock::Clock;
use crate::engine::log_limit::LogLimit;
use crate::engine::store::Store;
use crate::model::access::Identity;
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::value::Dict;

/// The keys of tokens, in the health of the node and as a task.
#[cfg(feature = "jwt")]
const TOKEN_KEYS: &str = "keys of tokens";
/// Why a credential is refused that could only be an API key.
const NO_KEY: &str = "the credential is not an API key";

/// Finds out who calls. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Authenticator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    is_on: bool,
    keys: KeyRing,
    options: AccessOptions,
    attempts: Attempts,
    #[cfg(feature = "jwt")]
    tokens: Option<TokenVerifier>,
    log: LogLimit,
}

/// A credential that is refused.
struct Refusal {
    error: Error,
    /// The id of a key of this node.
    key_id: Option<Arc<str>>,
}

impl From<&'static str> for Refusal {
    fn from(message: &'static str) -> Self {
        Self {
            error: Error::new(Kind::Unauthenticated, reason::CREDENTIAL_INVALID, message),
            key_id: None,
        }
    }
}

impl Authenticator {
    /// The authenticator of a node: reads the API keys of its store, and the keys of its issuer.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `ACCESS_INVALID`; the errors of the store.
    pub(crate) async fn start(
        store: Arc<dyn Store>,
        clock: Clock,
        options: AccessOptions,
    ) -> Result<Self> {
        options.check()?;
        let keys = KeyRing::load(store, clock).await?;
        #[cfg(feature = "jwt")]
        let tokens = match &options.jwt {
            Some(jwt) => Some(TokenVerifier::new(jwt.clone(), options.roles.clone())?),
            None => None,
        };
        #[cfg(feature = "jwt")]
        if let Some(tokens) = tokens.as_ref().filter(|tokens| tokens.fetches()) {
            // The failure is logged, and the keys are fetched again.
            let _ = tokens.reload().await;
        }
        Ok(Self(Arc::new(Inner {
            is_on: !keys.is_empty() || options.has_credentials(),
            keys,
            attempts: Attempts::new(options.failures_per_second, options.failures_burst),
            #[cfg(feature = "jwt")]
            tokens,
            options,
            log: LogLimit::default(),
        })))
    }

    /// Whether the node asks who calls: that is decided when it starts.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_on
    }

    /// Follows what other nodes of a shared store do with API keys, until the node closes.
    pub(crate) fn follow_shared(&self, invoker: &Invoker) {
        if !invoker.store().is_shared() {
            return;
        }
        let (keys, closing) = (self.0.keys.clone(), invoker.closing().clone());
        invoker
            .tasks()
            .spawn("API keys of other nodes", async move {
                tokio::select! {
                    never = keys.follow_shared() => match never {},
                    () = closing.cancelled() => {}
                }
            });
    }

    /// Whether it has keys of tokens, which can be read again.
    #[cfg(feature = "jwt")]
    pub(crate) fn has_tokens(&self) -> bool {
        self.0.tokens.is_some()
    }

    /// Keeps the keys of tokens fresh until the node closes.
    #[cfg(feature = "jwt")]
    pub(crate) fn keep_keys(&self, invoker: &Invoker) {
        if !self.has_tokens() {
            return;
        }
        let (this, invoker) = (self.clone(), invoker.clone());
        invoker.clone().tasks().spawn(TOKEN_KEYS, async move {
            if let Some(tokens) = &this.0.tokens {
                tokio::select! {
                    () = tokens.keep_fresh(|failure| invoker.note_reload(TOKEN_KEYS, failure)) => {}
                    () = invoker.closing().cancelled() => {}
                }
            }
        });
    }

    /// Reads the keys of tokens now.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `ACCESS_INVALID`: those of before are used on.
    #[cfg(feature = "jwt")]
    pub(crate) async fn reload_keys(&self, invoker: &Invoker) -> Result<()> {
        let Some(tokens) = &self.0.tokens else {
            return Ok(());
        };
        let read = tokens.reload().await;
        invoker.note_reload(TOKEN_KEYS, read.as_ref().err().map(String::as_str));
        read.map_err(|why| Error::invalid_argument(reason::ACCESS_INVALID, why))
    }

    /// The API keys.
    pub(in crate::edge) fn keys(&self) -> &KeyRing {
        &self.0.keys
    }

    /// The principals that the node accepts, for `cidery.security.get-list`.
    pub(crate) fn principals(&self) -> Vec<Dict> {
        match self.is_on() {
            true => principal_list::list(&self.0.keys, &self.0.options),
            false => vec![principal_list::anonymous()],
        }
    }

    /// Finds out, once for a connection, whom its client certificate names, if a rule says so.
    pub(in crate::edge) fn identify(
        &self,
        connection: &ConnectionCredentials,
        peer: SocketAddr,
        names: PeerNames<'_>,
    ) {
        let identify = || {
            let identity = certificates::identify(names, &self.0.options)?;
            let peer = Some(peer);
            Some(Identity { peer, ..identity })
        };
        if let Some(caller) = connection.identify(identify) {
            audit::connected(peer, caller);
        }
    }

    /// Finds out who makes a request, and takes the credential out of it.
    ///
    /// Most requests have the credential of the one before on their connection, and cost a comparison.
    ///
    /// # Errors
    ///
    /// `UNAUTHENTICATED` / `CREDENTIAL_REQUIRED` or `CREDENTIAL_INVALID`; `RESOURCE_EXHAUSTED` / `ATTEMPTS_LIMIT` where
    /// too many failed.
    pub(in crate::edge) fn authenticate<B>(
        &self,
        request: &mut Request<B>,
        peer: SocketAddr,
        connection: &ConnectionCredentials,
    ) -> Result<Authenticated> {
        let header = bearer::take(request.headers_mut());
        let path = request.uri().path();
        let header = match header {
            Ok(Some(header)) => header,
            Ok(None) => return self.without_header(path, peer, connection),
            Err(message) => return Err(self.refuse(message.into(), path, peer)),
        };
        let now = self.0.keys.clock().now();
        let authenticated = match connection.last(&header, now) {
            Some(authenticated) => authenticated,
            None => {
                let credential = bearer::credential(&header).map_err(Refusal::from);
                let presented =
                    credential.and_then(|credential| self.present(credential, peer.ip(), now));
                let authenticated = presented
                    .map_err(|refusal| self.refuse(refusal, path, peer))?
                    .at(peer);
                if connection.remember(header, &authenticated) {
                    audit::connected(peer, &authenticated.caller);
                }
                authenticated
            }
        };
        if let Some(validity) = &authenticated.validity {
            KeyRing::note_use(&authenticated.caller, validity, now);
        }
        Ok(authenticated)
    }

    /// Finds out whose API key it is, with which someone logs in to the console.
    ///
    /// # Errors
    ///
    /// `UNAUTHENTICATED` / `CREDENTIAL_INVALID`; `RESOURCE_EXHAUSTED` / `ATTEMPTS_LIMIT`.
    #[cfg(feature = "console")]
    pub(in crate::edge) fn log_in(
        &self,
        key: &str,
        path: &str,
        peer: SocketAddr,
    ) -> Result<Authenticated> {
        let refusal = match self.0.keys.present(key) {
            Presented::Valid(key) => {
                let now = self.0.keys.clock().now();
                KeyRing::note_use(&key.caller, &key.validity, now);
                return Ok(Authenticated::new(key.caller, Some(key.validity)));
            }
            Presented::Refused(error, key_id) => Refusal { error, key_id },
            Presented::Other => NO_KEY.into(),
        };
        Err(self.refuse(refusal, path, peer))
    }

    /// Finds out who has a session of the console.
    ///
    /// # Errors
    ///
    /// As for [`authenticate`](Self::authenticate); `PERMISSION_DENIED` / `CROSS_SITE`, which no secret could change:
    /// it is not counted.
    #[cfg(feature = "console")]
    pub(in crate::edge) fn resume(
        &self,
        sessions: &Sessions,
        cookie: &SessionCookie,
        path: &str,
        peer: SocketAddr,
    ) -> Result<Option<Authenticated>> {
        let token = cookie
            .token()
            .inspect_err(|error| self.log(error, None, path, peer))?;
        let Some(token) = token else {
            return Ok(None);
        };
        let Some(found) = sessions.find(token, peer) else {
            let message = "the session has ended: log in again";
            return Err(self.refuse(message.into(), path, peer));
        };
        if let Some(validity) = &found.validity {
            KeyRing::note_use(&found.caller, validity, self.0.keys.clock().now());
        }
        Ok(Some(found.at(peer)))
    }

    /// Looks at a credential that the connection did not have before.
    fn present(
        &self,
        credential: &str,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Authenticated, Refusal> {
        match self.0.keys.present(credential) {
            Presented::Valid(key) => Ok(Authenticated::new(key.caller, Some(key.validity))),
            Presented::Refused(error, key_id) => Err(Refusal { error, key_id }),
            Presented::Other => self.present_token(credential, peer, now),
        }
    }

    #[cfg(feature = "jwt")]
    fn present_token(
        &self,
        token: &str,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Authenticated, Refusal> {
        let Some(tokens) = &self.0.tokens else {
            return Err(NO_KEY.into());
        };
        if let Some(known) = tokens.known(token, now) {
            return Ok(known);
        }
        // A signature costs a thousand times what the rest does.
        let checked = self.0.attempts.check(peer, Instant::now());
        checked.map_err(|error| Refusal {
            error,
            key_id: None,
        })?;
        tokens.verify(token, now).map_err(Refusal::from)
    }

    #[cfg(not(feature = "jwt"))]
    #[expect(clippy::unused_self, reason = "as with the feature `jwt`")]
    fn present_token(&self, _: &str, _: IpAddr, _: Timestamp) -> Result<Authenticated, Refusal> {
        Err(NO_KEY.into())
    }

    /// A request without a credential: the connection may have a client certificate.
    fn without_header(
        &self,
        path: &str,
        peer: SocketAddr,
        connection: &ConnectionCredentials,
    ) -> Result<Authenticated> {
        if let Some(caller) = connection.certificate() {
            return Ok(Authenticated::for_ever(caller.clone()));
        }
        let message = match connection.has_unknown_certificate() {
            false => {
                "the node asks who calls: send an API key as `authorization: Bearer …`; clients of Cidery read it from \
                 `CIDERY_API_KEY`"
            }
            true => {
                "no `certificate_rule` of the node has a name of the client certificate: add one, or send an API key \
                 as `authorization: Bearer …`"
            }
        };
        let error = Error::new(Kind::Unauthenticated, reason::CREDENTIAL_REQUIRED, message);
        self.log(&error, None, path, peer);
        Err(error)
    }

    /// Counts and logs a failure.
    fn refuse(&self, refusal: Refusal, path: &str, peer: SocketAddr) -> Error {
        let Refusal { error, key_id } = refusal;
        let counted = self.0.attempts.failed(peer.ip(), Instant::now());
        let error = counted.err().unwrap_or(error);
        self.log(&error, key_id.as_deref(), path, peer);
        error
    }

    fn log(&self, error: &Error, key_id: Option<&str>, path: &str, peer: SocketAddr) {
        let reason = error.reason();
        audit::credential_refused(peer, key_id, path, reason);
        if let Some(omitted) = self.0.log.is_due(reason, Instant::now()) {
            let omitted = Some(omitted).filter(|omitted| *omitted > 0);
            tracing::warn!(%peer, key_id, reason, omitted, "authentication failed: {error}");
        }
    }
}
