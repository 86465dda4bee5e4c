//! Who follows which invocation, and what running ones have to tell.
//!
//! Followers are not handed events: they are told which CIDs have something new and then read it, from the live
//! invocation or from the store, after the last sequence they saw. So a slow follower costs a set of CIDs, never a
//! queue of events, and subscribing cannot race with finishing: whoever registers first and reads afterwards misses
//! nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::limits::Limits;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::{
    Event, EventKind, Invocation, Progress, ProgressRecord, Request, SEQUENCES_PER_GENERATION,
    State, Transition,
};
use crate::model::payload::Payload;

/// How much may be accepted with one response.
const FOLLOW_UPS: usize = 1_000;
const SHARDS: usize = 16;

/// All live invocations and all followers, by CID.
#[derive(Debug, Default)]
pub(in crate::engine) struct Hub {
    shards: [Mutex<HashMap<Cid, Entry, RandomState>>; SHARDS],
}

#[derive(Debug, Default)]
struct Entry {
    live: Option<Arc<Live>>,
    followers: Vec<Arc<Inbox>>,
}

impl Hub {
    fn shard(&self, cid: Cid) -> MutexGuard<'_, HashMap<Cid, Entry, RandomState>> {
        let last = cid.as_bytes().last().copied().unwrap_or_default();
        let shard = self
            .shards
            .get(usize::from(last) % SHARDS)
            .unwrap_or_else(|| unreachable!("a remainder of SHARDS is an index"));
        // Entries are inserted and removed whole.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an invocation live: it runs from now on.
    pub(in crate::engine) fn open(&self, live: Arc<Live>) {
        let cid = live.cid;
        let mut shard = self.shard(cid);
        let entry = shard.entry(cid).or_default();
        for follower in &entry.followers {
            follower.ring(cid, Some(&live));
        }
        entry.live = Some(live);
    }

    /// The live invocation, if it runs.
    pub(in crate::engine) fn live(&self, cid: Cid) -> Option<Arc<Live>> {
        self.shard(cid).get(&cid)?.live.clone()
    }

    /// The invocations that run, in no order.
    pub(in crate::engine) fn running(&self) -> Vec<Cid> {
        let each = self.shards.iter().flat_map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let live = shard.iter().filter(|(_, entry)| entry.live.is_some());
            live.map(|(cid, _)| *cid).collect::<Vec<_>>()
        });
        each.collect()
    }

    /// Tells followers that there is something new.
    pub(in crate::engine) fn ring(&self, cid: Cid) {
        if let Some(entry) = self.shard(cid).get(&cid) {
            for follower in &entry.followers {
                follower.ring(cid, entry.live.as_ref());
            }
        }
    }

    /// The invocation does not run any more. Where what is live holds what was recorded, followers keep it until they
    /// have read it: the outcome reaches them without another look into the store.
    pub(in crate::engine) fn close(&self, cid: Cid, recorded: bool) {
        let mut shard = self.shard(cid);
        let Some(entry) = shard.get_mut(&cid) else {
            return;
        };
        let live = entry.live.take().filter(|_| recorded);
        for follower in &entry.followers {
            follower.ring(cid, live.as_ref());
        }
        if entry.followers.is_empty() {
            shard.remove(&cid);
        }
    }

    pub(in crate::engine) fn follow(&self, cid: Cid, inbox: &Arc<Inbox>) {
        let mut shard = self.shard(cid);
        shard
            .entry(cid)
            .or_default()
            .followers
            .push(Arc::clone(inbox));
    }

    pub(in crate::engine) fn unfollow(&self, cid: Cid, inbox: &Arc<Inbox>) {
        let mut shard = self.shard(cid);
        if let Some(entry) = shard.get_mut(&cid) {
            entry.followers.retain(|other| !Arc::ptr_eq(other, inbox));
            if entry.followers.is_empty() && entry.live.is_none() {
                shard.remove(&cid);
            }
        }
    }
}

/// The CIDs that have something new for one follower. Bounded by the number of CIDs it follows.
#[derive(Debug, Default)]
pub(in crate::engine) struct Inbox {
    fresh: Mutex<Fresh>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Fresh {
    order: VecDeque<Cid>,
    /// The CIDs in `order`, with where to read.
    live: HashMap<Cid, Option<Arc<Live>>, RandomState>,
}

impl Inbox {
    pub(in crate::engine) fn ring(&self, cid: Cid, live: Option<&Arc<Live>>) {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        match fresh.live.get_mut(&cid) {
            Some(slot) if live.is_some() => *slot = live.cloned(),
            Some(_) => {}
            None => {
                fresh.live.insert(cid, live.cloned());
                fresh.order.push_back(cid);
            }
        }
        drop(fresh);
        self.bell.notify_one();
    }

    fn take(&self) -> Option<(Cid, Option<Arc<Live>>)> {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        let cid = fresh.order.pop_front()?;
        Some((cid, fresh.live.remove(&cid).flatten()))
    }

    /// Waits for a CID with something new. Cancel safe: a CID is taken only when it is answered.
    pub(in crate::engine) async fn next(&self) -> (Cid, Option<Arc<Live>>) {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.bell.notified().await;
        }
    }
}

/// A running invocation: what happened to it, as far as the store does not know it yet, and before.
#[derive(Debug)]
pub(in crate::engine) struct Live {
    pub(in crate::engine) cid: Cid,
    /// Fires when its handler is to stop.
    pub(in crate::engine) cancel: CancellationToken,
    /// Fires when somebody wants it cancelled.
    pub(in crate::engine) unwanted: CancellationToken,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    state: State,
    attempts: u32,
    first_attempt_time: Timestamp,
    /// The next sequence.
    next: u64,
    events: Vec<Arc<Event>>,
    /// How many of the events the store has.
    recorded: usize,
    items: usize,
    item_bytes: usize,
    /// The last progress, of this attempt or one before it.
    progress: Option<Arc<ProgressRecord>>,
    last_sign: Instant,
    /// The attempt has ended: nothing more is told.
    sealed: bool,
    /// What is to be accepted with the response.
    followed_by: Vec<Invocation>,
}

/// How far the progress of an invocation has been seen: the attempt, and how many times it had shown progress.
pub(in crate::engine) type Version = (u32, u64);

/// What is new of a live invocation.
#[derive(Debug, Default)]
pub(in crate::engine) struct News {
    pub(in crate::engine) events: Vec<Arc<Event>>,
    pub(in crate::engine) progress: Option<Arc<ProgressRecord>>,
}

impl Live {
    /// Begins an attempt of a claimed invocation, at a worker where one has it.
    pub(in crate::engine) fn begin(
        invocation: &Invocation,
        worker: &str,
        generation: u32,
        now: Timestamp,
    ) -> Self {
        let attempt = invocation.attempts + 1;
        let mut events = invocation.events.clone();
        let sequence = next_sequence(invocation.sequence(), generation);
        events.push(Arc::new(Event {
            sequence,
            attempt,
            time: now,
            kind: EventKind::Started {
                worker: worker.to_owned(),
            },
        }));
        let items = invocation
            .events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Item(item) => Some(item.weight()),
                _ => None,
            });
        let (items, item_bytes) = items.fold((0, 0), |(n, bytes), weight| (n + 1, bytes + weight));
        Self {
            cid: invocation.request.cid,
            cancel: CancellationToken::new(),
            unwanted: CancellationToken::new(),
            told: Mutex::new(Told {
                state: State::Running {
                    cancel_requested: false,
                },
                attempts: attempt,
                first_attempt_time: invocation.first_attempt_time.unwrap_or(now),
                next: sequence + 1,
                recorded: invocation.events.len(),
                events,
                items,
                item_bytes,
                progress: invocation.progress.clone(),
                last_sign: Instant::now(),
                sealed: false,
                followed_by: Vec::new(),
            }),
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Every change is one push or one assignment.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item, unless a limit is reached or the attempt has ended: whoever kept the context may still try.
    pub(in crate::engine) fn tell_item(
        &self,
        item: Payload,
        time: Timestamp,
        limits: &Limits,
    ) -> Result<(), Untold> {
        let weight = item.weight();
        let mut told = self.told();
        if told.sealed {
            return Err(Untold::Ended);
        }
        let bytes = told.item_bytes.saturating_add(weight);
        if told.items >= limits.items || bytes > limits.item_bytes {
            return Err(Untold::Limit);
        }
        told.items += 1;
        told.item_bytes = bytes;
        let event = told.next_event(EventKind::Item(item), time);
        told.events.push(event);
        Ok(())
    }

    /// Ends the attempt: nothing more is told by it. Answers with what is to be recorded, the last event included,
    /// which followers do not see before it is [`publish`](Self::publish)ed.
    pub(in crate::engine) fn seal(
        &self,
        last: Option<EventKind>,
        time: Timestamp,
    ) -> Vec<Arc<Event>> {
        let mut told = self.told();
        told.sealed = true;
        let recorded = told.recorded;
        let mut events = told.events.get(recorded..).unwrap_or_default().to_vec();
        events.extend(last.map(|kind| told.next_event(kind, time)));
        events
    }

    /// Shows followers the last event of the attempt, once it is recorded.
    pub(in crate::engine) fn publish(&self, last: Arc<Event>) {
        let mut told = self.told();
        if told
            .events
            .last()
            .is_some_and(|event| event.sequence < last.sequence)
        {
            told.events.push(last);
        }
    }

    /// Takes note of a sign of life.
    pub(in crate::engine) fn show(&self, progress: Progress, time: Timestamp) {
        let mut told = self.told();
        if told.sealed {
            return;
        }
        let attempt = told.attempts;
        let shown_before = match &told.progress {
            Some(shown) if shown.attempt == attempt => shown.number,
            _ => 0,
        };
        told.last_sign = Instant::now();
        told.progress = Some(Arc::new(ProgressRecord {
            progress,
            attempt,
            number: shown_before + 1,
            time,
        }));
    }

    /// Keeps an invocation that is to be accepted with the response. Answers with the first one where this attempt
    /// asked for it before, by the same CID or key.
    ///
    /// # Errors
    ///
    /// `CANCELLED` where the attempt has ended; `RESOURCE_EXHAUSTED` / `PENDING_LIMIT` where there are too many.
    pub(in crate::engine) fn follow_up(&self, next: Invocation) -> Result<Option<Arc<Request>>> {
        let mut told = self.told();
        if told.sealed {
            return Err(Error::cancelled(reason::CANCELLED, "the attempt has ended"));
        }
        let mut asked_before = told.followed_by.iter();
        if let Some(first) = asked_before.find(|first| is_same(&first.request, &next.request)) {
            return Ok(Some(Arc::clone(&first.request)));
        }
        if told.followed_by.len() >= FOLLOW_UPS {
            let message = format!("an attempt has at most {FOLLOW_UPS} follow-ups");
            return Err(Error::resource_exhausted(reason::PENDING_LIMIT, message));
        }
        told.followed_by.push(next);
        Ok(None)
    }

    /// Whether something is to be accepted with the response.
    pub(in crate::engine) fn has_follow_ups(&self) -> bool {
        !self.told().followed_by.is_empty()
    }

    /// What is to be accepted with the response.
    pub(in crate::engine) fn followed_by(&self) -> Vec<Invocation> {
        std::mem::take(&mut self.told().followed_by)
    }

    /// Asks the handler to stop because somebody wants the invocation cancelled; answers whether it still runs.
    pub(in crate::engine) fn request_cancel(&self) -> bool {
        let mut told = self.told();
        if told.sealed {
            return false;
        }
        told.state = told.state.after(Transition::Cancel).unwrap_or(told.state);
        drop(told);
        self.unwanted.cancel();
        self.cancel.cancel();
        true
    }

    pub(in crate::engine) fn last_sign(&self) -> Instant {
        self.told().last_sign
    }

    pub(in crate::engine) fn first_attempt_time(&self) -> Timestamp {
        self.told().first_attempt_time
    }

    pub(in crate::engine) fn state(&self) -> State {
        self.told().state
    }

    pub(in crate::engine) fn progress(&self) -> Option<Arc<ProgressRecord>> {
        let told = self.told();
        told.progress.clone()
    }

    /// What is new after a sequence and a version of the progress.
    pub(in crate::engine) fn since(&self, sequence: u64, seen: Version) -> News {
        let told = self.told();
        let first = told
            .events
            .partition_point(|event| event.sequence <= sequence);
        News {
            events: told.events.get(first..).unwrap_or_default().to_vec(),
            progress: told.progress.clone().filter(|shown| version(shown) > seen),
        }
    }

    /// Lays what is live over what is stored.
    pub(in crate::engine) fn overlay(&self, invocation: &mut Invocation) {
        let told = self.told();
        invocation.state = told.state;
        invocation.attempts = told.attempts;
        invocation.first_attempt_time = Some(told.first_attempt_time);
        invocation.events.clone_from(&told.events);
        if let Some(shown) = &told.progress {
            invocation.progress = Some(Arc::clone(shown));
        }
    }
}

impl Told {
    fn next_event(&mut self, kind: EventKind, time: Timestamp) -> Arc<Event> {
        let sequence = self.next;
        self.next += 1;
        Arc::new(Event {
            sequence,
            attempt: self.attempts,
            time,
            kind,
        })
    }
}

/// Why an item was not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Untold {
    /// The attempt has ended.
    Ended,
    /// There are too many, or too large ones.
    Limit,
}

/// How far somebody is who has seen this progress.
pub(in crate::engine) fn version(shown: &ProgressRecord) -> Version {
    (shown.attempt, shown.number)
}

/// Whether one of two requests is the other one said again.
fn is_same(one: &Request, other: &Request) -> bool {
    let (key, of_other) = (&one.terms.idempotency_key, &other.terms.idempotency_key);
    one.cid == other.cid || (key.is_some() && key == of_other)
}

/// The sequence after `last`, in this generation of the store.
pub(in crate::engine) fn next_sequence(last: u64, generation: u32) -> u64 {
    (last + 1).max(u64::from(generation) * SEQUENCES_PER_GENERATION + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_rise_and_begin_anew_with_each_generation() {
        assert_eq!(next_sequence(0, 1), (1 << 32) + 1);
        assert_eq!(next_sequence((1 << 32) + 1, 1), (1 << 32) + 2);
        assert_eq!(next_sequence((1 << 32) + 7, 2), (2 << 32) + 1);
    }

    #[tokio::test]
    async fn an_inbox_holds_each_cid_once_in_order() {
        let inbox = Inbox::default();
        let (a, b) = (Cid::new(), Cid::new());
        for cid in [a, b, a, a, b] {
            inbox.ring(cid, None);
        }
        assert_eq!(inbox.next().await.0, a);
        assert_eq!(inbox.next().await.0, b);
        assert!(futures_util::poll!(Box::pin(inbox.next())).is_pending());
    }
}
