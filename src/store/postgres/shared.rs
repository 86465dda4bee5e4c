//! What the parts of an opened store share.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use super::connection::{Connector, Link};
use super::counts::Counts;
use super::error::Failed;
use super::own_claims::OwnClaims;
use super::services::Services;
use crate::model::error::Result;
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
    /// Whether the database answered the last sign of life.
    pub(super) is_reachable: AtomicBool,
    /// The claim of new invocations.
    pub(super) first_claim: i64,
    /// The bytes of new work that waits in the lanes.
    pub(super) queued_bytes: AtomicU64,
}

impl Shared {
    pub(super) fn session(&self) -> i64 {
        self.session.load(Ordering::Acquire)
    }

    pub(super) fn is_reachable(&self) -> bool {
        self.is_reachable.load(Ordering::Relaxed)
    }

    /// Opens a connection on which what is read is durable.
    pub(super) async fn connect(&self) -> Result<Link, Failed> {
        let link = self.connector.connect().await?;
        link.prove_durable(self.session()).await?;
        Ok(link)
    }
}
