//! What is pending and what is claimed: kept in memory, rather than counted.

use std::collections::HashMap;

use super::Shared;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Invocation, State};

/// What is claimed of one service, with the concurrency key that it has.
pub(super) type Claimed = HashMap<Cid, Option<String>>;

/// What is pending, kept rather than counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) pending: HashMap<ServiceName, usize>,
    pub(super) in_all: usize,
    /// How many of what is pending wait for an outcome from outside, by service.
    pub(super) awaited: HashMap<ServiceName, usize>,
    /// What is claimed, by service, with its concurrency key.
    pub(super) claimed: HashMap<ServiceName, Claimed>,
    /// The services of what is claimed: a record names its CID alone.
    pub(super) service_of: HashMap<Cid, ServiceName>,
    /// What is being recorded by those who did not claim it, or was while a claim read what is due, with how many do:
    /// no claim takes it.
    pub(super) ending: HashMap<Cid, usize>,
    /// Those of them that are on disk, and that the claim under way may not have read so.
    pub(super) recorded: Vec<Cid>,
    pub(super) is_claiming: bool,
}

impl Counts {
    pub(super) fn add(&mut self, service: ServiceName, more: usize) {
        *self.pending.entry(service).or_default() += more;
        self.in_all += more;
    }

    /// Takes note that one of a service waits for an outcome from outside, or does not any more.
    pub(super) fn change_awaited(&mut self, service: &ServiceName, was: bool, is: bool) {
        if was != is {
            let awaited = self.awaited.entry(service.clone()).or_default();
            *awaited = (*awaited + usize::from(is)).saturating_sub(usize::from(was));
        }
    }

    /// One who records something without having claimed it is done.
    pub(super) fn end(&mut self, cid: Cid) {
        if let Some(others) = self.ending.get_mut(&cid) {
            *others -= 1;
            if *others == 0 {
                self.ending.remove(&cid);
            }
        }
    }

    /// What is recorded by now is read so by a claim that begins.
    pub(super) fn begin_claim(&mut self) {
        self.is_claiming = true;
        for cid in std::mem::take(&mut self.recorded) {
            self.end(cid);
        }
    }

    /// Notes a claim, with the concurrency key that it has.
    pub(super) fn claim(&mut self, service: &ServiceName, cid: Cid, key: Option<String>) {
        let claimed = self.claimed.entry(service.clone()).or_default();
        claimed.insert(cid, key);
        self.service_of.insert(cid, service.clone());
    }

    /// Forgets a claim; answers whether there was one.
    pub(super) fn release(&mut self, cid: Cid) -> bool {
        let service = self.service_of.remove(&cid);
        let claimed = service
            .as_ref()
            .and_then(|service| self.claimed.get_mut(service));
        claimed.is_some_and(|claimed| claimed.remove(&cid).is_some())
    }

    /// Notes on a pending invocation whether another one with its concurrency key is claimed: the one that is, is not.
    pub(super) fn note_busy_key(&self, invocation: &mut Invocation) {
        let request = &invocation.request;
        if let (State::Pending { .. }, Some(key), Some(claimed)) = (
            invocation.state,
            &request.terms.concurrency_key,
            self.claimed.get(&request.service),
        ) {
            let mut keys = claimed.values().flatten();
            let is_claimed = claimed.contains_key(&request.cid);
            invocation.key_busy =
                !is_claimed && (invocation.key_busy || keys.any(|other| other == key));
        }
    }

    pub(super) fn take(&mut self, service: &ServiceName, fewer: usize) {
        if let Some(pending) = self.pending.get_mut(service) {
            *pending = pending.saturating_sub(fewer);
        }
        self.in_all = self.in_all.saturating_sub(fewer);
    }
}

/// A claim that reads what is due; over when dropped.
pub(super) struct Claiming<'a>(&'a Shared);

impl<'a> Claiming<'a> {
    pub(super) fn begin(shared: &'a Shared) -> Self {
        shared.counts().begin_claim();
        Self(shared)
    }
}

impl Drop for Claiming<'_> {
    fn drop(&mut self) {
        let mut counts = self.0.counts();
        counts.begin_claim();
        counts.is_claiming = false;
    }
}

/// A record of what nobody has claimed; on its way until dropped.
pub(super) struct Ending<'a> {
    shared: &'a Shared,
    cid: Cid,
}

impl<'a> Ending<'a> {
    /// `None` where it is claimed: a claim beats whoever has none.
    pub(super) fn begin(shared: &'a Shared, cid: Cid) -> Option<Self> {
        let mut counts = shared.counts();
        if counts.service_of.contains_key(&cid) {
            return None;
        }
        *counts.ending.entry(cid).or_default() += 1;
        drop(counts);
        Some(Self { shared, cid })
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut counts = self.shared.counts();
        match counts.is_claiming {
            true => counts.recorded.push(self.cid),
            false => counts.end(self.cid),
        }
    }
}
