//! How much is pending. Exact for what this node did since it was started; what other nodes did in the meantime is
//! not counted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use super::connection::Link;
use super::end::{EndRow, Taken};
use super::error::Failed;
use super::new_rows::NewRow;
use super::services::Services;
use crate::model::access::Principal;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Invocation, State};

const LOAD: &str = "SELECT service, count(*) FILTER (WHERE session = 0),
         count(*) FILTER (WHERE awaited AND open_members IS NULL)
     FROM pending GROUP BY service";
const LOAD_OWNERS: &str = "SELECT owner, count(*) FROM pending JOIN invocation USING (id)
     WHERE owner IS NOT NULL AND session = 0 AND open_members IS NULL GROUP BY owner";
const LOAD_TOTALS: &str = "SELECT (SELECT coalesce(sum(bytes), 0) FROM pending)::bigint
         + (SELECT coalesce(sum(bytes), 0) FROM outcome)::bigint,
     (SELECT coalesce(max(id), 0) FROM registry)";

/// Counters, which may be below zero for a while: others accept what this node ends.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    services: HashMap<ServiceName, Count, RandomState>,
    total: i64,
    owners: HashMap<Principal, i64, RandomState>,
    /// How many callbacks each invocation promises that was accepted here since the start.
    promised: HashMap<Cid, usize, RandomState>,
    total_promised: usize,
    bytes: i64,
    last_id: i64,
}

#[derive(Debug, Default)]
struct Count {
    pending: i64,
    awaiting: i64,
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl Counts {
    /// Counts what is in the store.
    pub(super) async fn load(&self, link: &Link, services: &Services) -> Result<(), Failed> {
        let by_service = link.query(LOAD, &[]).await?;
        let by_owner = link.query(LOAD_OWNERS, &[]).await?;
        let totals = super::error::first(link.query(LOAD_TOTALS, &[]).await?)?;
        let mut inner = self.lock();
        for row in &by_service {
            let Some(service) = services.name(row.try_get(0)?) else {
                continue;
            };
            let (pending, awaiting) = (row.try_get(1)?, row.try_get(2)?);
            inner.services.insert(service, Count { pending, awaiting });
            inner.total += pending;
        }
        for row in &by_owner {
            let owner: &[u8] = row.try_get(0)?;
            let owner = Principal::known(&String::from_utf8_lossy(owner));
            inner.owners.insert(owner, row.try_get(1)?);
        }
        (inner.bytes, inner.last_id) = (totals.try_get(0)?, totals.try_get(1)?);
        Ok(())
    }

    /// Counts a new invocation, and the callbacks that it promises.
    pub(super) fn accepted(&self, row: &NewRow, id: i64) {
        let mut inner = self.lock();
        inner.add(&row.service, row.owner.as_ref(), 1);
        inner.bytes += size(row.bytes());
        inner.last_id = inner.last_id.max(id);
        if row.promised > 0 {
            inner.promised.insert(row.cid, row.promised);
            inner.total_promised += row.promised;
        }
    }

    /// Counts a claim.
    pub(super) fn claimed(&self, invocation: &Invocation) {
        let request = &invocation.request;
        self.lock().add(&request.service, request.owner(), -1);
    }

    /// Counts a record.
    pub(super) fn recorded(&self, row: &EndRow, taken: &Taken) {
        let record = &row.record;
        let is_pending = matches!(record.state, State::Pending { .. });
        let is_awaiting = is_pending && record.completion.is_some_and(|one| one.pending);
        let mut inner = self.lock();
        match (taken.was_claimed, is_pending) {
            (true, true) => inner.add(&taken.service, record.owner.as_ref(), 1),
            (false, false) => inner.add(&taken.service, record.owner.as_ref(), -1),
            (true, false) | (false, true) => {}
        }
        let count = inner.services.entry(taken.service.clone()).or_default();
        count.awaiting += i64::from(is_awaiting) - i64::from(taken.was_awaiting);
        if record.state.is_terminal()
            && let Some(promised) = inner.promised.remove(&record.cid)
        {
            inner.total_promised -= promised;
        }
        inner.bytes += size(row.bytes());
        for (cid, id) in &taken.followed_by {
            let next = row.followed_by.iter().find(|next| next.cid == *cid);
            if let Some(next) = next {
                inner.add(&next.service, next.owner.as_ref(), 1);
                inner.last_id = inner.last_id.max(*id);
            }
        }
    }

    /// Counts bytes that were removed.
    pub(super) fn removed(&self, bytes: i64) {
        self.lock().bytes -= bytes;
    }

    pub(super) fn bytes(&self) -> u64 {
        u64::try_from(self.lock().bytes).unwrap_or_default()
    }

    pub(super) fn last_id(&self) -> u64 {
        u64::try_from(self.lock().last_id).unwrap_or_default()
    }

    pub(super) fn pending(&self, service: &ServiceName) -> usize {
        let inner = self.lock();
        let count = inner.services.get(service).map_or(0, |count| count.pending);
        usize::try_from(count).unwrap_or_default()
    }

    pub(super) fn awaiting(&self, service: &ServiceName) -> usize {
        let inner = self.lock();
        let count = inner
            .services
            .get(service)
            .map_or(0, |count| count.awaiting);
        usize::try_from(count).unwrap_or_default()
    }

    pub(super) fn of_owner(&self, owner: &Principal) -> usize {
        let count = self.lock().owners.get(owner).copied().unwrap_or_default();
        usize::try_from(count).unwrap_or_default()
    }

    pub(super) fn total(&self) -> usize {
        let inner = self.lock();
        usize::try_from(inner.total).unwrap_or_default() + inner.total_promised
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Counters: each is whole after each addition.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, service: &ServiceName, owner: Option<&Principal>, count: i64) {
        self.total += count;
        self.services.entry(service.clone()).or_default().pending += count;
        // A group counts as its members.
        let Some(owner) = owner.filter(|_| !service.is_none()) else {
            return;
        };
        let owned = self.owners.entry(owner.clone()).or_default();
        *owned += count;
        if *owned == 0 {
            self.owners.remove(owner);
        }
    }
}
