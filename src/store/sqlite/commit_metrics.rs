//! What is counted of commits, for as long as the store is open.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::engine::metrics::{Bounds, Histogram, SECONDS};
use crate::engine::store::StoreMetrics;

/// Rows of a commit: from a lone caller to a full group.
static ROWS: Bounds = Bounds::new(
    &[
        1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768,
    ],
    1.0,
);

/// The size of a page of the log.
const PAGE_BYTES: u64 = 4_096;

/// What is counted of commits. Only the writer counts.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct CommitMetrics {
    duration: Histogram,
    rows: Histogram,
    wal_pages: AtomicU64,
}

impl CommitMetrics {
    /// Counts a commit, after which the log has so many pages.
    pub(in crate::store::sqlite) fn add(&self, rows: usize, elapsed: Duration, wal_pages: u64) {
        self.duration.observe_duration(elapsed);
        self.rows
            .observe(&ROWS, u64::try_from(rows).unwrap_or(u64::MAX));
        self.wal_pages.store(wal_pages, Ordering::Relaxed);
    }

    /// What it has counted, with the bytes that wait.
    pub(in crate::store::sqlite) fn read(&self, queued_bytes: u64) -> StoreMetrics {
        StoreMetrics {
            commit_duration: Histogram::snapshot(&SECONDS, [&self.duration]),
            commit_rows: Histogram::snapshot(&ROWS, [&self.rows]),
            wal_bytes: self.wal_pages.load(Ordering::Relaxed) * PAGE_BYTES,
            queued_bytes,
        }
    }
}
