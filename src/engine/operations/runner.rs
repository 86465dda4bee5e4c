//! Runs an operation: page by page from the newest invocation to the oldest, and records how far it is after each page.
//!
//! A crash repeats a page. That is safe: what is cancelled, released or removed is no longer there to be changed, and a
//! retry has the same CID again, so that it is accepted once.

use std::sync::Arc;

use futures_util::StreamExt as _;

use super::changes::{Changes, Fate, passes};
use super::decision::Decider;
use super::entry::Entry;
use super::pace::Pace;
use jiff::Timestamp;

use crate::engine::clock::Clock;
use crate::engine::durable::operations::maintenance::{InvocationPage, Maintenance};
use crate::engine::results::lookup::InvocationView;
use crate::engine::store::{STORE_RETRY_DELAY, Store};
use crate::model::error::{Error, Result};
use crate::model::operation::{OperationProgress, OperationState};

/// How many invocations an operation changes at once: they share the commits of the store.
const CONCURRENT_CHANGES: usize = 64;
/// The most invocations of a page: all that an operation holds in memory. It is also limited by
/// [`LIST_PAGE_BYTES`](crate::engine::store::LIST_PAGE_BYTES).
const MAX_PAGE: u32 = 1_000;

/// Runs operations.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) maintenance: Arc<Maintenance>,
    pub(super) changes: Changes,
}

/// Why an operation ends before it has seen all invocations.
enum Stop {
    Cancelled,
    Failed(Error),
}

impl Runner {
    /// Runs an operation to its end, which is recorded.
    pub(super) async fn run(&self, entry: &Entry) {
        let (state, failure) = match self.work(entry).await {
            Ok(()) => (OperationState::Succeeded, None),
            Err(Stop::Cancelled) => (OperationState::Cancelled, None),
            Err(Stop::Failed(error)) => (OperationState::Failed, Some(error)),
        };
        let ended = OperationProgress {
            state,
            end_time: Some(self.clock.now()),
            failure,
            ..entry.progress()
        };
        // Announced once it is recorded: whoever is told of the end finds it again after a crash.
        while let Err(error) = self.store.save_operation(entry.stored(ended.clone())).await {
            if entry.progress().failure.is_none() {
                tracing::error!(operation = %entry.request.id, %error, "cannot record the end of an operation");
            }
            entry.waits(error);
            self.clock.pause(STORE_RETRY_DELAY).await;
        }
        tracing::info!(
            operation = %entry.request.id,
            action = entry.request.change.name(),
            state = ?ended.state,
            processed = ended.processed,
            changed = ended.changed,
            error = ended.failure.as_ref().map(tracing::field::display),
            "operation ended"
        );
        entry.announce(ended);
    }

    /// Changes all invocations that match and were accepted before the operation started.
    async fn work(&self, entry: &Entry) -> std::result::Result<(), Stop> {
        let mut pace = Pace::new(self.clock.clone(), entry.request.rate);
        loop {
            if entry.cancelled.is_cancelled() {
                return Err(Stop::Cancelled);
            }
            let page = self.patiently(entry, || self.page(entry)).await?;
            let is_empty = page.found.is_empty();
            // Retries run about in the order in which their originals were accepted.
            let mut found = page.found.into_iter().rev();
            loop {
                let next: Vec<_> = found.by_ref().take(CONCURRENT_CHANGES).collect();
                if next.is_empty() {
                    break;
                }
                tokio::select! {
                    biased;
                    () = entry.cancelled.cancelled() => return Err(Stop::Cancelled),
                    () = pace.admit(next.len()) => {}
                }
                self.change_all(entry, next).await?;
            }
            let Some(next) = page.next else {
                return Ok(());
            };
            entry.move_to(next);
            if is_empty {
                // A crash repeats what changed nothing.
                continue;
            }
            let save = || self.store.save_operation(entry.stored(entry.progress()));
            self.patiently(entry, save).await?;
            entry.announce(entry.progress());
        }
    }

    /// The next invocations that match.
    async fn page(&self, entry: &Entry) -> Result<InvocationPage> {
        let selection = &entry.request.selection;
        // About half a second of work: what a crash repeats.
        let max = (entry.request.rate.get() / 2).clamp(1, MAX_PAGE);
        let max = usize::try_from(max).unwrap_or(1);
        let before = Some(entry.position());
        let mut page = self
            .maintenance
            .list(selection.filter.clone(), before, max)
            .await?;
        // What ended since the start was not seen by whoever started it.
        let is_older = |end: Option<Timestamp>| end.is_none_or(|end| end <= entry.create_time);
        page.found
            .retain(|found| selection.matches(found) && is_older(found.invocation.end_time));
        Ok(page)
    }

    async fn change_all(
        &self,
        entry: &Entry,
        found: Vec<InvocationView>,
    ) -> std::result::Result<(), Stop> {
        let changes = futures_util::stream::iter(found).map(async |found| {
            (
                found.invocation.request.cid,
                self.change(entry, &found).await,
            )
        });
        let mut changes = changes.buffer_unordered(CONCURRENT_CHANGES);
        let mut stopped = Ok(());
        while let Some((cid, changed)) = changes.next().await {
            match changed {
                Ok(fate) => entry.count(cid, &fate),
                Err(stop) => stopped = Err(stop),
            }
        }
        stopped
    }

    async fn change(
        &self,
        entry: &Entry,
        found: &InvocationView,
    ) -> std::result::Result<Fate, Stop> {
        let decider = Decider {
            id: entry.request.id,
            change: &entry.request.change,
            start: entry.create_time,
        };
        let (cid, decision) = (found.invocation.request.cid, decider.decide(found));
        let started_by = &entry.request.asked.principal;
        self.patiently(entry, || self.changes.make(cid, &decision, started_by))
            .await
    }

    /// Repeats what fails for a reason that passes, until the operation is cancelled.
    async fn patiently<T, F: Future<Output = Result<T>>>(
        &self,
        entry: &Entry,
        mut attempt: impl FnMut() -> F,
    ) -> std::result::Result<T, Stop> {
        loop {
            match attempt().await {
                Ok(done) => {
                    entry.goes_on();
                    return Ok(done);
                }
                Err(error) if passes(&error) => entry.waits(error),
                Err(error) => return Err(Stop::Failed(error)),
            }
            tokio::select! {
                biased;
                () = entry.cancelled.cancelled() => return Err(Stop::Cancelled),
                () = self.clock.pause(STORE_RETRY_DELAY) => {}
            }
        }
    }
}
