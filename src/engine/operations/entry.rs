//! One operation of this node: what was asked, and how far it is.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::changes::Fate;
use super::request::OperationRequest;
use crate::codec::convert::operation_to_proto;
use crate::codec::proto::v1;
use crate::engine::store::StoredOperation;
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::operation::{OperationProgress, OperationState};

/// An operation.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) request: OperationRequest,
    pub(super) create_time: Timestamp,
    /// Where the next page begins.
    position: AtomicU64,
    /// Changes are announced once they are recorded, counts between two records are not.
    progress: watch::Sender<OperationProgress>,
    /// Fires when the operation is cancelled.
    pub(super) cancelled: CancellationToken,
}

impl Entry {
    pub(super) fn new(
        request: OperationRequest,
        create_time: Timestamp,
        position: u64,
        progress: OperationProgress,
    ) -> Self {
        Self {
            request,
            create_time,
            position: AtomicU64::new(position),
            progress: watch::Sender::new(progress),
            cancelled: CancellationToken::new(),
        }
    }

    /// An operation as it was stored.
    ///
    /// # Errors
    ///
    /// Those of [`OperationRequest::decode`].
    pub(super) fn restore(stored: StoredOperation) -> Result<Self> {
        let request = OperationRequest::decode(&stored.request)?;
        Ok(Self::new(
            request,
            stored.create_time,
            stored.position,
            stored.progress,
        ))
    }

    /// The operation as it is stored, with this progress.
    pub(super) fn stored(&self, progress: OperationProgress) -> StoredOperation {
        StoredOperation {
            id: self.request.id,
            create_time: self.create_time,
            request: self.request.encode(),
            position: self.position(),
            progress: OperationProgress {
                // Why it waits is not stored: another start may find out that it need not.
                failure: match progress.state {
                    OperationState::Running => None,
                    _ => progress.failure,
                },
                ..progress
            },
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    pub(super) fn move_to(&self, position: u64) {
        self.position.store(position, Ordering::Relaxed);
    }

    pub(super) fn progress(&self) -> OperationProgress {
        self.progress.borrow().clone()
    }

    pub(super) fn state(&self) -> OperationState {
        self.progress.borrow().state
    }

    pub(super) fn end_time(&self) -> Option<Timestamp> {
        self.progress.borrow().end_time
    }

    /// Announces each record.
    pub(super) fn subscribe(&self) -> watch::Receiver<OperationProgress> {
        self.progress.subscribe()
    }

    /// Announces what is recorded now.
    pub(super) fn announce(&self, progress: OperationProgress) {
        self.progress.send_replace(progress);
    }

    /// Counts an invocation, without announcing it.
    pub(super) fn count(&self, cid: Cid, fate: &Fate) {
        self.progress.send_if_modified(|progress| {
            progress.processed += 1;
            match fate {
                Fate::Changed => progress.changed += 1,
                Fate::Gone => {}
                Fate::Refused(error) => progress.refusals.add(cid, error),
            }
            false
        });
    }

    /// Announces why the operation waits.
    pub(super) fn waits(&self, error: Error) {
        self.progress.send_if_modified(|progress| {
            let is_news = progress.failure.is_none();
            progress.failure = Some(error);
            is_news
        });
    }

    /// The operation does not wait any more.
    pub(super) fn goes_on(&self) {
        self.progress
            .send_if_modified(|progress| progress.failure.take().is_some());
    }

    /// The operation as callers see it.
    pub(super) fn to_proto(&self) -> v1::Operation {
        operation_to_proto(&self.request.asked, self.create_time, &self.progress())
    }
}
