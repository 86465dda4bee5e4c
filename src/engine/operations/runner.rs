//! Runs an operation: page by page from the newest invocation to the oldest, and records how far it is after each page.
//!
//! A crash repeats a page. That is safe: what is cancelled, released or removed is no longer there to be changed, and a
//! retry has the same CID again, so that it is accepted once.

use std::sync::Arc;

use futures_util::StreamExt as _;

use super::change::Change;
use super::changes::{Changes, Fate, passes};
use super::decision::Decider;
use super::entry::Entry;
use super::open_groups::OpenGroups;
use super::pace::Pace;
use crate::engine::access::audit;
use crate::engine::clock::Clock;
use crate::engine::durable::operations::maintenance::{InvocationPage, Maintenance};
use crate::engine::results::lookup::InvocationView;
use crate::engine::store::{Filter, PageSize, STORE_RETRY_DELAY, Store};
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::invocation::State;
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
        // Announced once it is recorded: a caller that saw the end finds it again after a crash.
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
        let counts = format!(
            "{}: {} of {} changed",
            ended.state.name(),
            ended.changed,
            ended.processed
        );
        let (principal, action) = (&entry.request.asked.principal, entry.request.change.name());
        audit::operation_ended(principal, action, &entry.request.summary(), &counts);
        entry.announce(ended);
    }

    /// Changes all invocations that match and were accepted before the operation started.
    async fn work(&self, entry: &Entry) -> std::result::Result<(), Stop> {
        let mut pace = Pace::new(self.clock.clone(), entry.request.rate);
        let is_cancel = matches!(entry.request.change, Change::Cancel(_));
        let mut groups = OpenGroups::default();
        loop {
            if entry.cancelled.is_cancelled() {
                return Err(Stop::Cancelled);
            }
            let page = self.patiently(entry, || self.page(entry)).await?;
            let is_empty = page.found.is_empty();
            // Retries run about in the order in which their originals were accepted. Groups are cancelled after their
            // members, which count themselves.
            let is_late = |found: &InvocationView| is_cancel && is_group(found);
            let (late, found): (Vec<_>, Vec<_>) = page.found.into_iter().rev().partition(is_late);
            for found in [found, late] {
                self.change_all(entry, found, &mut groups, &mut pace)
                    .await?;
            }
            let Some(next) = page.next else {
                // Each has ended since: it was not found.
                for group in groups.take() {
                    entry.count(group, &Fate::Changed);
                }
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
        let (selection, before) = (&entry.request.selection, Some(entry.position()));
        // What the operation itself retried before a crash counts.
        let filter = Filter {
            not_retried: false,
            ..selection.filter.clone()
        };
        let page = self
            .maintenance
            .list(filter, before, PageSize::of(page_size(entry)));
        let mut page = page.await?;
        page.found.retain(|found| concerns(entry, found));
        Ok(page)
    }

    /// Remembers the groups of the members among some invocations, if they are selected as well: such a group ends with
    /// its last member, and is not found then.
    async fn note_groups(
        &self,
        entry: &Entry,
        found: &[InvocationView],
        groups: &mut OpenGroups,
    ) -> std::result::Result<(), Stop> {
        let filter = &entry.request.selection.filter;
        // Groups have no service.
        if filter.services.is_empty() {
            for cid in groups.unknown(found) {
                let open = || async move {
                    match self.changes.canceller.check(cid).await {
                        Ok(group) => Ok(Some(group)),
                        Err(error) if passes(&error) => Err(error),
                        Err(_) => Ok(None),
                    }
                };
                let group = self.patiently(entry, open).await?;
                let is_selected = |group: &InvocationView| {
                    filter.matches(&group.invocation) && concerns(entry, group)
                };
                if group.as_ref().is_some_and(is_selected) {
                    groups.add(cid);
                }
            }
        }
        // They count in their turn.
        for found in found.iter().filter(|found| is_group(found)) {
            groups.remove(found.invocation.request.cid);
        }
        Ok(())
    }

    /// Cancels the open members of the groups among some invocations at the pace of the operation, so that few are left
    /// when the groups themselves are cancelled.
    async fn cancel_members(
        &self,
        entry: &Entry,
        found: &[InvocationView],
        pace: &mut Pace,
    ) -> std::result::Result<(), Stop> {
        let max = page_size(entry).min(CONCURRENT_CHANGES);
        let groups = found.iter().map(|found| &found.invocation.request);
        for group in groups.filter(|request| request.group().is_some()) {
            let open = Filter {
                group: Some(group.cid),
                states: [false, true]
                    .map(|started| State::Pending { started })
                    .to_vec(),
                ..Filter::default()
            };
            let mut before = None;
            loop {
                let list = || {
                    self.maintenance
                        .list(open.clone(), before, PageSize::of(max))
                };
                let members = self.patiently(entry, list).await?;
                admit(entry, pace, members.found.len()).await?;
                let cancelled = members.found.into_iter();
                let cancelled = cancelled.map(|member| self.change(entry, member));
                for (_, fate) in futures_util::future::join_all(cancelled).await {
                    // The group counts as one. Members that are selected as well were counted before it.
                    fate?;
                }
                before = members.next;
                if before.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Changes invocations at the pace of the operation.
    async fn change_all(
        &self,
        entry: &Entry,
        found: Vec<InvocationView>,
        groups: &mut OpenGroups,
        pace: &mut Pace,
    ) -> std::result::Result<(), Stop> {
        let mut found = found.into_iter();
        loop {
            let next: Vec<_> = found.by_ref().take(CONCURRENT_CHANGES).collect();
            if next.is_empty() {
                return Ok(());
            }
            if matches!(entry.request.change, Change::Cancel(_)) {
                self.note_groups(entry, &next, groups).await?;
                self.cancel_members(entry, &next, pace).await?;
            }
            admit(entry, pace, next.len()).await?;
            self.change_some(entry, next).await?;
        }
    }

    async fn change_some(
        &self,
        entry: &Entry,
        found: Vec<InvocationView>,
    ) -> std::result::Result<(), Stop> {
        let changes = futures_util::stream::iter(found).map(|found| self.change(entry, found));
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
        found: InvocationView,
    ) -> (Cid, std::result::Result<Fate, Stop>) {
        let (cid, decision) = (found.invocation.request.cid, decider(entry).decide(&found));
        let asked = &entry.request.asked;
        let changed = self.patiently(entry, || self.changes.make(cid, &decision, asked));
        (cid, changed.await)
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

fn is_group(found: &InvocationView) -> bool {
    found.invocation.request.group().is_some()
}

/// Whether an operation is about an invocation that the store matched.
fn concerns(entry: &Entry, found: &InvocationView) -> bool {
    entry.request.selection.matches(found) && decider(entry).concerns(&found.invocation)
}

fn decider(entry: &Entry) -> Decider<'_> {
    Decider {
        id: entry.request.id,
        change: &entry.request.change,
        start: entry.create_time,
    }
}

/// How many invocations a page has: about half a second of work, which a crash repeats.
fn page_size(entry: &Entry) -> usize {
    let size = (entry.request.rate.get() / 2).clamp(1, MAX_PAGE);
    usize::try_from(size).unwrap_or(1)
}

/// Waits until so many invocations may be changed.
async fn admit(entry: &Entry, pace: &mut Pace, count: usize) -> std::result::Result<(), Stop> {
    tokio::select! {
        biased;
        () = entry.cancelled.cancelled() => Err(Stop::Cancelled),
        () = pace.admit(count) => Ok(()),
    }
}
