//! What one transaction does: each job, on the rows it is about.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{OptionalExtension as _, Params, Transaction, params};

use super::disk;
use super::reader;
use super::rows::{Change, New};
use super::writer::{Done, Job, Recorded};
use crate::engine::store::{Acceptance, Record};
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::State;

/// What somebody wants cancelled is over, whatever is recorded of it.
const RECORD: &str =
    "UPDATE invocation SET state = ?2, due = ?3, generation = ?4, losses = ?15, attempts = ?5,
     events = ?6, progress = ?7, last_failure = ?8, first_attempt_time = ?9, end_time = ?10,
     purge_time = ?11, tombstone_until = ?12, failure_reason = ?14, later = ?17, awaited = ?18,
     wake = CASE WHEN cancel_requested AND ?2 < 2 THEN 0 ELSE ?13 END,
     over = CASE WHEN cancel_requested AND ?2 < 2 THEN 0 ELSE ?16 END WHERE id = ?1";

/// The work of one transaction.
pub(super) struct Work<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) services: &'a HashMap<ServiceName, i64>,
    /// Those that are new: remembered once they are committed.
    pub(super) fresh: &'a mut HashMap<ServiceName, i64>,
    pub(super) generation: u32,
    /// How many more invocations of each service have not ended.
    pub(super) open: &'a mut HashMap<i64, i64>,
}

impl Work<'_> {
    pub(super) fn carry_out(&mut self, job: &Job, room: bool) -> rusqlite::Result<Result<Done>> {
        Ok(match job {
            Job::Accept(new, _) => self.accept(new, room)?.map(Done::Accepted),
            Job::AcceptGroup(new, _) => self.accept_group(new, room)?.map(Done::Accepted),
            Job::Record(change, _) => Ok(Done::Recorded(self.record(change)?)),
            Job::Begin(cids, _) => {
                for cid in cids {
                    let statement =
                        "UPDATE invocation SET losses = losses + 1 WHERE cid = ?1 AND state < 2";
                    self.transaction
                        .prepare_cached(statement)?
                        .execute([cid.as_bytes()])?;
                }
                Ok(Done::Begun)
            }
            Job::Cancel(cid, _) => Ok(Done::Cancelled(self.request_cancel(*cid)?)),
            Job::Purge(now, max, _) => Ok(Done::Purged(self.purge(*now, *max)?)),
            Job::Remove(cid, _) => Ok(Done::Removed(self.remove(*cid)?)),
            Job::Announce(announced, _) => {
                let insert =
                    "INSERT INTO announced (service, hash, first_time, last_time, declaration)
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET last_time = ?4";
                self.transaction.prepare_cached(insert)?.execute(params![
                    announced.service.as_str(),
                    announced.hash,
                    disk::nanos(announced.first_time),
                    disk::nanos(announced.last_time),
                    announced.declaration,
                ])?;
                Ok(Done::Remembered)
            }
            Job::Forget(service, _) => {
                let delete = "DELETE FROM announced WHERE service = ?1";
                self.transaction
                    .prepare_cached(delete)?
                    .execute([service.as_str()])?;
                Ok(Done::Remembered)
            }
            Job::Close(_) => {
                self.transaction
                    .execute("UPDATE meta SET value = 1 WHERE key = 'clean'", [])?;
                Ok(Done::Closed)
            }
        })
    }

    /// Its time is over at once: where the node ends before the handler does, the next one cancels it, whoever serves
    /// it or not.
    fn request_cancel(&self, cid: Cid) -> rusqlite::Result<bool> {
        let select = "SELECT service, concurrency_key FROM invocation WHERE cid = ?1 AND state < 2";
        let mut select = self.transaction.prepare_cached(select)?;
        let found = select.query_row([cid.as_bytes()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?))
        });
        let Some((service, key)) = found.optional()? else {
            return Ok(false);
        };
        let queue = self.queue(service, key.as_deref())?;
        // A group has nothing to be stopped itself: it ends with its members.
        let update = "UPDATE invocation SET cancel_requested = 1,
             wake = CASE WHEN open_members > 0 THEN wake ELSE 0 END,
             over = CASE WHEN open_members > 0 THEN over ELSE 0 END WHERE cid = ?1";
        self.transaction
            .prepare_cached(update)?
            .execute([cid.as_bytes()])?;
        self.move_up(queue.as_ref())?;
        Ok(true)
    }

    pub(super) fn service(&mut self, name: &ServiceName) -> rusqlite::Result<i64> {
        if let Some(id) = self.services.get(name).or_else(|| self.fresh.get(name)) {
            return Ok(*id);
        }
        let insert = "INSERT INTO service (name) VALUES (?1) ON CONFLICT (name) DO NOTHING";
        self.transaction
            .prepare_cached(insert)?
            .execute([name.as_str()])?;
        let select = "SELECT id FROM service WHERE name = ?1";
        let mut select = self.transaction.prepare_cached(select)?;
        let id = select.query_row([name.as_str()], |row| row.get(0))?;
        self.fresh.insert(name.clone(), id);
        Ok(id)
    }

    fn accept(&mut self, new: &New, room: bool) -> rusqlite::Result<Result<Acceptance>> {
        if let Some(first) = self.known_before(new)? {
            return Ok(first);
        }
        if room && let Some(service) = self.insert(new)? {
            *self.open.entry(service).or_default() += 1;
            return Ok(Ok(Acceptance::Stored));
        }
        Ok(self.known(new)?.unwrap_or_else(|| Err(full())))
    }

    /// What was accepted before and would not be in the way of an insert: it was removed, or has another CID and the
    /// same key, of whatever service.
    pub(super) fn known_before(&self, new: &New) -> rusqlite::Result<Option<Result<Acceptance>>> {
        if let Some(tombstone) = reader::tombstone(self.transaction, new.cid)? {
            return Ok(Some(Ok(Acceptance::Removed(tombstone))));
        }
        match new.idempotency_key {
            Some(_) => self.known(new),
            None => Ok(None),
        }
    }

    /// Stores a row; answers with its service, or nothing where there is one with its CID.
    pub(super) fn insert(&mut self, new: &New) -> rusqlite::Result<Option<i64>> {
        let service = self.service(&new.service)?;
        let sequence = i64::try_from(new.sequence).unwrap_or(i64::MAX);
        let insert = "INSERT INTO invocation
             (cid, service, state, due, wake, idempotency_key, generation, sequence, request, accept_time, parent,
              concurrency_key, root, leads, over, group_cid, position, held, open_members, awaited)
             VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?11 IS NULL, ?13, ?14, ?15,
              ?14 IS NOT NULL, ?16, ?16 IS NOT NULL) ON CONFLICT DO NOTHING";
        let queue = self.queue(service, new.concurrency_key.as_deref())?;
        let inserted = self.transaction.prepare_cached(insert)?.execute(params![
            new.cid.as_bytes(),
            service,
            new.due,
            new.wake,
            new.idempotency_key,
            self.generation,
            sequence,
            new.request,
            new.accept_time,
            new.parent.as_ref().map(Cid::as_bytes),
            new.concurrency_key,
            new.root.as_ref().map(Cid::as_bytes),
            new.over,
            new.member.as_ref().map(|(group, _)| group.as_bytes()),
            new.member.map(|(_, position)| position),
            new.open_members,
        ])?;
        if inserted == 0 {
            return Ok(None);
        }
        self.move_up(queue.as_ref())?;
        Ok(Some(service))
    }

    /// What was accepted before with the same CID, or the same key.
    pub(super) fn known(&self, new: &New) -> rusqlite::Result<Option<Result<Acceptance>>> {
        let select =
            "SELECT cid, service.name, request FROM invocation JOIN service ON service.id = service
             WHERE cid = ?1 OR idempotency_key = ?2 ORDER BY cid = ?1 DESC, invocation.id LIMIT 1";
        let mut select = self.transaction.prepare_cached(select)?;
        let first = params![new.cid.as_bytes(), new.idempotency_key];
        let first = select.query_row(first, |row| {
            Ok((
                row.get::<_, Vec<u8>>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Vec<u8>>(2)?,
            ))
        });
        Ok(first.optional()?.map(|(cid, name, request)| {
            let first = ServiceName::from_record(&name)
                .and_then(|service| disk::decode_request(disk::cid(&cid)?, service, &request));
            first.map(|first| Acceptance::Known(Arc::new(first)))
        }))
    }

    fn record(&mut self, change: &Change) -> rusqlite::Result<Option<Recorded>> {
        let record = &change.record;
        let Some(open) = self.not_ended(record)? else {
            return Ok(None);
        };
        let Open {
            id,
            service,
            before,
            name,
            key,
            group,
            is_group,
            was_awaited,
        } = open;
        let queue = self.queue(service, key.as_deref())?;
        let events = match before {
            Some(mut before) => {
                before.extend_from_slice(&change.events);
                before
            }
            None => change.events.clone(),
        };
        let last_failure = record.last_failure.as_ref().map(disk::encode_failure);
        self.transaction.prepare_cached(RECORD)?.execute(params![
            id,
            state_number(record.state),
            disk::nanos(record.due),
            self.generation,
            record.attempts,
            events,
            change.progress,
            last_failure,
            record.first_attempt_time.map(disk::nanos),
            record.end_time.map(disk::nanos),
            record.purge_time.map(disk::nanos),
            record.tombstone_until.map(disk::nanos),
            disk::nanos(record.next_wakeup),
            record.failure().map(Error::reason),
            record.crash_count,
            record.expires_at.map(disk::nanos),
            record.completion.map(|later| later.token.0),
            record
                .completion
                .is_some_and(|completion| completion.pending),
        ])?;
        self.move_up(queue.as_ref())?;
        let mut followed_by = Vec::new();
        for next in &change.followed_by {
            if let Ok(Acceptance::Stored) = self.accept(next, true)? {
                followed_by.push(next.service.clone());
            }
        }
        if record.state.is_terminal() {
            *self.open.entry(service).or_default() -= 1;
            if let Some(group) = group {
                self.end_member(&group)?;
            }
            if is_group {
                let purge_time = record.purge_time.map_or(0, disk::nanos);
                self.release_members(record.cid, purge_time)?;
            }
        }
        Ok(ServiceName::from_record(&name)
            .ok()
            .map(|service| Recorded {
                service,
                followed_by,
                was_awaited: was_awaited && !is_group,
            }))
    }

    /// An invocation that has not ended, as far as a record has to know it.
    /// Nothing where its record was decided of what it was before another one was faster.
    fn not_ended(&self, record: &Record) -> rusqlite::Result<Option<Open>> {
        let select = "SELECT invocation.id, service, events, name, concurrency_key, group_cid,
             open_members IS NOT NULL, awaited FROM invocation JOIN service ON service.id = service
             WHERE cid = ?1 AND state < 2 AND attempts = coalesce(?2, attempts)";
        let mut select = self.transaction.prepare_cached(select)?;
        let known = params![record.cid.as_bytes(), record.unclaimed];
        let open = select.query_row(known, |row| {
            Ok(Open {
                id: row.get(0)?,
                service: row.get(1)?,
                before: row.get(2)?,
                name: row.get(3)?,
                key: row.get(4)?,
                group: row.get(5)?,
                is_group: row.get(6)?,
                was_awaited: row.get(7)?,
            })
        });
        open.optional()
    }

    /// Makes tombstones of invocations that have ended, by a query for their ids; answers how many.
    fn bury(&self, ids: &str, values: impl Params + Copy) -> rusqlite::Result<usize> {
        let insert = format!(
            "INSERT OR REPLACE INTO tombstone (cid, state, end_time, until)
             SELECT cid, state, end_time, coalesce(tombstone_until, purge_time) FROM invocation
             WHERE id IN ({ids})"
        );
        self.transaction.prepare_cached(&insert)?.execute(values)?;
        let delete = format!("DELETE FROM invocation WHERE id IN ({ids})");
        self.transaction.prepare_cached(&delete)?.execute(values)
    }

    fn remove(&self, cid: Cid) -> rusqlite::Result<bool> {
        let id = "SELECT id FROM invocation WHERE cid = ?1 AND state >= 2 AND held = 0";
        Ok(self.bury(id, (cid.as_bytes(),))? == 1)
    }

    fn purge(&self, now: i64, max: usize) -> rusqlite::Result<usize> {
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        let ids = "SELECT id FROM invocation WHERE purge_time <= ?1 AND held = 0 ORDER BY purge_time LIMIT ?2";
        let removed = self.bury(ids, (now, limit))?;
        let left = i64::try_from(max - removed).unwrap_or_default();
        let delete = "DELETE FROM tombstone WHERE cid IN
             (SELECT cid FROM tombstone WHERE until <= ?1 ORDER BY until LIMIT ?2)";
        let forgotten = self
            .transaction
            .prepare_cached(delete)?
            .execute([now, left])?;
        Ok(removed + forgotten)
    }
}

/// An invocation that has not ended.
struct Open {
    id: i64,
    service: i64,
    /// Its events so far.
    before: Option<Vec<u8>>,
    /// Of its service.
    name: String,
    key: Option<String>,
    group: Option<Vec<u8>>,
    is_group: bool,
    /// It waited for an outcome from outside, or for its members.
    was_awaited: bool,
}

/// The pending invocations of a service that have one concurrency key, and which of them came first.
struct Queue<'k> {
    service: i64,
    key: &'k str,
    first: Option<i64>,
}

impl Work<'_> {
    /// The queue of a key, before something about it changes. `None` without a key.
    fn queue<'k>(&self, service: i64, key: Option<&'k str>) -> rusqlite::Result<Option<Queue<'k>>> {
        let Some(key) = key else {
            return Ok(None);
        };
        let first = self.first(service, key)?;
        Ok(Some(Queue {
            service,
            key,
            first,
        }))
    }

    fn first(&self, service: i64, key: &str) -> rusqlite::Result<Option<i64>> {
        let select =
            "SELECT id FROM invocation WHERE service = ?1 AND concurrency_key = ?2 AND state < 2
             ORDER BY awaited DESC, wake, id LIMIT 1";
        let mut select = self.transaction.prepare_cached(select)?;
        select
            .query_row(params![service, key], |row| row.get(0))
            .optional()
    }

    /// Has the first of a queue lead it, now that something has changed.
    fn move_up(&self, queue: Option<&Queue<'_>>) -> rusqlite::Result<()> {
        let Some(queue) = queue else {
            return Ok(());
        };
        let (before, now) = (queue.first, self.first(queue.service, queue.key)?);
        if now == before {
            return Ok(());
        }
        let update = "UPDATE invocation SET leads = ?2 WHERE id = ?1";
        let mut update = self.transaction.prepare_cached(update)?;
        for (id, leads) in [(before, false), (now, true)] {
            if let Some(id) = id {
                update.execute(params![id, leads])?;
            }
        }
        Ok(())
    }
}

pub(super) fn full() -> Error {
    let message =
        "the store is full: what room is left is kept for the outcomes of what was accepted";
    Error::resource_exhausted(reason::STORE_FULL, message).with_retry_after(Duration::from_secs(1))
}

/// A state as a number. What runs is pending: a crash makes it so.
pub(super) fn state_number(state: State) -> i64 {
    match state {
        State::Pending { started: false } => 0,
        State::Pending { started: true } | State::Running { .. } => 1,
        State::Succeeded => 2,
        State::Failed => 3,
        State::Cancelled => 4,
        State::Expired => 5,
    }
}

/// A state from its number.
pub(super) fn state_of(number: i64) -> State {
    match number {
        0 => State::Pending { started: false },
        1 => State::Pending { started: true },
        2 => State::Succeeded,
        4 => State::Cancelled,
        5 => State::Expired,
        _ => State::Failed,
    }
}
