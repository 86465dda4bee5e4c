//! The failures of the last hour, by service and reason.

use jiff::{SignedDuration, Timestamp};

use crate::engine::results::examples::with_examples;
use crate::engine::store::Store;
use crate::model::error::{Error, Result};
use crate::model::invocation::{Summaries, Summary};

/// How far back failures are counted.
const RECENT: SignedDuration = SignedDuration::from_hours(1);
/// How many failures are counted at most: those that came last. 0.1 s of CPU.
const MAX_COUNTED: usize = 50_000;
/// How many counts the status shows.
const MAX_SHOWN: usize = 20;

/// The failures of the last hour.
#[derive(Clone, Debug, Default)]
pub struct RecentFailureCounts {
    /// The most frequent counts, at most 20, each with the message of its last failure where that is known.
    pub counts: Vec<(Summary, Option<String>)>,
    /// How many counts there are in all.
    pub all_counts: usize,
    /// How many invocations failed.
    pub total: u64,
    /// Whether more of them failed than were counted: the 50 000 that failed last.
    pub is_incomplete: bool,
    /// Why they could not be counted.
    pub unreadable: Option<Error>,
}

impl RecentFailureCounts {
    /// Those before `now`.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub(super) async fn read(store: &dyn Store, now: Timestamp) -> Result<Self> {
        let since = now.checked_sub(RECENT).unwrap_or(Timestamp::MIN);
        let found = store.recent_failures(since, MAX_COUNTED).await?;
        let (mut all, all_counts) = (Summaries::default(), found.summaries.len());
        for Summary { key, count } in found.summaries {
            all.add(key, &count);
        }
        let shown = with_examples(store, all, MAX_SHOWN).await?;
        Ok(Self {
            counts: shown.summaries,
            all_counts,
            total: shown.total,
            is_incomplete: found.has_more,
            unreadable: None,
        })
    }
}
