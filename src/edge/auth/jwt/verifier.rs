//! Verifies tokens: signature, issuer, audience, time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::cache::{TokenCache, TokenHash};
use super::claims::Claims;
#[cfg(feature = "tls")]
use super::fetch::fetch;
use super::key_set::KeySet;
use super::key_source::KeySource;
use super::options::JwtOptions;
use crate::edge::auth::authenticated::Authenticated;
use crate::edge::auth::options::rights_of_roles;
use crate::edge::shown_url::shown_url;
use crate::model::access::{Caller, Credential, Identity, Quota, Rights};
use crate::model::error::{Error, Result, reason};

/// The algorithms of signatures. Those with a shared secret (`HS…`) and `none` are not among them, so that a public key
/// cannot be taken for a secret.
const ALGORITHMS: [Algorithm; 5] = [
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// How often the keys are read again.
const REFRESH: Duration = Duration::from_mins(10);
/// How often they are read again because of a token with a key that they do not have, at most.
const UNKNOWN_KEY: Duration = Duration::from_mins(1);

/// Verifies the tokens of an issuer.
#[derive(Debug)]
pub(in crate::edge::auth) struct TokenVerifier {
    options: JwtOptions,
    roles: BTreeMap<String, Rights>,
    source: KeySource,
    keys: ArcSwap<KeySet>,
    /// Wakes the task that reads the keys.
    wake: Notify,
    /// When they were read last.
    read: Mutex<Instant>,
    cache: TokenCache,
}

/// Why a token is refused.
pub(in crate::edge::auth) type TokenRefusal = &'static str;

impl TokenVerifier {
    /// Reads the keys of the issuer.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `ACCESS_INVALID`.
    pub(in crate::edge::auth) fn new(
        options: JwtOptions,
        roles: BTreeMap<String, Rights>,
    ) -> Result<Self> {
        let invalid = |message: String| Error::invalid_argument(reason::ACCESS_INVALID, message);
        if options.issuer.is_empty() || options.audience.is_empty() {
            let message = "tokens need an issuer and an audience: without them, a token for another program would do";
            return Err(invalid(message.to_owned()));
        }
        let cannot_read = |why: String| {
            let source = shown_url(&options.jwks);
            invalid(format!(
                "cannot read the keys of tokens from `{source}`: {why}"
            ))
        };
        let source = KeySource::parse(&options.jwks).map_err(cannot_read)?;
        let keys = match &source {
            KeySource::File(file) => KeySet::read(file).map_err(cannot_read)?,
            #[cfg(feature = "tls")]
            KeySource::Url(_) => KeySet::default(),
        };
        Ok(Self {
            options,
            roles,
            source,
            keys: ArcSwap::from_pointee(keys),
            wake: Notify::new(),
            read: Mutex::new(Instant::now()),
            cache: TokenCache::default(),
        })
    }

    /// Whom a token proves, if it was verified before.
    pub(in crate::edge::auth) fn known(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Option<Authenticated> {
        self.cache.get(TokenHash::of(token), now)
    }

    /// Verifies a token.
    pub(in crate::edge::auth) fn verify(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Authenticated, TokenRefusal> {
        let header =
            decode_header(token).map_err(|_| "the credential is no API key and no token")?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err("the token has an algorithm that is not accepted");
        }
        // Extensions that have to be understood, and none is (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err("the token has extensions that are not known");
        }
        let id = header.kid.as_deref();
        let (mut group, mut keys) = (self.cache.group(), self.keys.load_full());
        if keys.find(id, header.alg).is_none() {
            self.read_for_unknown();
            (group, keys) = (self.cache.group(), self.keys.load_full());
        }
        let key = keys
            .find(id, header.alg)
            .ok_or("the token is signed with a key that is not known")?;
        let claims = decode::<Claims>(token, key, &self.validation(header.alg));
        let claims = claims.map_err(|error| refusal(error.kind()))?.claims;
        let meaning = claims.meaning(&self.options, now)?;
        let identity = Identity {
            principal: meaning.principal,
            group: meaning.group,
            rights: rights_of_roles(&meaning.roles, &self.roles),
            quota: Quota::default(),
            credential: Credential::Token,
            peer: None,
        };
        let caller = Caller::Authenticated(Arc::new(identity));
        let authenticated = Authenticated::until(caller, meaning.expire_time, group);
        self.cache
            .insert(TokenHash::of(token), authenticated.clone());
        Ok(authenticated)
    }

    /// What is checked besides the signature. The times are checked by the clock of the node.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.options.issuer]);
        validation.set_audience(&[&self.options.audience]);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation
    }

    /// Reads the keys again for a token whose key they do not have, at most once a minute. Those of a server are
    /// fetched by a task.
    fn read_for_unknown(&self) {
        {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if now.duration_since(*read) < UNKNOWN_KEY {
                return;
            }
            *read = now;
        }
        match &self.source {
            // The failure is logged.
            KeySource::File(file) => drop(self.replace(KeySet::read(file))),
            #[cfg(feature = "tls")]
            KeySource::Url(_) => self.wake.notify_one(),
        }
    }

    /// Uses other keys. Where they cannot be read, those of before are used on.
    fn replace(&self, read: Result<KeySet, String>) -> Result<(), String> {
        let source = &self.source;
        match read {
            Ok(keys) if keys.is_same(&self.keys.load()) => {}
            Ok(keys) => {
                self.keys.store(Arc::new(keys));
                // A key that was withdrawn proves nothing any more: each token is verified again.
                self.cache.revoke_all();
                tracing::info!(%source, "the keys of tokens were read");
            }
            Err(error) => {
                tracing::warn!(%source, error, "cannot read the keys of tokens: those read before are used");
                return Err(format!("{source}: {error}"));
            }
        }
        Ok(())
    }

    /// Reads the keys again.
    ///
    /// # Errors
    ///
    /// Why they could not be read: those of before are used on.
    pub(in crate::edge::auth) async fn reload(&self) -> Result<(), String> {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let read = match &self.source {
            KeySource::File(file) => KeySet::read(file),
            #[cfg(feature = "tls")]
            KeySource::Url(url) => fetch(url).await.and_then(|text| KeySet::parse(&text)),
        };
        self.replace(read)
    }

    /// Whether the keys are on a server.
    pub(in crate::edge::auth) fn fetches(&self) -> bool {
        !matches!(self.source, KeySource::File(_))
    }

    /// Reads the keys again and again. `note` is told why they could not be read, or that they were.
    pub(in crate::edge::auth) async fn keep_fresh(&self, note: impl Fn(Option<&str>)) {
        loop {
            let next = match self.keys.load().is_empty() {
                true => UNKNOWN_KEY,
                false => REFRESH,
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(next) => {}
            }
            let read = self.reload().await;
            note(read.err().as_deref());
        }
    }
}

/// Why a token is refused. The texts of the crate could show parts of it.
fn refusal(kind: &jsonwebtoken::errors::ErrorKind) -> TokenRefusal {
    use jsonwebtoken::errors::ErrorKind;
    match kind {
        ErrorKind::InvalidSignature => "the signature of the token is wrong",
        ErrorKind::InvalidIssuer => "the token is of another issuer",
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::MissingRequiredClaim(_) => "the token has no `exp`, `iss` or `aud`",
        _ => "the token is malformed",
    }
}
