//! One worker as a member of the pool of one service.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use jiff::Timestamp;

use super::session::WorkerSession;
use crate::service::Definition;

/// A worker, and its declaration of the service.
#[derive(Debug)]
pub(super) struct PoolMember {
    pub(super) session: Arc<WorkerSession>,
    pub(super) definition: Arc<Definition>,
    /// How many of its dispatches are of this service.
    pub(super) running: Arc<AtomicUsize>,
    pub(super) join_time: Timestamp,
}
