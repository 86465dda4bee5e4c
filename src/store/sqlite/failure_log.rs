//! The log of failures: one line a minute for each reason, however many callers meet it.

use std::error::Error as _;

use tokio::time::Instant;

use super::writer::space::Usage;
use crate::engine::log_limit::LogLimit;
use crate::model::error::{Error, Kind, reason};

/// Logs the causes of failures, which callers do not get.
#[derive(Debug, Default)]
pub(super) struct FailureLog(LogLimit);

impl FailureLog {
    /// Logs a failure of the disk or of the file. What only concerns the caller is not logged.
    pub(super) fn log(&self, failure: &Error) {
        let cause = failure.source();
        if cause.is_none() && failure.kind() != Kind::DataLoss {
            return;
        }
        let Some(omitted) = self.0.is_due(failure.reason(), Instant::now()) else {
            return;
        };
        tracing::error!(
            reason = failure.reason(),
            cid = failure.cid().map(tracing::field::display),
            cause = cause.map(tracing::field::display),
            omitted,
            "{failure}"
        );
    }

    /// Logs that new work is refused because the store, or its disk, is at its limit.
    pub(super) fn log_full(&self, usage: &Usage) {
        let Some(omitted) = self.0.is_due(reason::STORE_FULL, Instant::now()) else {
            return;
        };
        tracing::warn!(
            reason = reason::STORE_FULL,
            used_bytes = usage.used,
            limit_bytes = usage.limit,
            free_disk_bytes = usage.free,
            keep_free_bytes = usage.min_free,
            omitted,
            "new invocations are refused: the store is full"
        );
    }
}
