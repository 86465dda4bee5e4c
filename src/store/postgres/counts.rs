//! How much is pending: counters of what this node does, corrected from the tables every few seconds by what the other
//! nodes did ([`recount`](super::recount)).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use tokio::sync::{RwLock, RwLockReadGuard};

use super::connection::Tx;
use super::end::{EndRow, Taken};
use super::error::{Failed, first};
use super::new_rows::NewRow;
use super::services::Services;
use crate::model::access::Principal;
use crate::model::id::ServiceName;
use crate::model::invocation::{Invocation, State};

const BY_SERVICE: &str = "SELECT service, count(*) FILTER (WHERE session = 0),
         count(*) FILTER (WHERE awaited AND open_members IS NULL), sum(promised)::bigint, sum(bytes)::bigint
     FROM pending GROUP BY service";
const BY_OWNER: &str = "SELECT owner, count(*) FROM pending JOIN invocation USING (id)
     WHERE owner IS NOT NULL AND session = 0 AND open_members IS NULL GROUP BY owner";
const ENDED: &str = "SELECT coalesce(sum(bytes), 0)::bigint FROM outcome";
const LAST_ID: &str = "SELECT coalesce(max(id), 0) FROM invocation";

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Counts {
    inner: Mutex<Inner>,
    /// Read while a change is committed and then counted, written while the tables are about to be counted: each change
    /// is in the tables that are counted, or counted since.
    committing: RwLock<()>,
}

#[derive(Debug, Default)]
struct Inner {
    sums: Sums,
    /// What changed since the tables are being counted.
    since: Option<Sums>,
    last_id: i64,
}

/// What is counted. May be below zero for a moment: others accept what this node ends.
#[derive(Debug, Default)]
struct Sums {
    services: HashMap<ServiceName, Count, RandomState>,
    owners: HashMap<Principal, i64, RandomState>,
    total: i64,
    /// The callbacks that pending invocations promise.
    promised: i64,
    bytes: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    pending: i64,
    awaiting: i64,
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn number(count: i64) -> usize {
    usize::try_from(count).unwrap_or_default()
}

impl Counts {
    /// Held from before the commit of a change until the change was counted. Not while another one is waited for.
    pub(super) async fn committing(&self) -> RwLockReadGuard<'_, ()> {
        self.committing.read().await
    }

    /// Counts what is in the tables, in a transaction that sees one state of them. What this node changes meanwhile is
    /// added.
    pub(super) async fn load(&self, tx: &Tx<'_>, services: &Services) -> Result<(), Failed> {
        let counted = self.count(tx, services).await;
        let mut inner = self.lock();
        let since = inner.since.take().unwrap_or_default();
        let (mut counted, last_id) = counted?;
        counted.merge(since);
        inner.sums = counted;
        inner.last_id = inner.last_id.max(last_id);
        Ok(())
    }

    async fn count(&self, tx: &Tx<'_>, services: &Services) -> Result<(Sums, i64), Failed> {
        let last_id = {
            let _none_is_committing = self.committing.write().await;
            self.lock().since = Some(Sums::default());
            // The first statement decides which state of the tables the others see.
            first(tx.query(LAST_ID, &[]).await?)?.try_get(0)?
        };
        let mut sums = Sums::default();
        let rows = tx.query(BY_SERVICE, &[]).await?;
        let ids = rows.iter().map(|row| row.try_get(0));
        let ids = ids.collect::<Result<Vec<i32>, _>>()?;
        services.meet_ids(tx.link, ids.into_iter()).await?;
        for row in &rows {
            let (pending, promised, bytes): (i64, i64, i64) =
                (row.try_get(1)?, row.try_get(3)?, row.try_get(4)?);
            sums.total += pending;
            sums.promised += promised;
            sums.bytes += bytes;
            let awaiting = row.try_get(2)?;
            if let Some(service) = services.name(row.try_get(0)?) {
                sums.services.insert(service, Count { pending, awaiting });
            }
        }
        for row in &tx.query(BY_OWNER, &[]).await? {
            let owner = Principal::known(&String::from_utf8_lossy(row.try_get(0)?));
            sums.owners.insert(owner, row.try_get(1)?);
        }
        sums.bytes += first(tx.query(ENDED, &[]).await?)?.try_get::<_, i64>(0)?;
        Ok((sums, last_id))
    }

    /// Counts a new invocation, and the callbacks that it promises.
    pub(super) fn accepted(&self, row: &NewRow, id: i64) {
        let mut inner = self.lock();
        inner.last_id = inner.last_id.max(id);
        inner.change(|sums| {
            sums.add(&row.service, row.owner.as_ref(), 1);
            sums.promised += size(row.promised);
            sums.bytes += size(row.bytes());
        });
    }

    /// Counts a claim.
    pub(super) fn claimed(&self, invocation: &Invocation) {
        let request = &invocation.request;
        let claim = |sums: &mut Sums| sums.add(&request.service, request.owner(), -1);
        self.lock().change(claim);
    }

    /// Counts a record, and what was accepted with it.
    pub(super) fn recorded(&self, row: &EndRow, taken: &Taken) {
        let record = &row.record;
        let is_pending = matches!(record.state, State::Pending { .. });
        let is_awaiting = is_pending && record.completion.is_some_and(|one| one.pending);
        let owner = record.owner.as_ref();
        let mut inner = self.lock();
        inner.change(|sums| {
            match (taken.was_claimed, is_pending) {
                (true, true) => sums.add(&taken.service, owner, 1),
                (false, false) => sums.add(&taken.service, owner, -1),
                (true, false) | (false, true) => {}
            }
            let count = sums.services.entry(taken.service.clone()).or_default();
            count.awaiting += i64::from(is_awaiting) - i64::from(taken.was_awaiting);
            sums.promised -= i64::from(taken.promised);
            sums.bytes += size(row.event_bytes());
        });
        drop(inner);
        for (cid, id) in &taken.followed_by {
            if let Some(next) = row.followed_by.iter().find(|next| next.cid == *cid) {
                self.accepted(next, *id);
            }
        }
    }

    /// Counts bytes that were removed.
    pub(super) fn removed(&self, bytes: i64) {
        self.lock().change(|sums| sums.bytes -= bytes);
    }

    pub(super) fn bytes(&self) -> u64 {
        u64::try_from(self.lock().sums.bytes).unwrap_or_default()
    }

    pub(super) fn last_id(&self) -> u64 {
        u64::try_from(self.lock().last_id).unwrap_or_default()
    }

    pub(super) fn pending(&self, service: &ServiceName) -> usize {
        number(self.of_service(service).pending)
    }

    pub(super) fn awaiting(&self, service: &ServiceName) -> usize {
        number(self.of_service(service).awaiting)
    }

    fn of_service(&self, service: &ServiceName) -> Count {
        let count = self.lock().sums.services.get(service).copied();
        count.unwrap_or_default()
    }

    pub(super) fn of_owner(&self, owner: &Principal) -> usize {
        let count = self.lock().sums.owners.get(owner).copied();
        number(count.unwrap_or_default())
    }

    pub(super) fn total(&self) -> usize {
        let inner = self.lock();
        number(inner.sums.total) + number(inner.sums.promised)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Counters: each is whole after each addition.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn change(&mut self, change: impl Fn(&mut Sums)) {
        change(&mut self.sums);
        if let Some(since) = &mut self.since {
            change(since);
        }
    }
}

impl Sums {
    fn add(&mut self, service: &ServiceName, owner: Option<&Principal>, count: i64) {
        self.total += count;
        self.services.entry(service.clone()).or_default().pending += count;
        // A group counts as its members.
        if let Some(owner) = owner.filter(|_| !service.is_none()) {
            self.add_owned(owner, count);
        }
    }

    fn add_owned(&mut self, owner: &Principal, count: i64) {
        let owned = self.owners.entry(owner.clone()).or_default();
        *owned += count;
        if *owned == 0 {
            self.owners.remove(owner);
        }
    }

    fn merge(&mut self, other: Self) {
        for (service, count) in other.services {
            let own = self.services.entry(service).or_default();
            own.pending += count.pending;
            own.awaiting += count.awaiting;
        }
        for (owner, count) in &other.owners {
            self.add_owned(owner, *count);
        }
        self.total += other.total;
        self.promised += other.promised;
        self.bytes += other.bytes;
    }
}
