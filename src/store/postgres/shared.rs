//! What the parts of an opened store share.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::connection::Connector;
use super::counts::Counts;
use super::own_claims::OwnClaims;
use super::services::Services;
use crate::store::cipher::BlobCipher;

/// What lanes, reads, claims and the session share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) connector: Connector,
    pub(super) cipher: BlobCipher,
    pub(super) services: Services,
    pub(super) counts: Counts,
    pub(super) own_claims: OwnClaims,
    /// The present session of this node.
    pub(super) session: AtomicI64,
    /// The claim of new invocations.
    pub(super) first_claim: i64,
    /// The bytes of new work that waits in the lanes.
    pub(super) queued_bytes: AtomicU64,
}

impl Shared {
    pub(super) fn session(&self) -> i64 {
        self.session.load(Ordering::Acquire)
    }
}
