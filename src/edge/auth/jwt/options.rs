//! The options of tokens.

use std::fmt;

use super::key_source::KeySource;
use crate::edge::shown_url::shown_url;

/// Tokens of an issuer (JSON Web Tokens, RFC 7519) as credentials.
///
/// A token is accepted if a key of the issuer signed it (`RS256`, `PS256`, `ES256`, `ES384` or `EdDSA`), if its issuer
/// and its audience are those of the options, and if it has not expired; a clock may differ by a minute. Its principal
/// is `token:` and its subject.
#[derive(Clone)]
#[non_exhaustive]
pub struct JwtOptions {
    /// The public keys of the issuer, a JSON Web Key Set (RFC 7517) of at most 1 MiB: a file, or with the feature `tls`
    /// an `https://` URL. It is read again every ten minutes, and where a token names a key that it did not have, at
    /// most once a minute. A node starts without the keys of a server that does not answer, and refuses tokens until it
    /// does.
    pub jwks: String,
    /// The issuer: the claim `iss`.
    pub issuer: String,
    /// The node: one of the values of the claim `aud`.
    pub audience: String,
    /// The claim with the name of the principal. Default: `sub`.
    pub principal_claim: String,
    /// The claim with the group of the principal, spelled as one of an API key: the name of a claim, or a path with
    /// dots. Principals of one group have what `read=group` and `control=group` allow. Default: tokens have no group.
    pub group_claim: Option<String>,
    /// The claim with the names of the roles, a list or a text with spaces: the name of a claim, or a path with dots,
    /// such as `realm_access.roles`. Default: `cidery_roles`.
    pub roles_claim: String,
}

impl JwtOptions {
    /// Checks where the keys of an issuer are said to be, without reading them.
    ///
    /// # Errors
    ///
    /// What to write instead.
    pub(crate) fn check_jwks(jwks: &str) -> Result<(), String> {
        KeySource::parse(jwks).map(drop)
    }

    /// Tokens of an issuer for this node, which are checked by the keys in a file, or at a URL.
    pub fn new(
        jwks: impl Into<String>,
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> Self {
        Self {
            jwks: jwks.into(),
            issuer: issuer.into(),
            audience: audience.into(),
            principal_claim: "sub".to_owned(),
            group_claim: None,
            roles_claim: "cidery_roles".to_owned(),
        }
    }
}

impl fmt::Debug for JwtOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            jwks,
            issuer,
            audience,
            principal_claim,
            group_claim,
            roles_claim,
        } = self;
        f.debug_struct("JwtOptions")
            .field("jwks", &shown_url(jwks))
            .field("issuer", issuer)
            .field("audience", audience)
            .field("principal_claim", principal_claim)
            .field("group_claim", group_claim)
            .field("roles_claim", roles_claim)
            .finish()
    }
}
