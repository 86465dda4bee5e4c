//! A caller: its identity, or that there is none to check.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{Principal, Quota, Rights};

/// Who calls, and what it may do. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Whoever can reach the node, while authentication is off, and the program in which the node runs: may do
    /// everything.
    Trusted,
    /// A caller that gave no valid credential, while authentication is on: may do nothing.
    Unauthenticated,
    /// A caller that proved who it is.
    Authenticated(Arc<Identity>),
}

/// Who a caller proved to be, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The principal.
    pub principal: Principal,
    /// The group of the principal, if it has one.
    pub group: Option<Principal>,
    /// What it may do.
    pub rights: Rights,
    /// What its credential allows it to use, in place of what the node allows each principal.
    pub quota: Quota,
    /// How it proved who it is.
    pub credential: Credential,
    /// The address that it calls from, for the audit log. `None` where the node acts for it without a
    /// connection.
    pub peer: Option<SocketAddr>,
}

/// How a principal proved who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// By an API key with this id.
    ApiKey(Arc<str>),
    /// By a JSON Web Token of an issuer.
    Token,
    /// By a client certificate.
    Certificate,
}

impl Caller {
    /// The identity of an authenticated caller.
    #[must_use]
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        match self {
            Self::Authenticated(identity) => Some(identity),
            Self::Trusted | Self::Unauthenticated => None,
        }
    }

    /// The principal of an authenticated caller.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.identity().map(|identity| &identity.principal)
    }
}
