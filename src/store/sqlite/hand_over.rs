//! Hands invocations that were just accepted to the claims of their service, from memory: they are not read back.
//!
//! A claim reads the file until it finds nothing more that is due. From then on the queue of the service contains all
//! of its due work, as long as nothing but new invocations becomes due. Whatever else may be due then, such as a retry
//! or the next invocation with a concurrency key, makes the next claim read the file again.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use crate::engine::store::{Claim, ClaimLimit};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;
use crate::store::blob;

/// How many bytes the queue of a service takes at most: 8 MiB, which is up to 8 192 invocations. Beyond it, they are
/// read from the file.
const MAX_SERVICE_BYTES: usize = 8 << 20;
/// How many bytes all queues take at most: 32 MiB.
const MAX_BYTES: usize = 32 << 20;
/// Roughly what an invocation takes in memory, beside its input.
const OVERHEAD_BYTES: usize = 1_024;

/// The queues of all services.
#[derive(Debug, Default)]
pub(super) struct HandOver {
    queues: HashMap<ServiceName, Queue, RandomState>,
    bytes: usize,
}

/// The new invocations of a service.
#[derive(Debug, Default)]
struct Queue {
    coverage: Coverage,
    fresh: VecDeque<Fresh>,
    bytes: usize,
}

#[derive(Debug)]
struct Fresh {
    invocation: Invocation,
    /// The length of its request, encoded.
    bytes: usize,
}

impl Fresh {
    /// What it takes in memory.
    fn weight(&self) -> usize {
        OVERHEAD_BYTES + self.bytes
    }
}

/// What is known about the due work of a service that is not in its queue.
#[derive(Clone, Copy, Debug, Default)]
enum Coverage {
    /// There may be some.
    #[default]
    Unknown,
    /// A claim is reading it. In the meantime, other work was accepted that is due at this time.
    Reading(Option<i64>),
    /// There is none before this time.
    Complete(Option<i64>),
}

impl HandOver {
    /// Begins to read the due work of a service from the file. What is accepted from now on may be read or not.
    pub(super) fn begin_read(&mut self, service: &ServiceName) {
        self.forget(service);
        // Groups become due as their members end.
        if service.is_none() {
            return;
        }
        let queue = self.queues.entry(service.clone()).or_default();
        queue.coverage = Coverage::Reading(None);
    }

    /// Ends it. `claimed`: what was found. `is_all`: whether that is all of the work that is due before `next_due`.
    pub(super) fn end_read(
        &mut self,
        service: &ServiceName,
        claimed: &[Invocation],
        is_all: bool,
        next_due: Option<i64>,
    ) {
        for invocation in claimed {
            self.remove(service, invocation.request.cid);
        }
        let Some(queue) = self.queues.get_mut(service) else {
            return;
        };
        match queue.coverage {
            Coverage::Reading(accepted) if is_all => {
                queue.coverage = Coverage::Complete(earliest(next_due, accepted));
            }
            _ => self.forget(service),
        }
    }

    /// Queues an invocation that was accepted and is due at once.
    pub(super) fn push(&mut self, invocation: &Invocation, bytes: usize) {
        let service = &invocation.request.service;
        let Some(queue) = self.queues.get_mut(service) else {
            return;
        };
        if matches!(queue.coverage, Coverage::Unknown) {
            return;
        }
        let weight = OVERHEAD_BYTES + bytes;
        let has_room =
            queue.bytes + weight <= MAX_SERVICE_BYTES && self.bytes + weight <= MAX_BYTES;
        if !has_room {
            return self.forget(service);
        }
        self.bytes += weight;
        queue.bytes += weight;
        queue.fresh.push_back(Fresh {
            invocation: invocation.clone(),
            bytes,
        });
    }

    /// Notes that an invocation was accepted that is due at a later time.
    pub(super) fn accepted_for(&mut self, service: &ServiceName, due: i64) {
        if let Some(queue) = self.queues.get_mut(service) {
            queue.coverage = match queue.coverage {
                Coverage::Unknown => Coverage::Unknown,
                Coverage::Reading(next) => Coverage::Reading(earliest(next, Some(due))),
                Coverage::Complete(next) => Coverage::Complete(earliest(next, Some(due))),
            };
        }
    }

    /// Removes an invocation that has ended, or was claimed.
    pub(super) fn remove(&mut self, service: &ServiceName, cid: Cid) {
        let Some(queue) = self.queues.get_mut(service) else {
            return;
        };
        let is_it = |fresh: &Fresh| fresh.invocation.request.cid == cid;
        let found = queue.fresh.iter().position(is_it);
        if let Some(fresh) = found.and_then(|position| queue.fresh.remove(position)) {
            queue.bytes -= fresh.weight();
            self.bytes -= fresh.weight();
        }
    }

    /// Makes the next claim of a service read the file.
    pub(super) fn forget(&mut self, service: &ServiceName) {
        if let Some(queue) = self.queues.get_mut(service) {
            self.bytes -= queue.bytes;
            *queue = Queue::default();
        }
    }

    /// Makes the next claim of each service read the file.
    pub(super) fn forget_all(&mut self) {
        *self = Self::default();
    }

    /// Takes invocations of a service, those that were accepted first; `None` if the file has to be read.
    /// `is_excluded`: those that a claim must not take now.
    pub(super) fn take(
        &mut self,
        service: &ServiceName,
        now: i64,
        limit: ClaimLimit,
        is_excluded: impl Fn(Cid) -> bool,
    ) -> Option<Claim> {
        let queue = self.queues.get_mut(service)?;
        let Coverage::Complete(next_due) = queue.coverage else {
            return None;
        };
        let mut fresh = queue.fresh.iter().take(limit.invocations);
        if next_due.is_some_and(|due| due <= now)
            || fresh.any(|fresh| is_excluded(fresh.invocation.request.cid))
        {
            return None;
        }
        let (mut claim, mut left) = (Claim::default(), limit);
        while left.invocations > 0
            && let Some(fresh) = queue.fresh.pop_front_if(|fresh| fresh.bytes <= left.bytes)
        {
            queue.bytes -= fresh.weight();
            self.bytes -= fresh.weight();
            left.invocations -= 1;
            left.bytes -= fresh.bytes;
            claim.invocations.push(fresh.invocation);
        }
        match queue.fresh.front() {
            None if left.invocations > 0 => claim.next_due = next_due.map(blob::timestamp),
            Some(next) if claim.invocations.is_empty() => claim.too_large = Some(next.bytes),
            None | Some(_) => {}
        }
        Some(claim)
    }
}

fn earliest(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::invocation::Request;
    use crate::model::payload::Payload;

    const NOW: i64 = 1_000;

    fn service() -> ServiceName {
        ServiceName::parse("a").unwrap()
    }

    fn invocation() -> Invocation {
        let now = Timestamp::UNIX_EPOCH;
        let request = Request::new(Cid::new(), service(), Payload::empty(), now);
        Invocation::accepted(request, 1)
    }

    /// The queue of a service whose due work was all read.
    fn complete() -> HandOver {
        let mut hand_over = HandOver::default();
        hand_over.begin_read(&service());
        hand_over.end_read(&service(), &[], true, None);
        hand_over
    }

    fn take(hand_over: &mut HandOver, now: i64, max: usize) -> Option<usize> {
        let limit = ClaimLimit::invocations(max);
        let claim = hand_over.take(&service(), now, limit, |_| false)?;
        Some(claim.invocations.len())
    }

    #[test]
    fn nothing_is_handed_over_before_the_file_was_read_to_its_end() {
        let mut hand_over = HandOver::default();
        hand_over.push(&invocation(), 1);
        assert_eq!(take(&mut hand_over, NOW, 9), None);
        hand_over.begin_read(&service());
        hand_over.end_read(&service(), &[], false, None);
        assert_eq!(take(&mut hand_over, NOW, 9), None);
        let mut hand_over = complete();
        hand_over.push(&invocation(), 1);
        assert_eq!(take(&mut hand_over, NOW, 9), Some(1));
        assert_eq!(take(&mut hand_over, NOW, 9), Some(0));
    }

    #[test]
    fn what_is_accepted_during_a_read_is_handed_over_unless_it_was_read() {
        let mut hand_over = HandOver::default();
        hand_over.begin_read(&service());
        let (read, other) = (invocation(), invocation());
        hand_over.push(&read, 1);
        hand_over.push(&other, 1);
        hand_over.accepted_for(&service(), NOW + 5);
        hand_over.end_read(&service(), &[read], true, Some(NOW + 9));
        assert_eq!(take(&mut hand_over, NOW, 9), Some(1));
        assert_eq!(take(&mut hand_over, NOW + 5, 9), None, "other work is due");
    }

    #[test]
    fn a_full_queue_is_dropped_and_the_file_is_read_again() {
        let bytes = MAX_SERVICE_BYTES / 2 - OVERHEAD_BYTES;
        let mut hand_over = complete();
        for _ in 0..2 {
            hand_over.push(&invocation(), bytes);
        }
        assert_eq!(hand_over.bytes, MAX_SERVICE_BYTES);
        hand_over.push(&invocation(), 0);
        assert_eq!(hand_over.bytes, 0);
        assert_eq!(take(&mut hand_over, NOW, 9), None);
    }

    #[test]
    fn the_bytes_of_what_is_taken_or_removed_are_free_again() {
        let (mut hand_over, removed) = (complete(), invocation());
        hand_over.push(&removed, 5);
        hand_over.push(&invocation(), 7);
        hand_over.remove(&service(), removed.request.cid);
        assert_eq!(
            (hand_over.bytes, take(&mut hand_over, NOW, 1)),
            (OVERHEAD_BYTES + 7, Some(1))
        );
        assert_eq!(hand_over.bytes, 0);
    }
}
