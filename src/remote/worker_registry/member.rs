//! One worker as a member of the pool of one service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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
    /// The session has ended. The pool removes such members in groups.
    has_left: AtomicBool,
}

impl PoolMember {
    pub(super) fn new(
        session: Arc<WorkerSession>,
        definition: Arc<Definition>,
        join_time: Timestamp,
    ) -> Self {
        Self {
            session,
            definition,
            running: Arc::default(),
            join_time,
            has_left: AtomicBool::new(false),
        }
    }

    /// Marks that its session has ended.
    pub(super) fn leave(&self) {
        self.has_left.store(true, Ordering::Release);
    }

    /// Whether its session lasts.
    pub(super) fn is_here(&self) -> bool {
        !self.has_left.load(Ordering::Acquire)
    }
}
