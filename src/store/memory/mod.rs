//! A store in memory: for tests, for play, and for whoever can do without their invocations after a restart.

mod filter;
mod groups;
mod keys;
mod weight;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use jiff::Timestamp;

use self::filter::passes;
use self::keys::{Key, key_of, over_of, queue_of};
use self::weight::weight;
use crate::engine::store::{
    Acceptance, Claim, Filter, Page, Record, Store, Stored, StoredDeclaration, Tombstone,
};
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Invocation, State};
use crate::service::BoxFuture;

/// How much a memory store holds unless told otherwise: 1 GiB.
const DEFAULT_BYTES: usize = 1 << 30;
/// What a tombstone takes, roughly.
const TOMBSTONE: usize = 160;
/// Of every eight bytes one is kept for the outcomes of what was accepted.
const RESERVED_PART: usize = 8;

/// Keeps invocations in memory, up to a number of bytes: roughly, and in all.
///
/// New work is refused while seven eighths are full; the rest is for outcomes. Where outcomes outgrow that as well, the
/// oldest of them are removed before their time, and leave a tombstone.
#[derive(Debug)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
    bytes_limit: usize,
}

#[derive(Debug, Default)]
struct Kept {
    invocations: HashMap<Cid, Invocation, RandomState>,
    /// What may be claimed, by service and due time.
    due: HashMap<ServiceName, BTreeSet<(Timestamp, Cid)>, RandomState>,
    /// What is pending and has a concurrency key, with what runs of it.
    queues: HashMap<Key, Queue, RandomState>,
    /// How many are pending and not claimed, by service.
    pending_of: HashMap<ServiceName, usize, RandomState>,
    /// Ended, by when they are to be removed, with how long a tombstone then stays.
    purge: BTreeMap<(Timestamp, Cid), Timestamp>,
    tombstones: HashMap<Cid, Tombstone, RandomState>,
    tombstones_until: BTreeSet<(Timestamp, Cid)>,
    /// All of them in the order in which they were accepted.
    order: BTreeMap<u64, Cid>,
    accepted: u64,
    /// What is claimed, with its concurrency key.
    claimed: HashMap<Cid, Option<Key>, RandomState>,
    /// The CIDs of idempotency keys.
    keys: HashMap<String, Cid, RandomState>,
    /// Pending ones whose time will be over, by when.
    over: BTreeSet<(Timestamp, Cid)>,
    /// The members of groups, with their places.
    members: HashMap<Cid, Vec<(u32, Cid)>, RandomState>,
    /// Members that have ended and are kept until their groups have, with how long a tombstone then stays.
    held: HashMap<Cid, Timestamp, RandomState>,
    /// What workers declared, by service and hash.
    announced: HashMap<Key, StoredDeclaration, RandomState>,
    pending: usize,
    /// How many of what is pending wait for an outcome from outside, by service.
    awaited: HashMap<ServiceName, usize, RandomState>,
    bytes: usize,
}

/// Those of a service with one concurrency key.
#[derive(Debug, Default)]
struct Queue {
    /// One of them is claimed.
    busy: bool,
    /// One of them waits for an outcome from outside: the others wait for that.
    awaited: Option<(Timestamp, Cid)>,
    waiting: BTreeSet<(Timestamp, Cid)>,
    /// The one that may be claimed.
    leads: Option<(Timestamp, Cid)>,
}

impl MemoryStore {
    /// An empty store that holds 1 GiB.
    #[must_use]
    pub fn new() -> Self {
        Self::with_bytes_limit(DEFAULT_BYTES)
    }

    /// An empty store that holds this many bytes, roughly.
    #[must_use]
    pub fn with_bytes_limit(bytes_limit: usize) -> Self {
        Self {
            kept: Mutex::default(),
            bytes_limit,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing in the critical sections panics between two changes that belong together.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, invocation: Invocation) -> Result<Acceptance> {
        let mut kept = self.kept();
        if let Some(known) = kept.known(&invocation) {
            return Ok(known);
        }
        let bytes = weight(&invocation);
        let room = self.bytes_limit - self.bytes_limit / RESERVED_PART;
        if kept.bytes.saturating_add(bytes) > room {
            return Err(self.full());
        }
        kept.keep(invocation, bytes);
        Ok(Acceptance::Stored)
    }

    fn store_group(&self, group: Invocation, members: Vec<Invocation>) -> Result<Acceptance> {
        let mut kept = self.kept();
        if let Some(known) = kept.known(&group).or_else(|| kept.known_member(&members)) {
            return Ok(known);
        }
        let bytes = weight(&group) + members.iter().map(weight).sum::<usize>();
        let room = self.bytes_limit - self.bytes_limit / RESERVED_PART;
        if kept.bytes.saturating_add(bytes) > room {
            return Err(self.full());
        }
        kept.keep_group(group, members);
        Ok(Acceptance::Stored)
    }

    fn full(&self) -> Error {
        let message = format!(
            "the store in memory holds at most {} bytes; the rest is kept for outcomes",
            self.bytes_limit
        );
        Error::resource_exhausted(reason::STORE_FULL, message)
            .with_info("bytes", self.bytes_limit)
            .with_retry_after(Duration::from_secs(1))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Kept {
    /// What is known of an invocation already, by its CID or its key.
    fn known(&self, invocation: &Invocation) -> Option<Acceptance> {
        let cid = invocation.request.cid;
        if let Some(known) = self.invocations.get(&cid) {
            return Some(Acceptance::Known(Arc::clone(&known.request)));
        }
        if let Some(tombstone) = self.tombstones.get(&cid) {
            return Some(Acceptance::Removed(*tombstone));
        }
        let first = self.keys.get(key_of(invocation)?)?;
        let known = self.invocations.get(first)?;
        Some(Acceptance::Known(Arc::clone(&known.request)))
    }

    fn keep(&mut self, invocation: Invocation, bytes: usize) {
        let cid = invocation.request.cid;
        self.bytes += bytes;
        self.accepted += 1;
        // What has been removed since is forgotten now and then.
        if self.order.len() > 2 * self.invocations.len() + 1_024 {
            let invocations = &self.invocations;
            self.order.retain(|_, cid| invocations.contains_key(cid));
        }
        self.order.insert(self.accepted, cid);
        if let Some(key) = key_of(&invocation) {
            self.keys.insert(key.clone(), cid);
        }
        self.over.extend(over_of(&invocation));
        let service = invocation.request.service.clone();
        let awaited = invocation.waits_for_completion();
        let at = (invocation.next_wakeup(), cid);
        self.add_pending(service, queue_of(&invocation), at, awaited);
        self.invocations.insert(cid, invocation);
    }

    fn add_pending(
        &mut self,
        service: ServiceName,
        key: Option<Key>,
        at: (Timestamp, Cid),
        awaited: bool,
    ) {
        self.pending += 1;
        *self.pending_of.entry(service.clone()).or_default() += 1;
        match key {
            None => drop(self.due.entry(service).or_default().insert(at)),
            Some(key) => self.change_queue(&key, |queue| match awaited {
                true => queue.awaited = Some(at),
                false => queue.waiting.extend([at]),
            }),
        }
    }

    fn take_pending(&mut self, service: &ServiceName, key: Option<&Key>, at: (Timestamp, Cid)) {
        self.pending -= 1;
        if let Some(pending) = self.pending_of.get_mut(service) {
            *pending -= 1;
        }
        match (key, self.due.get_mut(service)) {
            (None, Some(due)) => drop(due.remove(&at)),
            (None, None) => {}
            (Some(key), _) => self.change_queue(key, |queue| {
                queue.waiting.remove(&at);
                queue.awaited.take_if(|awaited| *awaited == at);
            }),
        }
    }

    /// Changes a queue, and has the first of it be due unless one of them is claimed.
    fn change_queue(&mut self, key: &Key, change: impl FnOnce(&mut Queue)) {
        let queue = self.queues.entry(key.clone()).or_default();
        change(queue);
        let first = queue.awaited.or_else(|| queue.waiting.first().copied());
        let leads = first.filter(|_| !queue.busy);
        let led = std::mem::replace(&mut queue.leads, leads);
        let is_empty = !queue.busy && first.is_none();
        let due = self.due.entry(key.0.clone()).or_default();
        if let Some(led) = led {
            due.remove(&led);
        }
        due.extend(leads);
        if is_empty {
            self.queues.remove(key);
        }
    }

    /// An invocation as it is read.
    fn read(&self, invocation: &Invocation) -> Invocation {
        let (cid, at) = (invocation.request.cid, invocation.next_wakeup());
        let waits = !invocation.state.is_terminal() && !self.claimed.contains_key(&cid);
        let queue = queue_of(invocation).and_then(|key| self.queues.get(&key));
        Invocation {
            key_busy: waits && queue.is_some_and(|queue| queue.leads != Some((at, cid))),
            ..invocation.clone()
        }
    }

    fn claim(&mut self, service: &ServiceName, now: Timestamp, max: usize) -> Claim {
        let mut claim = Claim::default();
        while claim.invocations.len() < max {
            let first = self.due.get(service).and_then(BTreeSet::first);
            let Some(&(time, cid)) = first else { break };
            if time > now {
                claim.next_due = Some(time);
                break;
            }
            let invocation = self.invocations.get(&cid).cloned();
            let key = invocation.as_ref().and_then(queue_of);
            self.take_pending(service, key.as_ref(), (time, cid));
            if let Some(key) = &key {
                self.change_queue(key, |queue| queue.busy = true);
            }
            self.claimed.insert(cid, key);
            claim.invocations.extend(invocation);
        }
        claim
    }

    fn record(&mut self, record: Record) -> bool {
        let Some(invocation) = self.invocations.get_mut(&record.cid) else {
            return false;
        };
        if invocation.state.is_terminal() {
            return false;
        }
        let is_claimed = self.claimed.contains_key(&record.cid);
        let attempts = invocation.attempts;
        if record
            .expected_attempts
            .is_some_and(|read| is_claimed || read != attempts)
        {
            return false;
        }
        let before = weight(invocation);
        let over = over_of(invocation);
        let (at, key) = ((invocation.next_wakeup(), record.cid), queue_of(invocation));
        let service = invocation.request.service.clone();
        let member_of = invocation.request.member().map(|member| member.group);
        let is_group = invocation.request.group().is_some();
        let was_awaited = invocation.waits_for_completion();
        invocation.state = record.state;
        invocation.attempts = record.attempts;
        invocation.crash_count = record.crash_count;
        invocation.due = record.due;
        invocation.first_attempt_time = record.first_attempt_time;
        invocation.end_time = record.end_time;
        invocation.purge_time = record.purge_time;
        invocation.progress = record.progress;
        invocation.last_failure = record.last_failure;
        invocation.completion = record.completion;
        invocation.events.extend(record.events);
        if let Some(over) = over {
            self.over.remove(&over);
        }
        self.over.extend(over_of(invocation));
        self.bytes = self.bytes + weight(invocation) - before;
        let is_awaited = invocation.waits_for_completion();
        if is_awaited != was_awaited {
            let awaited = self.awaited.entry(service.clone()).or_default();
            *awaited = *awaited + usize::from(is_awaited) - usize::from(was_awaited);
        }
        match (self.claimed.remove(&record.cid), &key) {
            (Some(_), Some(key)) => self.change_queue(key, |queue| queue.busy = false),
            (Some(_), None) => {}
            (None, _) => self.take_pending(&service, key.as_ref(), at),
        }
        if matches!(record.state, State::Pending { .. }) {
            let awaited = record
                .completion
                .is_some_and(|completion| completion.pending);
            self.add_pending(service, key, (record.next_wakeup, record.cid), awaited);
        }
        if let Some(purge_time) = record.purge_time {
            let until = record.tombstone_until.unwrap_or(purge_time);
            match member_of {
                Some(group) => self.end_member(group, record.cid, until),
                None => drop(self.purge.insert((purge_time, record.cid), until)),
            }
            if is_group {
                self.release_members(record.cid, purge_time);
            }
        }
        for next in record.followed_by {
            if self.known(&next).is_none() {
                let bytes = weight(&next);
                self.keep(next, bytes);
            }
        }
        true
    }

    /// Removes what is oldest of what has ended until the rest fits, tombstones last.
    fn make_room(&mut self, limit: usize) {
        while self.bytes > limit {
            if let Some(((_, cid), until)) = self.purge.pop_first() {
                self.bury(cid, until);
            } else if let Some((_, cid)) = self.tombstones_until.pop_first() {
                self.forget(cid);
            } else {
                return;
            }
        }
    }

    fn list(&mut self, filter: &Filter, before: Option<u64>, max: usize) -> Page {
        let invocations = &self.invocations;
        // What has been removed since is forgotten here.
        self.order.retain(|_, cid| invocations.contains_key(cid));
        let mut page = Page::default();
        for (number, cid) in self.order.range(..before.unwrap_or(u64::MAX)).rev() {
            let Some(invocation) = invocations.get(cid).filter(|found| passes(found, filter))
            else {
                continue;
            };
            if page.invocations.len() == max {
                page.next = Some(number + 1);
                break;
            }
            page.invocations.push(self.read(invocation));
        }
        page
    }

    fn get(&self, cid: Cid) -> Stored {
        match (self.invocations.get(&cid), self.tombstones.get(&cid)) {
            (Some(invocation), _) => Stored::Found(Box::new(self.read(invocation))),
            (None, Some(tombstone)) => Stored::Removed(*tombstone),
            (None, None) => Stored::Unknown,
        }
    }

    fn purge(&mut self, now: Timestamp, max: usize) -> usize {
        let mut removed = 0;
        while removed < max
            && let Some(entry) = self.purge.first_entry()
            && entry.key().0 <= now
        {
            let ((_, cid), until) = entry.remove_entry();
            self.bury(cid, until);
            removed += 1;
        }
        while removed < max
            && let Some(&(until, cid)) = self.tombstones_until.first()
            && until <= now
        {
            self.tombstones_until.pop_first();
            self.forget(cid);
            removed += 1;
        }
        removed
    }

    fn remove(&mut self, cid: Cid) -> bool {
        let found = self.invocations.get(&cid);
        let Some(purge_time) = found.and_then(|found| found.purge_time) else {
            return false;
        };
        if self.held.contains_key(&cid) {
            return false;
        }
        let until = self.purge.remove(&(purge_time, cid));
        self.bury(cid, until.unwrap_or(purge_time));
        true
    }

    fn bury(&mut self, cid: Cid, until: Timestamp) {
        let Some(invocation) = self.invocations.remove(&cid) else {
            return;
        };
        self.bytes -= weight(&invocation);
        self.members.remove(&cid);
        if let Some(key) = key_of(&invocation) {
            self.keys.remove(key);
        }
        if let Some(end_time) = invocation.end_time {
            let state = invocation.state;
            self.tombstones.insert(cid, Tombstone { state, end_time });
            self.tombstones_until.insert((until, cid));
            self.bytes += TOMBSTONE;
        }
    }

    fn forget(&mut self, cid: Cid) {
        if self.tombstones.remove(&cid).is_some() {
            self.bytes -= TOMBSTONE;
        }
    }
}

fn ready<T: Send + 'static>(value: T) -> BoxFuture<'static, T> {
    Box::pin(std::future::ready(value))
}

impl Store for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn generation(&self) -> u32 {
        1
    }

    fn accept(&self, invocation: Invocation) -> BoxFuture<'_, Result<Acceptance>> {
        ready(self.store(invocation))
    }

    fn accept_group(
        &self,
        group: Invocation,
        members: Vec<Invocation>,
    ) -> BoxFuture<'_, Result<Acceptance>> {
        ready(self.store_group(group, members))
    }

    fn members(&self, group: Cid) -> BoxFuture<'_, Result<Vec<(u32, Cid)>>> {
        ready(Ok(self.kept().members_of(group)))
    }

    fn claim<'a>(
        &'a self,
        service: &'a ServiceName,
        now: Timestamp,
        max: usize,
    ) -> BoxFuture<'a, Result<Claim>> {
        ready(Ok(self.kept().claim(service, now, max)))
    }

    /// Nothing is ever recovered.
    fn record_attempts(&self, _: Vec<Cid>) -> BoxFuture<'_, Result<()>> {
        ready(Ok(()))
    }

    fn record(&self, record: Record) -> BoxFuture<'_, Result<bool>> {
        let mut kept = self.kept();
        let recorded = kept.record(record);
        kept.make_room(self.bytes_limit);
        ready(Ok(recorded))
    }

    fn request_cancel(&self, cid: Cid) -> BoxFuture<'_, Result<bool>> {
        let kept = &mut *self.kept();
        let found = kept.invocations.get_mut(&cid);
        let open = found.filter(|invocation| !invocation.state.is_terminal());
        let Some(invocation) = open else {
            return ready(Ok(false));
        };
        if let Some(over) = over_of(invocation) {
            kept.over.remove(&over);
        }
        invocation.cancel_requested = true;
        kept.over.extend(over_of(invocation));
        ready(Ok(true))
    }

    fn find_by_idempotency_key(
        &self,
        _: ServiceName,
        key: String,
    ) -> BoxFuture<'_, Result<Option<Cid>>> {
        ready(Ok(self.kept().keys.get(&key).copied()))
    }

    fn expired(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<Vec<Invocation>>> {
        let kept = self.kept();
        let over = kept.over.iter().take_while(|(over, _)| *over <= now);
        let free = over.filter(|(_, cid)| !kept.claimed.contains_key(cid));
        let found = free.filter_map(|(_, cid)| kept.invocations.get(cid));
        ready(Ok(found.take(max).map(|found| kept.read(found)).collect()))
    }

    fn list(&self, filter: Filter, before: Option<u64>, max: usize) -> BoxFuture<'_, Result<Page>> {
        ready(Ok(self.kept().list(&filter, before, max)))
    }

    fn get(&self, cid: Cid) -> BoxFuture<'_, Result<Stored>> {
        ready(Ok(self.kept().get(cid)))
    }

    fn pending_count(&self, service: &ServiceName) -> usize {
        let kept = self.kept();
        kept.pending_of.get(service).copied().unwrap_or_default()
    }

    fn awaiting_completion_count(&self, service: &ServiceName) -> usize {
        let kept = self.kept();
        kept.awaited.get(service).copied().unwrap_or_default()
    }

    fn total_pending_count(&self) -> usize {
        self.kept().pending
    }

    fn services_with_pending(&self) -> BoxFuture<'_, Result<Vec<ServiceName>>> {
        let kept = self.kept();
        let busy = kept.pending_of.iter();
        let busy = busy.filter(|(service, pending)| **pending > 0 && !service.is_none());
        ready(Ok(busy.map(|(service, _)| service.clone()).collect()))
    }

    fn purge(&self, now: Timestamp, max: usize) -> BoxFuture<'_, Result<usize>> {
        ready(Ok(self.kept().purge(now, max)))
    }

    fn remove(&self, cid: Cid) -> BoxFuture<'_, Result<bool>> {
        ready(Ok(self.kept().remove(cid)))
    }

    fn remember_declaration(&self, announced: StoredDeclaration) -> BoxFuture<'_, Result<()>> {
        let mut kept = self.kept();
        let key = (announced.service.clone(), announced.hash.clone());
        let known = kept.announced.get(&key).map(|known| known.first_time);
        let first_time = known.unwrap_or(announced.first_time);
        let announced = StoredDeclaration {
            first_time,
            ..announced
        };
        kept.announced.insert(key, announced);
        ready(Ok(()))
    }

    fn declarations(&self) -> BoxFuture<'_, Result<Vec<StoredDeclaration>>> {
        ready(Ok(self.kept().announced.values().cloned().collect()))
    }

    fn forget_declarations(&self, service: ServiceName) -> BoxFuture<'_, Result<()>> {
        let mut kept = self.kept();
        kept.announced.retain(|(name, _), _| *name != service);
        ready(Ok(()))
    }

    fn health(&self) -> Result<()> {
        Ok(())
    }
}
