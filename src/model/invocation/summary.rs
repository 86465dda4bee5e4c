//! Summaries: how many stored invocations have the same service, state and reason.

use std::cmp::Reverse;
use std::collections::HashMap;

use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::{Invocation, State};
use crate::model::id::{Cid, ServiceName};

/// What the invocations that are counted together have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SummaryKey {
    /// The service; [`ServiceName::none`] for groups.
    pub service: ServiceName,
    /// The state as callers see it: [`State::ACCEPTED`] for all that are pending, and [`State::RUNNING`] for all that
    /// run.
    pub state: State,
    /// Whether they are held ([`Invocation::is_held`]).
    pub held: bool,
    /// The reason of the last failure, if there was one.
    pub failure_reason: Option<String>,
}

/// How many invocations are counted together, and when they were accepted and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SummaryCount {
    /// How many there are.
    pub count: u64,
    /// When the first of them was accepted.
    pub first_accept_time: Timestamp,
    /// When the last of them was accepted.
    pub last_accept_time: Timestamp,
    /// When the last of them ended, if one has.
    pub last_end_time: Option<Timestamp>,
    /// The one that was accepted last.
    pub example: Cid,
}

/// Invocations that are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What they have in common.
    pub key: SummaryKey,
    /// Their count.
    pub count: SummaryCount,
}

/// Counts of invocations, those that were accepted last added first.
#[derive(Clone, Debug, Default)]
pub struct Summaries {
    counts: HashMap<SummaryKey, SummaryCount, RandomState>,
    total: u64,
}

impl SummaryKey {
    /// That of an invocation as it is shown.
    #[must_use]
    pub fn of(invocation: &Invocation) -> Self {
        Self {
            service: invocation.request.service.clone(),
            state: match invocation.shown_state() {
                State::Pending { .. } => State::ACCEPTED,
                State::Running { .. } => State::RUNNING,
                ended => ended,
            },
            held: invocation.is_held(),
            failure_reason: invocation
                .failure()
                .map(|failure| failure.reason().to_owned()),
        }
    }
}

impl SummaryCount {
    /// The count of one invocation.
    #[must_use]
    pub fn one(cid: Cid, accept_time: Timestamp, end_time: Option<Timestamp>) -> Self {
        Self {
            count: 1,
            first_accept_time: accept_time,
            last_accept_time: accept_time,
            last_end_time: end_time,
            example: cid,
        }
    }

    /// That of an invocation.
    #[must_use]
    pub fn of(invocation: &Invocation) -> Self {
        let request = &invocation.request;
        Self::one(request.cid, request.accept_time, invocation.end_time)
    }

    /// Adds invocations that were accepted before these.
    fn add(&mut self, earlier: &Self) {
        self.count += earlier.count;
        self.first_accept_time = self.first_accept_time.min(earlier.first_accept_time);
        self.last_accept_time = self.last_accept_time.max(earlier.last_accept_time);
        self.last_end_time = self.last_end_time.max(earlier.last_end_time);
    }
}

impl Summaries {
    /// How many summaries are told apart. What belongs to further ones counts in the total alone.
    pub const MAX: usize = 10_000;

    /// Adds invocations that were accepted before those that were added until now.
    pub fn add(&mut self, key: SummaryKey, count: &SummaryCount) {
        self.total += count.count;
        if let Some(later) = self.counts.get_mut(&key) {
            later.add(count);
        } else if self.counts.len() < Self::MAX {
            self.counts.insert(key, *count);
        }
    }

    /// How many invocations there are in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The summaries, in no order.
    pub fn into_each(self) -> impl Iterator<Item = Summary> {
        let counts = self.counts.into_iter();
        counts.map(|(key, count)| Summary { key, count })
    }

    /// The `max` most frequent summaries, those first.
    #[must_use]
    pub fn most_frequent(self, max: usize) -> Vec<Summary> {
        let mut all: Vec<_> = self.into_each().collect();
        all.sort_unstable_by_key(|one| (Reverse(one.count.count), Reverse(one.count.example)));
        all.truncate(max);
        all
    }
}
