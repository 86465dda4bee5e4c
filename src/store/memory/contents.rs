//! The contents of a memory store, and how each operation changes them under the lock of the store.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::due::{DueEntry, DueIndex};
use super::keys::IdempotencyKeys;
use super::weight::weight;
use crate::engine::store::{
    Acceptance, Child, Claim, ClaimLimit, Filter, OLDEST_DUE_SERVICES, OldestDue, Page, PageSize,
    QueuePlace, RecentFailures, Record, Stored, StoredApiKey, StoredDeclaration, StoredOperation,
    SummaryPart, Tombstone,
};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{HELD, Invocation, State, Summaries, SummaryCount, SummaryKey};
use crate::model::operation::OperationId;
use crate::model::service_control::ServiceControl;
use crate::store::ledger::Ledger;

/// The generation of all invocations: a store in memory is opened once.
pub(super) const GENERATION: u32 = 1;

/// How many entries of removed invocations `by_acceptance` may hold before they are dropped.
const REMOVED_ENTRIES: usize = 1_024;
/// How many invocations a list or a summary reads at once, under the lock.
const MAX_READ: usize = 100_000;

/// The invocations, the tombstones and the declarations of a memory store, with their indexes.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) invocations: HashMap<Cid, Invocation, RandomState>,
    pub(super) ledger: Ledger,
    pub(super) due: DueIndex,
    /// Pending invocations by the instant at which they expire.
    pub(super) expiring: BTreeSet<(Timestamp, Cid)>,
    /// The order of acceptance. May contain invocations that have been removed.
    by_acceptance: BTreeMap<u64, Cid>,
    last_accepted: u64,
    pub(super) keys: IdempotencyKeys,
    /// The members of each group with their positions.
    pub(super) members: HashMap<Cid, Vec<(u32, Cid)>, RandomState>,
    /// Ended members that are kept until their group has ended, with the expiry of the tombstone.
    pub(super) held: HashMap<Cid, Timestamp, RandomState>,
    /// Ended invocations by purge time, with the expiry of the tombstone.
    pub(super) purge_queue: BTreeMap<(Timestamp, Cid), Timestamp>,
    pub(super) tombstones: HashMap<Cid, Tombstone, RandomState>,
    pub(super) tombstone_expiry: BTreeSet<(Timestamp, Cid)>,
    /// By service and hash.
    pub(super) declarations: HashMap<(ServiceName, String), StoredDeclaration, RandomState>,
    pub(super) controls: HashMap<ServiceName, ServiceControl, RandomState>,
    /// How many invocations are held.
    pub(super) dead_letters: usize,
    /// Failed invocations by the time at which they did.
    pub(super) failed: BTreeSet<(Timestamp, Cid)>,
    pub(super) operations: HashMap<OperationId, StoredOperation, RandomState>,
    pub(super) api_keys: HashMap<Arc<str>, StoredApiKey, RandomState>,
    /// How many bytes all of it takes, roughly.
    pub(super) bytes: usize,
}

/// The entry of a pending invocation in [`Contents::expiring`].
fn expiry(invocation: &Invocation) -> Option<(Timestamp, Cid)> {
    let expires_at = invocation.expires_at()?;
    (!invocation.state.is_terminal()).then_some((expires_at, invocation.request.cid))
}

/// The entry of a failed invocation in [`Contents::failed`].
pub(super) fn failure(invocation: &Invocation) -> Option<(Timestamp, Cid)> {
    let end_time = invocation.end_time?;
    (invocation.state == State::Failed).then_some((end_time, invocation.request.cid))
}

fn is_held(invocation: &Invocation) -> bool {
    !invocation.state.is_terminal() && invocation.due >= HELD
}

impl Contents {
    /// The answer to a request whose CID or idempotency key was accepted before.
    pub(super) fn known(&self, invocation: &Invocation) -> Option<Acceptance> {
        let request = &invocation.request;
        if let Some(known) = self.invocations.get(&request.cid) {
            return Some(Acceptance::Known(Arc::clone(&known.request)));
        }
        if let Some(tombstone) = self.tombstones.get(&request.cid) {
            return Some(Acceptance::Removed(tombstone.clone()));
        }
        let key = request.terms.idempotency_key.as_ref()?;
        let known = self
            .invocations
            .get(&self.keys.get(request.owner(), key)?)?;
        Some(Acceptance::Known(Arc::clone(&known.request)))
    }

    /// Adds an invocation that takes this many bytes.
    pub(super) fn insert(&mut self, mut invocation: Invocation, bytes: usize) {
        invocation.generation = GENERATION;
        let request = &invocation.request;
        let cid = request.cid;
        self.bytes += bytes;
        self.dead_letters += usize::from(is_held(&invocation));
        self.last_accepted += 1;
        if self.by_acceptance.len() > 2 * self.invocations.len() + REMOVED_ENTRIES {
            self.drop_removed_entries();
        }
        self.by_acceptance.insert(self.last_accepted, cid);
        if let Some(key) = &request.terms.idempotency_key {
            self.keys.insert(request.owner(), key, cid);
        }
        self.expiring.extend(expiry(&invocation));
        self.ledger.accept(
            &request.service,
            request.owner(),
            cid,
            request.promised_callbacks(),
        );
        let retried = request.terms.retry_of;
        if let Some(retried) = retried.and_then(|retried| self.invocations.get_mut(&retried)) {
            retried.retried_as = Some(cid);
        }
        let entry = DueEntry::of(&invocation);
        let is_busy = self.is_key_busy(&entry);
        self.due.insert(entry, is_busy);
        self.invocations.insert(cid, invocation);
    }

    fn is_key_busy(&self, entry: &DueEntry) -> bool {
        let key = entry.concurrency_key.as_deref();
        key.is_some_and(|key| self.ledger.is_key_busy(&entry.service, key))
    }

    fn drop_removed_entries(&mut self) {
        let invocations = &self.invocations;
        self.by_acceptance
            .retain(|_, cid| invocations.contains_key(cid));
    }

    pub(super) fn claim(
        &mut self,
        service: &ServiceName,
        now: Timestamp,
        limit: ClaimLimit,
    ) -> Claim {
        let (mut claim, mut bytes) = (Claim::default(), 0_usize);
        while claim.invocations.len() < limit.invocations {
            let Some(wakeup @ (time, cid)) = self.due.first(service) else {
                break;
            };
            if time > now {
                claim.next_due = Some(time);
                break;
            }
            let Some(invocation) = self.invocations.get(&cid) else {
                break;
            };
            let size = weight(invocation);
            bytes = bytes.saturating_add(size);
            if bytes > limit.bytes {
                claim.too_large = claim.invocations.is_empty().then_some(size);
                break;
            }
            let invocation = invocation.clone();
            let entry = DueEntry {
                wakeup,
                ..DueEntry::of(&invocation)
            };
            self.due.remove(&entry, true);
            self.ledger.claim(&invocation.request);
            claim.invocations.push(invocation);
        }
        claim
    }

    pub(super) fn record(&mut self, record: Record) -> bool {
        let Some(invocation) = self.invocations.get_mut(&record.cid) else {
            return false;
        };
        if invocation.state.is_terminal() {
            return false;
        }
        let was_claimed = self.ledger.is_claimed(record.cid);
        let holds = match record.expected_attempts {
            None => was_claimed,
            Some(expected) => !was_claimed && expected == invocation.attempts,
        };
        if !holds {
            return false;
        }
        let request = Arc::clone(&invocation.request);
        let (weight_before, expiry_before) = (weight(invocation), expiry(invocation));
        self.dead_letters -= usize::from(is_held(invocation));
        let before = DueEntry::of(invocation);
        self.ledger
            .record(&record, &request.service, before.is_awaiting_completion);
        let (next_wakeup, tombstone_until) = (record.next_wakeup, record.tombstone_until);
        let followed_by = apply(invocation, record);
        self.dead_letters += usize::from(is_held(invocation));
        self.failed.extend(failure(invocation));
        let after = DueEntry {
            wakeup: (next_wakeup, request.cid),
            ..DueEntry::of(invocation)
        };
        let (is_pending, purge_time) = (!invocation.state.is_terminal(), invocation.purge_time);
        self.bytes = self.bytes + weight(invocation) - weight_before;
        if let Some(before) = expiry_before {
            self.expiring.remove(&before);
        }
        self.expiring.extend(expiry(invocation));
        self.update_due(&before, is_pending.then_some(after), was_claimed);
        if let Some(purge_time) = purge_time {
            let until = tombstone_until.unwrap_or(purge_time);
            match request.member() {
                Some(member) => self.end_member(member.group, request.cid, until),
                None => drop(self.purge_queue.insert((purge_time, request.cid), until)),
            }
            if request.group().is_some() {
                self.release_members(request.cid, purge_time);
            }
        }
        for next in followed_by {
            if self.known(&next).is_none() {
                let bytes = weight(&next);
                self.insert(next, bytes);
            }
        }
        true
    }

    /// Updates the due index after a record, which must be in the ledger by then.
    fn update_due(&mut self, before: &DueEntry, after: Option<DueEntry>, was_claimed: bool) {
        let is_busy = self.is_key_busy(before);
        if !was_claimed {
            self.due.remove(before, is_busy);
        } else if let Some(key) = &before.concurrency_key {
            self.due.release_key(&before.service, key);
        }
        if let Some(after) = after {
            self.due.insert(after, is_busy);
        }
    }

    /// Records that cancellation was requested. Returns whether the invocation has not ended yet.
    pub(super) fn request_cancel(&mut self, cid: Cid, cancel_reason: Option<String>) -> bool {
        let Some(invocation) = self.invocations.get_mut(&cid) else {
            return false;
        };
        if invocation.state.is_terminal() {
            return false;
        }
        if let Some(before) = expiry(invocation) {
            self.expiring.remove(&before);
        }
        invocation.cancel_requested = true;
        let known = invocation.cancel_reason.take();
        invocation.cancel_reason = known.or(cancel_reason);
        self.expiring.extend(expiry(invocation));
        true
    }

    pub(super) fn oldest_due(&self, now: Timestamp) -> Vec<OldestDue> {
        let services = self.ledger.most_pending(OLDEST_DUE_SERVICES);
        let oldest = services.into_iter().filter_map(|service| {
            let mut due = self.due.until(&service, now).filter_map(|(_, cid)| {
                let invocation = self.invocations.get(&cid)?;
                let is_due = invocation.due <= now && !invocation.waits_for_completion();
                is_due.then_some((cid, invocation.due))
            });
            let (cid, due) = due.next()?;
            Some(OldestDue { service, cid, due })
        });
        oldest.collect()
    }

    pub(super) fn later_count(&self, service: &ServiceName, now: Timestamp, max: usize) -> usize {
        self.due.after(service, now).take(max).count()
    }

    pub(super) fn expired(&self, now: Timestamp, max: usize) -> Vec<Invocation> {
        self.expiring
            .iter()
            .take_while(|(expires_at, _)| *expires_at <= now)
            .filter(|(_, cid)| !self.ledger.is_claimed(*cid))
            .filter_map(|(_, cid)| self.invocations.get(cid))
            .take(max)
            .map(|invocation| self.read(invocation))
            .collect()
    }

    pub(super) fn list(&mut self, filter: &Filter, before: Option<u64>, size: PageSize) -> Page {
        self.drop_removed_entries();
        let (mut page, mut bytes) = (Page::default(), 0_usize);
        let mut last = None;
        for (read, (number, invocation)) in self.newest_first(before).enumerate() {
            if read == MAX_READ {
                page.next = last;
                break;
            }
            if filter.matches(invocation) {
                bytes = bytes.saturating_add(weight(invocation));
                let is_full = page.invocations.len() >= size.invocations || bytes > size.bytes;
                if is_full && !page.invocations.is_empty() {
                    page.next = last;
                    break;
                }
                page.invocations.push(self.read(invocation));
            }
            last = Some(number);
        }
        page
    }

    /// Counts the invocations that match a filter, those that were accepted last first.
    pub(super) fn summarize(
        &mut self,
        filter: &Filter,
        running: &HashSet<Cid>,
        before: Option<u64>,
    ) -> SummaryPart {
        self.drop_removed_entries();
        let (mut summaries, mut next) = (Summaries::default(), None);
        let mut last = None;
        for (read, (number, invocation)) in self.newest_first(before).enumerate() {
            if read == MAX_READ {
                next = last;
                break;
            }
            if filter.matches(invocation) {
                let mut key = SummaryKey::of(invocation);
                if running.contains(&invocation.request.cid) && !key.state.is_terminal() {
                    (key.state, key.held) = (State::RUNNING, false);
                }
                summaries.add(key, &SummaryCount::of(invocation));
            }
            last = Some(number);
        }
        SummaryPart {
            summaries: summaries.into_each().collect(),
            next,
        }
    }

    /// Counts the invocations that failed since then, those that failed last first.
    pub(super) fn recent_failures(&self, since: Timestamp, max: usize) -> RecentFailures {
        let mut failed = self.failed.iter().rev();
        let (mut summaries, mut has_more) = (Summaries::default(), false);
        for (read, (_, cid)) in failed
            .by_ref()
            .take_while(|(at, _)| *at >= since)
            .enumerate()
        {
            has_more = read == max;
            if has_more {
                break;
            }
            if let Some(invocation) = self.invocations.get(cid) {
                let count = SummaryCount::of(invocation);
                summaries.add(SummaryKey::of(invocation), &count);
            }
        }
        RecentFailures {
            summaries: summaries.into_each().collect(),
            has_more,
        }
    }

    /// The invocations before a number, with their numbers, those that were accepted last first.
    fn newest_first(&self, before: Option<u64>) -> impl Iterator<Item = (u64, &Invocation)> {
        let range = self.by_acceptance.range(..before.unwrap_or(u64::MAX));
        range
            .rev()
            .filter_map(|(number, cid)| Some((*number, self.invocations.get(cid)?)))
    }

    /// Where a list begins that has all invocations which have been accepted so far.
    pub(super) fn next_position(&self) -> u64 {
        self.last_accepted + 1
    }

    /// The first `max` children of an invocation in the order of acceptance.
    pub(super) fn children(&self, parent: Cid, max: usize) -> Vec<Child> {
        let invocations = self.by_acceptance.values();
        invocations
            .filter_map(|cid| self.invocations.get(cid))
            .filter(|invocation| invocation.request.parent == Some(parent))
            .take(max)
            .map(|child| Child {
                cid: child.request.cid,
                is_callback: child.request.terms.in_reply_to.is_some(),
            })
            .collect()
    }

    pub(super) fn get(&self, cid: Cid) -> Stored {
        match (self.invocations.get(&cid), self.tombstones.get(&cid)) {
            (Some(invocation), _) => Stored::Found(Box::new(self.read(invocation))),
            (None, Some(tombstone)) => Stored::Removed(tombstone.clone()),
            (None, None) => Stored::Unknown,
        }
    }

    /// What a pending invocation waits behind, counted up to `max`.
    pub(super) fn queue_place(&self, cid: Cid, max: usize) -> QueuePlace {
        let is_waiting = |found: &&Invocation| {
            !found.state.is_terminal() && !self.ledger.is_claimed(found.request.cid)
        };
        let Some(waiting) = self.invocations.get(&cid).filter(is_waiting) else {
            return QueuePlace::default();
        };
        let entry = DueEntry::of(waiting);
        let key = entry.concurrency_key.as_deref();
        let claimed = key.and_then(|key| self.ledger.key_holder(&entry.service, key));
        QueuePlace {
            ahead: self.due.count_before(&entry, max),
            key_holder: claimed.or_else(|| self.due.key_before(&entry)),
        }
    }

    /// How many bytes an invocation takes; 0 if it is not stored.
    pub(super) fn bytes_of(&self, cid: Cid) -> usize {
        self.invocations.get(&cid).map_or(0, weight)
    }

    /// A copy of an invocation that shows whether its concurrency key is busy.
    fn read(&self, invocation: &Invocation) -> Invocation {
        let mut copy = invocation.clone();
        let is_head = self.due.is_head(&DueEntry::of(invocation));
        self.ledger.set_key_busy(&mut copy, is_head);
        copy
    }
}

/// Applies a record to its invocation. Returns the invocations that are accepted with it.
fn apply(invocation: &mut Invocation, record: Record) -> Vec<Invocation> {
    invocation.state = record.state;
    invocation.attempts = record.attempts;
    invocation.crash_count = record.crash_count;
    invocation.due = record.due;
    invocation.first_attempt_time = record.first_attempt_time;
    invocation.end_time = record.end_time;
    invocation.purge_time = record.purge_time;
    invocation.progress = record.progress;
    invocation.last_failure = record.last_failure;
    invocation.deferred = record.deferred;
    if record.state.is_terminal() {
        invocation.cancel_reason = None;
    }
    invocation.completion = record.completion;
    invocation.events.extend(record.events);
    record.followed_by
}
