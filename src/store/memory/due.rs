//! Which pending invocations may be claimed, by service and due time.
//!
//! Of those with the same concurrency key the first one alone is in the index, and none while the key is busy: a long
//! queue behind one key costs a claim nothing.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;
use jiff::Timestamp;

use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;

/// When an invocation has to be claimed next, and its CID, so that no two are equal.
pub(super) type Wakeup = (Timestamp, Cid);

/// A service and a concurrency key.
type ServiceKey = (ServiceName, String);

/// The index.
#[derive(Debug, Default)]
pub(super) struct DueIndex {
    claimable: HashMap<ServiceName, BTreeSet<Wakeup>, RandomState>,
    queues: HashMap<ServiceKey, KeyQueue, RandomState>,
}

/// The pending invocations of a service that have the same concurrency key.
#[derive(Debug, Default)]
struct KeyQueue {
    /// The one that waits for an outcome from outside: it comes before all others.
    awaiting_completion: Option<Wakeup>,
    waiting: BTreeSet<Wakeup>,
    /// The head of the queue, while it is in the index.
    claimable: Option<Wakeup>,
}

impl KeyQueue {
    fn head(&self) -> Option<Wakeup> {
        self.awaiting_completion
            .or_else(|| self.waiting.first().copied())
    }
}

/// Where a pending invocation is in the index.
#[derive(Clone, Debug)]
pub(super) struct DueEntry {
    pub(super) service: ServiceName,
    pub(super) concurrency_key: Option<String>,
    pub(super) wakeup: Wakeup,
    pub(super) is_awaiting_completion: bool,
}

impl DueEntry {
    pub(super) fn of(invocation: &Invocation) -> Self {
        let request = &invocation.request;
        Self {
            service: request.service.clone(),
            concurrency_key: request.terms.concurrency_key.clone(),
            wakeup: (invocation.next_wakeup(), request.cid),
            is_awaiting_completion: invocation.waits_for_completion(),
        }
    }
}

impl DueIndex {
    /// Adds a pending invocation. `is_busy`: whether another one with its concurrency key is claimed.
    pub(super) fn insert(&mut self, entry: DueEntry, is_busy: bool) {
        let wakeup = entry.wakeup;
        let Some(key) = entry.concurrency_key else {
            self.claimable
                .entry(entry.service)
                .or_default()
                .insert(wakeup);
            return;
        };
        let key = (entry.service, key);
        let queue = self.queues.entry(key.clone()).or_default();
        match entry.is_awaiting_completion {
            true => queue.awaiting_completion = Some(wakeup),
            false => drop(queue.waiting.insert(wakeup)),
        }
        self.update_head(&key, is_busy);
    }

    /// Removes an invocation that was pending. `is_busy`: whether one with its concurrency key is claimed now.
    pub(super) fn remove(&mut self, entry: &DueEntry, is_busy: bool) {
        let Some(key) = &entry.concurrency_key else {
            if let Some(claimable) = self.claimable.get_mut(&entry.service) {
                claimable.remove(&entry.wakeup);
            }
            return;
        };
        let key = (entry.service.clone(), key.clone());
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.waiting.remove(&entry.wakeup);
            queue
                .awaiting_completion
                .take_if(|wakeup| *wakeup == entry.wakeup);
        }
        self.update_head(&key, is_busy);
    }

    /// Makes the head of a queue claimable once its concurrency key is free again.
    pub(super) fn release_key(&mut self, service: &ServiceName, key: &str) {
        self.update_head(&(service.clone(), key.to_owned()), false);
    }

    /// The first invocation of a service that may be claimed, and when.
    pub(super) fn first(&self, service: &ServiceName) -> Option<Wakeup> {
        self.claimable.get(service)?.first().copied()
    }

    /// How many invocations of its service may be claimed before a pending one, counted up to `max`.
    pub(super) fn count_before(&self, entry: &DueEntry, max: usize) -> usize {
        let Some(claimable) = self.claimable.get(&entry.service) else {
            return 0;
        };
        claimable.range(..entry.wakeup).take(max).count()
    }

    /// The first of the pending invocations with the concurrency key of one, unless it is that one.
    pub(super) fn key_before(&self, entry: &DueEntry) -> Option<Cid> {
        let key = entry.concurrency_key.clone()?;
        let head = self.queues.get(&(entry.service.clone(), key))?.head();
        head.map(|(_, cid)| cid)
            .filter(|cid| *cid != entry.wakeup.1)
    }

    /// The invocations of a service that may be claimed by `now`, in order.
    pub(super) fn until(
        &self,
        service: &ServiceName,
        now: Timestamp,
    ) -> impl Iterator<Item = Wakeup> + '_ {
        let claimable = self.claimable.get(service).into_iter().flatten();
        claimable.copied().take_while(move |(time, _)| *time <= now)
    }

    /// Those of a service that need not be claimed now, but later: the last first.
    pub(super) fn after(
        &self,
        service: &ServiceName,
        now: Timestamp,
    ) -> impl Iterator<Item = Wakeup> + '_ {
        let claimable = self.claimable.get(service).into_iter().flatten().rev();
        claimable.copied().take_while(move |(time, _)| *time > now)
    }

    /// Whether a pending invocation comes first among those with its concurrency key.
    pub(super) fn is_head(&self, entry: &DueEntry) -> bool {
        let Some(key) = &entry.concurrency_key else {
            return true;
        };
        let queue = self.queues.get(&(entry.service.clone(), key.clone()));
        queue.is_none_or(|queue| queue.head() == Some(entry.wakeup))
    }

    /// Keeps the head of a queue in the index while its key is free.
    fn update_head(&mut self, key: &ServiceKey, is_busy: bool) {
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        let head = queue.head();
        let now = head.filter(|_| !is_busy);
        let before = std::mem::replace(&mut queue.claimable, now);
        if head.is_none() {
            self.queues.remove(key);
        }
        let claimable = self.claimable.entry(key.0.clone()).or_default();
        if let Some(before) = before {
            claimable.remove(&before);
        }
        claimable.extend(now);
    }
}
