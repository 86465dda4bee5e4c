//! Claims, pending counts and busy concurrency keys: the bookkeeping that each store keeps in memory.
//!
//! A claim belongs to the process that made it and ends with it, so claims are never stored. The counts are kept up to
//! date with each write: `InvokeAsync` checks its limits against them, and counting rows would be too slow for that.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::owner_counts::OwnerCounts;
use crate::engine::store::Record;
use crate::model::access::Principal;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Invocation, Request, State};

/// The pending counts and the claims of a store, by service: known without reading an invocation.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    services: HashMap<ServiceName, ServiceLedger, RandomState>,
    /// The service of each claimed invocation: a record is found by its CID alone.
    service_of: HashMap<Cid, ServiceName, RandomState>,
    total_pending: usize,
    /// Without groups, which count as their members.
    owners: OwnerCounts,
    /// How many callbacks each invocation that was accepted since the start promises. They count as pending.
    promised: HashMap<Cid, usize, RandomState>,
    total_promised: usize,
}

#[derive(Debug, Default)]
struct ServiceLedger {
    /// Pending and not claimed.
    pending: usize,
    /// Those of them that wait for an outcome from outside.
    awaiting_completion: usize,
    claims: Claims,
}

/// The claimed invocations of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    /// With the concurrency key of each.
    keys: HashMap<Cid, Option<String>, RandomState>,
    busy_keys: HashSet<String, RandomState>,
}

impl Claims {
    /// Whether an invocation with this concurrency key is claimed.
    pub(super) fn is_busy(&self, key: &str) -> bool {
        self.busy_keys.contains(key)
    }

    fn insert(&mut self, cid: Cid, key: Option<String>) {
        self.busy_keys.extend(key.clone());
        self.keys.insert(cid, key);
    }

    fn remove(&mut self, cid: Cid) -> bool {
        let Some(key) = self.keys.remove(&cid) else {
            return false;
        };
        if let Some(key) = key {
            self.busy_keys.remove(&key);
        }
        true
    }
}

impl Ledger {
    /// Counts invocations that were found pending at startup.
    pub(super) fn add_pending(&mut self, service: &ServiceName, count: usize) {
        self.service(service).pending += count;
        self.total_pending += count;
    }

    /// Counts an invocation that is pending from now on.
    pub(super) fn add_one(&mut self, service: &ServiceName, owner: Option<&Principal>) {
        self.add_pending(service, 1);
        self.owners.add(owner_of(service, owner), 1);
    }

    /// Counts an invocation that was accepted, and the callbacks that it promises.
    pub(super) fn accept(
        &mut self,
        service: &ServiceName,
        owner: Option<&Principal>,
        cid: Cid,
        promised: usize,
    ) {
        self.add_one(service, owner);
        if promised > 0 {
            self.promised.insert(cid, promised);
            self.total_promised += promised;
        }
    }

    /// Claims a pending invocation: it is no longer pending, and its concurrency key is busy.
    pub(super) fn claim(&mut self, request: &Request) {
        let (service, key) = (&request.service, request.terms.concurrency_key.clone());
        self.remove_pending(service, request.owner());
        self.insert_claim(service, request.cid, key);
    }

    /// Releases the claim on an invocation. Returns whether there was one.
    pub(super) fn release(&mut self, cid: Cid) -> bool {
        let Some(service) = self.service_of.remove(&cid) else {
            return false;
        };
        self.service(&service).claims.remove(cid)
    }

    /// Counts a record that was stored: releases the claim, and moves the invocation between the counts.
    /// `was_awaiting`: whether it waited for an outcome from outside before.
    pub(super) fn record(&mut self, record: &Record, service: &ServiceName, was_awaiting: bool) {
        let was_claimed = self.release(record.cid);
        if record.state.is_terminal() {
            self.total_promised -= self.promised.remove(&record.cid).unwrap_or_default();
        }
        let is_pending = matches!(record.state, State::Pending { .. });
        let is_awaiting = is_pending && record.completion.is_some_and(|one| one.pending);
        let counts = self.service(service);
        counts.awaiting_completion = (counts.awaiting_completion + usize::from(is_awaiting))
            .saturating_sub(usize::from(was_awaiting));
        let owner = record.owner.as_ref();
        match (was_claimed, is_pending) {
            (true, true) => self.add_one(service, owner),
            (false, false) => self.remove_pending(service, owner),
            (true, false) | (false, true) => {}
        }
    }

    /// Whether an invocation is claimed.
    pub(super) fn is_claimed(&self, cid: Cid) -> bool {
        self.service_of.contains_key(&cid)
    }

    /// Whether an invocation with this concurrency key is claimed.
    pub(super) fn is_key_busy(&self, service: &ServiceName, key: &str) -> bool {
        let counts = self.services.get(service);
        counts.is_some_and(|counts| counts.claims.is_busy(key))
    }

    /// The claimed invocation with this concurrency key. Walks the claims of the service.
    pub(super) fn key_holder(&self, service: &ServiceName, key: &str) -> Option<Cid> {
        let claims = &self.services.get(service)?.claims;
        let mut claimed = claims.keys.iter();
        let holder = claimed.find(|(_, its)| its.as_deref() == Some(key));
        holder.map(|(cid, _)| *cid)
    }

    /// Sets [`Invocation::key_busy`]. `is_head`: whether it comes first among the pending ones with its concurrency
    /// key. A claimed invocation waits for no other one.
    pub(super) fn set_key_busy(&self, invocation: &mut Invocation, is_head: bool) {
        let request = &invocation.request;
        let waits = !invocation.state.is_terminal() && !self.is_claimed(request.cid);
        let is_busy = |key: &String| !is_head || self.is_key_busy(&request.service, key);
        invocation.key_busy = waits && request.terms.concurrency_key.as_ref().is_some_and(is_busy);
    }

    /// How many invocations of a service are pending and not claimed.
    pub(super) fn pending_count(&self, service: &ServiceName) -> usize {
        self.services
            .get(service)
            .map_or(0, |counts| counts.pending)
    }

    /// How many invocations of a principal are pending and not claimed, without groups.
    pub(super) fn pending_count_of(&self, owner: &Principal) -> usize {
        self.owners.get(owner)
    }

    /// How many invocations of a service wait for an outcome from outside.
    pub(super) fn awaiting_completion_count(&self, service: &ServiceName) -> usize {
        self.services
            .get(service)
            .map_or(0, |counts| counts.awaiting_completion)
    }

    /// How many invocations of all services are pending and not claimed, groups included, and how many callbacks were
    /// promised.
    pub(super) fn total_pending_count(&self) -> usize {
        self.total_pending + self.total_promised
    }

    /// The services with pending invocations, without the one of groups.
    pub(super) fn services_with_pending(&self) -> Vec<ServiceName> {
        self.services
            .iter()
            .filter(|(service, counts)| counts.pending > 0 && !service.is_none())
            .map(|(service, _)| service.clone())
            .collect()
    }

    /// The services with most pending invocations, at most so many, without the one of groups.
    pub(super) fn most_pending(&self, max: usize) -> Vec<ServiceName> {
        let services = self.services.iter();
        let mut services: Vec<_> = services
            .filter(|(service, counts)| counts.pending > 0 && !service.is_none())
            .map(|(service, counts)| (counts.pending, service))
            .collect();
        if services.len() > max {
            services.select_nth_unstable_by(max, |one, other| other.cmp(one));
            services.truncate(max);
        }
        services
            .into_iter()
            .map(|(_, service)| service.clone())
            .collect()
    }

    fn insert_claim(&mut self, service: &ServiceName, cid: Cid, key: Option<String>) {
        self.service(service).claims.insert(cid, key);
        self.service_of.insert(cid, service.clone());
    }

    fn remove_pending(&mut self, service: &ServiceName, owner: Option<&Principal>) {
        self.owners.remove(owner_of(service, owner));
        let counts = self.service(service);
        counts.pending = counts.pending.saturating_sub(1);
        self.total_pending = self.total_pending.saturating_sub(1);
    }

    fn service(&mut self, name: &ServiceName) -> &mut ServiceLedger {
        self.services.entry(name.clone()).or_default()
    }
}

/// The owner for which an invocation counts. A group counts as its members.
fn owner_of<'o>(service: &ServiceName, owner: Option<&'o Principal>) -> Option<&'o Principal> {
    owner.filter(|_| !service.is_none())
}

/// A store on disk reads rows that it has claimed, and counts them when it is opened.
#[cfg(feature = "sqlite")]
impl Ledger {
    /// The claims on invocations of a service; `None` if it never had any invocation.
    pub(super) fn claims(&self, service: &ServiceName) -> Option<&Claims> {
        self.services.get(service).map(|counts| &counts.claims)
    }

    /// How many invocations are claimed.
    pub(super) fn claim_count(&self) -> usize {
        self.service_of.len()
    }

    /// Counts invocations that were found at startup to wait for an outcome from outside.
    pub(super) fn add_awaiting_completion(&mut self, service: &ServiceName, count: usize) {
        self.service(service).awaiting_completion += count;
    }

    /// Counts pending invocations of a principal that were found at startup.
    pub(super) fn add_owned(&mut self, owner: &Principal, count: usize) {
        self.owners.add(Some(owner), count);
    }

    /// Excludes an invocation that cannot be decoded from all further claims. It still counts as pending.
    pub(super) fn quarantine(&mut self, service: &ServiceName, cid: Cid) {
        self.insert_claim(service, cid, None);
    }
}

#[cfg(feature = "sqlite")]
impl Claims {
    /// How many invocations are claimed.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether an invocation is claimed.
    pub(super) fn contains(&self, cid: Cid) -> bool {
        self.keys.contains_key(&cid)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::payload::Payload;

    fn record(cid: Cid, service: &ServiceName, state: State) -> Record {
        Record {
            id: 1,
            generation: 1,
            cid,
            service: service.clone(),
            owner: None,
            state,
            attempts: 1,
            crash_count: 0,
            due: Timestamp::UNIX_EPOCH,
            next_wakeup: Timestamp::UNIX_EPOCH,
            expires_at: None,
            first_attempt_time: None,
            events: Vec::new(),
            progress: None,
            last_failure: None,
            deferred: false,
            end_time: None,
            purge_time: None,
            tombstone_until: None,
            followed_by: Vec::new(),
            completion: None,
            expected_attempts: None,
        }
    }

    fn request(service: &ServiceName) -> Request {
        let now = Timestamp::UNIX_EPOCH;
        Request::new(Cid::new(), service.clone(), Payload::empty(), now)
    }

    #[test]
    fn a_claimed_invocation_is_not_pending_until_it_is_recorded_as_pending() {
        let mut ledger = Ledger::default();
        let service = ServiceName::parse("a").unwrap();
        let claimed = request(&service);
        let cid = claimed.cid;
        ledger.add_pending(&service, 2);
        ledger.claim(&claimed);
        assert_eq!(
            (ledger.pending_count(&service), ledger.total_pending_count()),
            (1, 1)
        );
        let pending = record(cid, &service, State::Pending { started: true });
        ledger.record(&pending, &service, false);
        assert!(!ledger.is_claimed(cid));
        assert_eq!(ledger.pending_count(&service), 2);
        // Without a claim, the end of a pending invocation is counted as well.
        ledger.record(&record(cid, &service, State::Succeeded), &service, false);
        assert_eq!(
            (ledger.pending_count(&service), ledger.total_pending_count()),
            (1, 1)
        );
    }

    #[test]
    fn a_concurrency_key_is_busy_while_an_invocation_with_it_is_claimed() {
        let mut ledger = Ledger::default();
        let service = ServiceName::parse("a").unwrap();
        let with_key = || {
            let mut request = request(&service);
            request.terms.concurrency_key = Some("x".to_owned());
            request
        };
        let (claimed, mut other) = (with_key(), Invocation::accepted(with_key(), 1));
        let cid = claimed.cid;
        ledger.add_pending(&service, 2);
        ledger.claim(&claimed);
        ledger.set_key_busy(&mut other, true);
        assert!(other.key_busy);
        assert!(ledger.is_key_busy(&service, "x") && !ledger.is_key_busy(&service, "y"));
        assert!(ledger.release(cid) && !ledger.release(cid));
        ledger.set_key_busy(&mut other, true);
        assert!(!other.key_busy);
        ledger.set_key_busy(&mut other, false);
        assert!(other.key_busy, "it is not the head of its queue");
    }
}
