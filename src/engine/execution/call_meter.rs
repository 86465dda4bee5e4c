//! Measures one call: from its permits to its end, or until its caller disconnects.

use tokio::time::Instant;

use crate::engine::metrics::InvocationKind;
use crate::engine::tally::Tally;
use crate::model::error::Result;
use crate::model::id::Cid;

/// A call that has not ended. Dropped before it has, it counts as cancelled: its caller disconnected.
pub(super) struct CallMeter<'a> {
    tally: &'a Tally,
    kind: InvocationKind,
    cid: Cid,
    /// When the handler started. A call that fails before was refused.
    pub(super) started: Option<Instant>,
    has_ended: bool,
}

impl<'a> CallMeter<'a> {
    pub(super) fn new(tally: &'a Tally, kind: InvocationKind, cid: Cid) -> Self {
        Self {
            tally,
            kind,
            cid,
            started: None,
            has_ended: false,
        }
    }

    /// Counts how the call has ended.
    #[inline]
    pub(super) fn end<T>(mut self, outcome: &Result<T>) {
        self.has_ended = true;
        self.tally
            .call_ended(self.kind, self.cid, self.started, outcome);
    }
}

impl Drop for CallMeter<'_> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let metrics = &self.tally.metrics;
        if let Some(started) = self.started {
            metrics.ran(started.elapsed());
        }
        metrics.abandoned(self.kind);
    }
}
