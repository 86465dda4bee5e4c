//! The ledger of claims and counts, and the records without a claim that are in flight.
//!
//! A claim reads rows while records are being committed. So that no invocation is claimed after it was recorded, a
//! claim skips those with a record in flight, and those whose record was committed after the claim began to read.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::hand_over::HandOver;
use super::newest::{AcceptedId, NewestInvocations, Place};
use super::queries::DueService;
use crate::engine::store::{Claim, ClaimLimit, OLDEST_DUE_SERVICES, OldestDue};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;
use crate::store::blob;
use crate::store::ledger::Ledger;

/// The ledger and the records in flight, behind one lock.
#[derive(Debug, Default)]
pub(super) struct Bookkeeping(Mutex<Entries>);

#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) ledger: Ledger,
    pub(super) hand_over: HandOver,
    pub(super) newest: NewestInvocations,
    /// Unclaimed records in flight, by CID; a claim skips these.
    unclaimed_records: HashMap<Cid, usize>,
    /// Those of them that were committed during the claim under way, which may have read the rows before.
    committed_during_claim: Vec<Cid>,
    is_claiming: bool,
}

impl Bookkeeping {
    pub(super) fn lock(&self) -> MutexGuard<'_, Entries> {
        // No critical section panics between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a claim that reads the file. There is one at a time.
    pub(super) fn begin_claim(&self, service: &ServiceName) -> ClaimGuard<'_> {
        let mut entries = self.lock();
        entries.hand_over.begin_read(service);
        entries.forget_committed();
        entries.is_claiming = true;
        ClaimGuard(self)
    }

    /// Begins a record without a claim; `None` if the invocation is claimed, since a claim wins.
    pub(super) fn begin_unclaimed_record(&self, cid: Cid) -> Option<UnclaimedRecord<'_>> {
        let mut entries = self.lock();
        if entries.ledger.is_claimed(cid) {
            return None;
        }
        *entries.unclaimed_records.entry(cid).or_default() += 1;
        Some(UnclaimedRecord {
            bookkeeping: self,
            cid,
        })
    }
}

impl Entries {
    /// Whether a claim has to skip an invocation because of a record without a claim.
    pub(super) fn has_unclaimed_record(&self, cid: Cid) -> bool {
        self.unclaimed_records.contains_key(&cid)
    }

    /// The unclaimed invocations of a service that are as they were accepted, and have no row in the table of pending
    /// ones.
    pub(super) fn accepted(&self, service: &ServiceName) -> Vec<AcceptedId> {
        self.newest
            .accepted(service, |cid| self.ledger.is_claimed(cid))
    }

    /// What is known of the services with most pending invocations, for a search of those that have been due longest.
    pub(super) fn due_services(&self, now: i64) -> Vec<DueService> {
        // One pass over the newest invocations, however many services there are.
        let mut accepted: HashMap<&ServiceName, (i64, Cid)> = HashMap::new();
        for (cid, newest) in self.newest.iter() {
            if let Place::Accepted { due } = newest.place
                && due <= now
                && !self.ledger.is_claimed(cid)
            {
                let first = accepted.entry(&newest.service).or_insert((due, cid));
                *first = (*first).min((due, cid));
            }
        }
        let services = self.ledger.most_pending(OLDEST_DUE_SERVICES).into_iter();
        let known = services.map(|service| DueService {
            claims: self.ledger.claims(&service).cloned().unwrap_or_default(),
            accepted: accepted.get(&service).map(|(due, cid)| OldestDue {
                service: service.clone(),
                cid: *cid,
                due: blob::timestamp(*due),
            }),
            service,
        });
        known.collect()
    }

    /// Hands an invocation that was accepted to the claims of its service. `bytes`: those of its request, encoded.
    pub(super) fn hand_over(&mut self, invocation: &Invocation, bytes: usize) {
        let request = &invocation.request;
        if request.terms.concurrency_key.is_some() {
            // It may have to wait for others with its key.
            self.hand_over.forget(&request.service);
        } else if invocation.due != request.accept_time {
            let due = blob::nanos(invocation.next_wakeup());
            self.hand_over.accepted_for(&request.service, due);
        } else if !self.ledger.is_claimed(request.cid) {
            // A claim may have read it between its commit and now.
            self.hand_over.push(invocation, bytes);
        }
    }

    /// Claims invocations of a service that were handed over; `None` if the file has to be read.
    pub(super) fn claim_handed_over(
        &mut self,
        service: &ServiceName,
        now: i64,
        limit: ClaimLimit,
    ) -> Option<Claim> {
        let records = &self.unclaimed_records;
        let is_excluded = |cid| records.contains_key(&cid);
        let claim = self.hand_over.take(service, now, limit, is_excluded)?;
        for invocation in &claim.invocations {
            self.ledger.claim(&invocation.request);
        }
        Some(claim)
    }

    fn end_unclaimed_record(&mut self, cid: Cid) {
        if let Some(others) = self.unclaimed_records.get_mut(&cid) {
            *others -= 1;
            if *others == 0 {
                self.unclaimed_records.remove(&cid);
            }
        }
    }

    /// The next claim reads what has been committed by now.
    fn forget_committed(&mut self) {
        for cid in std::mem::take(&mut self.committed_during_claim) {
            self.end_unclaimed_record(cid);
        }
    }
}

/// A claim that is reading rows, until it is dropped.
pub(super) struct ClaimGuard<'a>(&'a Bookkeeping);

impl Drop for ClaimGuard<'_> {
    fn drop(&mut self) {
        let mut entries = self.0.lock();
        entries.forget_committed();
        entries.is_claiming = false;
    }
}

/// A record without a claim that is in flight, until it is dropped.
pub(super) struct UnclaimedRecord<'a> {
    bookkeeping: &'a Bookkeeping,
    cid: Cid,
}

impl Drop for UnclaimedRecord<'_> {
    fn drop(&mut self) {
        let mut entries = self.bookkeeping.lock();
        match entries.is_claiming {
            true => entries.committed_during_claim.push(self.cid),
            false => entries.end_unclaimed_record(self.cid),
        }
    }
}
