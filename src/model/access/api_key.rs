//! An API key, without its secret.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Credential, Identity, Principal, Quota, Rights};

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The id: the part of the key before its secret. It is no secret.
    pub id: Arc<str>,
    /// The principal that it authenticates. Several keys can have the same one.
    pub principal: Principal,
    /// The group of the principal, if it has one.
    pub group: Option<Principal>,
    /// What it allows.
    pub rights: Rights,
    /// What it allows its principal to use, in place of what the node allows each principal.
    pub quota: Quota,
    /// When it was made.
    pub create_time: Timestamp,
    /// Who made it; `None` for one that was made on the data directory.
    pub created_by: Option<Principal>,
    /// When it expires; `None`: never.
    pub expire_time: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoke_time: Option<Timestamp>,
}

impl ApiKey {
    /// The identity that it proves.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            principal: self.principal.clone(),
            group: self.group.clone(),
            rights: self.rights.clone(),
            quota: self.quota,
            credential: Credential::ApiKey(Arc::clone(&self.id)),
            peer: None,
        }
    }
}
