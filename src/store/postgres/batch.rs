//! What one transaction writes: new invocations, and records.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::connection::{Link, Tx};
use super::end::{self, EndRow, Taken, record};
use super::error::{Failed, store_full};
use super::key_queues::lock;
use super::lookup;
use super::new_rows::{self, NewRow, insert};
use super::services::Services;
use super::shared::Shared;
use crate::engine::store::{Acceptance, Stored};
use crate::model::error::{Error, Result};
use crate::model::id::Cid;

type Reply<T> = oneshot::Sender<Result<T>>;

/// The commands of a transaction. No two of them have the same CID, or idempotency key.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) accepts: Vec<(NewRow, Reply<Acceptance>)>,
    pub(super) records: Vec<(EndRow, Reply<bool>)>,
}

/// What a transaction wrote.
pub(super) struct Written {
    /// The new invocations, each with its id.
    stored: Vec<(Cid, i64)>,
    /// What is known of those that are not new.
    known: Vec<(Cid, Result<Acceptance>)>,
    taken: Vec<Taken>,
    /// Records that an earlier transaction had written.
    before: Vec<Cid>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.accepts.len() + self.records.len()
    }

    /// Two halves of it.
    pub(super) fn divide(mut self) -> (Self, Self) {
        let second = Self {
            accepts: self.accepts.split_off(self.accepts.len() / 2),
            records: self.records.split_off(self.records.len().div_ceil(2)),
        };
        (self, second)
    }

    /// Answers that nothing of it was written.
    pub(super) fn fail(self, error: &Error) {
        tracing::warn!(%error, "the database refused to write");
        for (_, reply) in self.accepts {
            let _ = reply.send(Err(error.clone()));
        }
        for (_, reply) in self.records {
            let _ = reply.send(Err(error.clone()));
        }
    }

    /// Counts what was written, and answers.
    pub(super) fn answer(self, mut written: Written, shared: &Shared) {
        let counts = &shared.counts;
        for (row, reply) in self.accepts {
            let stored = written.stored.iter().find(|(cid, _)| *cid == row.cid);
            let known = written.known.iter().position(|(cid, _)| *cid == row.cid);
            let answer = match (stored, known) {
                (Some((_, id)), _) => {
                    counts.accepted(&row, *id);
                    Ok(Acceptance::Stored)
                }
                (None, Some(position)) => written.known.swap_remove(position).1,
                (None, None) => Err(store_full()),
            };
            let _ = reply.send(answer);
        }
        for (row, reply) in self.records {
            shared.own_claims.end(&row.record);
            let taken = written.taken.iter().find(|one| one.cid == row.record.cid);
            if let Some(taken) = taken {
                counts.recorded(&row, taken);
            }
            let is_taken = taken.is_some() || written.before.contains(&row.record.cid);
            let _ = reply.send(Ok(is_taken));
        }
    }
}

/// Writes a batch in one transaction.
pub(super) async fn write(
    link: &Link,
    shared: &Arc<Shared>,
    batch: &Batch,
) -> Result<Written, Failed> {
    let services = &shared.services;
    let followers = batch.records.iter().flat_map(|(row, _)| &row.followed_by);
    let rows = batch.accepts.iter().map(|(row, _)| row).chain(followers);
    services.meet(link, rows.map(|row| &row.service)).await?;
    let has_room = shared.counts.bytes() < shared.connector.options.accept_limit();
    let new: Vec<&NewRow> = match has_room {
        true => batch.accepts.iter().map(|(row, _)| row).collect(),
        false => Vec::new(),
    };
    let records: Vec<&EndRow> = batch.records.iter().map(|(row, _)| row).collect();
    let first_claim = shared.first_claim;
    let tx = link.begin().await?;
    lock_keys(&tx, &new, &records, services).await?;
    let stored = match new.is_empty() {
        true => Vec::new(),
        false => insert(&tx, &new, services, first_claim).await?,
    };
    let (taken, before) = match records.is_empty() {
        true => (Vec::new(), Vec::new()),
        false => record(&tx, &records, shared.session(), services, first_claim).await?,
    };
    tx.commit().await?;
    let mut written = Written {
        stored,
        known: Vec::new(),
        taken,
        before,
    };
    for (row, _) in &batch.accepts {
        if !written.stored.iter().any(|(cid, _)| *cid == row.cid)
            && let Some(known) = known(link, shared, row).await?
        {
            match known {
                // An earlier transaction had written it, and its answer was lost.
                Known::Own(id) => written.stored.push((row.cid, id)),
                Known::Other(acceptance) => written.known.push((row.cid, acceptance)),
            }
        }
    }
    Ok(written)
}

/// Locks all concurrency keys of a batch at once: transactions that lock them one after another, in whatever order,
/// wait for each other.
async fn lock_keys(
    tx: &Tx<'_>,
    new: &[&NewRow],
    records: &[&EndRow],
    services: &Services,
) -> Result<(), Failed> {
    let followers = records.iter().flat_map(|row| &row.followed_by);
    let new: Vec<&NewRow> = new.iter().copied().chain(followers).collect();
    let mut keys = new_rows::queue_keys(&new, services)?;
    if !keys.is_empty() && !records.is_empty() {
        keys.extend(end::queue_keys(tx, records).await?);
        lock(tx, &keys).await?;
    }
    Ok(())
}

/// What is known of an invocation that is not new.
pub(super) enum Known {
    /// It was accepted by this very acceptance, with this id.
    Own(i64),
    Other(Result<Acceptance>),
}

/// What is known under the CID or the idempotency key of an invocation.
pub(super) async fn known(
    link: &Link,
    shared: &Shared,
    row: &NewRow,
) -> Result<Option<Known>, Failed> {
    let registered = lookup::registered(link, row.cid).await?;
    if let Some(registered) = &registered
        && registered.accept_id == row.accept_id
    {
        return Ok(Some(Known::Own(registered.id)));
    }
    let cid = match (registered, &row.idempotency_key) {
        (Some(_), _) => Some(row.cid),
        (None, Some(key)) => lookup::by_idempotency_key(link, key).await?,
        (None, None) => None,
    };
    let Some(cid) = cid else {
        return Ok(None);
    };
    Ok(match lookup::get(link, shared, cid).await {
        Ok(Stored::Found(found)) => Some(Known::Other(Ok(Acceptance::Known(found.request)))),
        Ok(Stored::Removed(tombstone)) => Some(Known::Other(Ok(Acceptance::Removed(tombstone)))),
        Ok(Stored::Unknown) => None,
        Err(Failed::Own(error)) => Some(Known::Other(Err(error))),
        Err(failed) => return Err(failed),
    })
}
