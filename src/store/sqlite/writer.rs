//! The one thread that writes: gathers what is asked for, commits it together, and answers once it is on disk.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Params, Transaction, params};
use tokio::sync::oneshot;

use super::disk;
use super::open::BUSY;
use super::{Counts, Shared, failed, is_broken};
use crate::engine::store::{Acceptance, Record, Tombstone};
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::State;

/// How much is committed together, at most.
const GROUP: usize = 1_024;
/// How many bytes are committed together, at most, the last job aside: 8 MiB.
const GROUP_BYTES: u64 = 8 << 20;
/// How long the log may be before it is begun anew: 64 MiB.
pub(super) const LOG_BYTES: u64 = 64 << 20;
/// Of every eight bytes one is kept for the outcomes of what was accepted.
const RESERVED_PART: u64 = 8;

/// A new invocation, encoded.
#[derive(Debug)]
pub(super) struct New {
    pub(super) cid: Cid,
    pub(super) service: ServiceName,
    pub(super) due: i64,
    pub(super) wake: i64,
    pub(super) idempotency_key: Option<String>,
    pub(super) concurrency_key: Option<String>,
    pub(super) accept_time: i64,
    pub(super) parent: Option<Cid>,
    pub(super) root: Option<Cid>,
    pub(super) sequence: u64,
    pub(super) request: Vec<u8>,
}

/// A record, its events encoded.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) record: Record,
    pub(super) events: Vec<u8>,
    pub(super) progress: Option<Vec<u8>>,
    pub(super) followed_by: Vec<New>,
}

type Answer<T> = oneshot::Sender<Result<T>>;

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Job {
    Accept(New, Answer<Acceptance>),
    /// Answers whether the record was taken.
    Record(Change, Answer<bool>),
    Begin(Vec<Cid>, Answer<()>),
    Cancel(Cid, Answer<bool>),
    Purge(i64, usize, Answer<usize>),
    Remove(Cid, Answer<bool>),
    /// Writes that all is in order, and ends.
    Close(Answer<()>),
}

/// What became of a job, before it is on disk.
enum Done {
    Accepted(Acceptance),
    Recorded(Option<Recorded>),
    Begun,
    Cancelled(bool),
    Purged(usize),
    Removed(bool),
    Closed,
}

/// What a record that was taken changed.
struct Recorded {
    service: ServiceName,
    /// The services of what was accepted with it.
    followed_by: Vec<ServiceName>,
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) directory: PathBuf,
    /// How long the log may be before it is begun anew. Grows where readers did not let it.
    pub(super) log_limit: u64,
    pub(super) generation: u32,
    pub(super) bytes_limit: u64,
    pub(super) free_kept: u64,
    /// The rows of services.
    pub(super) services: HashMap<ServiceName, i64>,
}

impl Writer {
    /// Writes until it is told to close, or nobody is there to ask any more.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let mut bytes = first.bytes();
            let mut group = vec![first];
            while group.len() < GROUP && bytes < GROUP_BYTES {
                match jobs.try_recv() {
                    Ok(job) => {
                        bytes += job.bytes();
                        group.push(job);
                    }
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            self.shared.queued.fetch_sub(bytes, Ordering::Relaxed);
            let closes = group.iter().any(|job| matches!(job, Job::Close(_)));
            self.commit(group);
            self.begin_log_anew();
            if closes {
                return;
            }
        }
    }

    fn log_bytes(&self) -> u64 {
        let log = std::fs::metadata(self.directory.join("cidery.db-wal"));
        log.map_or(0, |log| log.len())
    }

    /// The checkpoint thread never catches up while there is always something to write: then the log would grow for
    /// ever. What it left over is little, and is done here.
    fn begin_log_anew(&mut self) {
        if self.log_bytes() < self.log_limit {
            return;
        }
        // Readers that are in the way are not waited for.
        let _ = self.connection.busy_timeout(Duration::ZERO);
        let busy = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, bool>(0)
            });
        let _ = self.connection.busy_timeout(BUSY);
        self.log_limit = match busy {
            Ok(false) => LOG_BYTES,
            // A little later, then.
            _ => self.log_bytes() + LOG_BYTES / 8,
        };
    }

    /// Commits a group. Where it fails as a whole its members are tried one by one: one must not fail the others.
    fn commit(&mut self, group: Vec<Job>) {
        if let Some(error) = self.shared.broken() {
            group.into_iter().for_each(|job| job.refuse(&error));
            return;
        }
        let brings_new_work = group.iter().any(|job| matches!(job, Job::Accept(..)));
        let room = brings_new_work && self.has_room();
        match self.attempt(&group, room) {
            Ok(done) => {
                let mut counts = self.shared.counts();
                for (job, done) in group.iter().zip(&done) {
                    count(&mut counts, job, done);
                }
                drop(counts);
                group
                    .into_iter()
                    .zip(done)
                    .for_each(|(job, done)| job.answer(done));
            }
            Err(error) if is_broken(&error) => {
                let error = self.shared.break_with(&error);
                group.into_iter().for_each(|job| job.refuse(&error));
            }
            Err(error) if group.len() == 1 => {
                let error = failed(&error);
                group.into_iter().for_each(|job| job.refuse(&error));
            }
            Err(_) => group.into_iter().for_each(|job| self.commit(vec![job])),
        }
        self.shared.wake_checkpointer();
    }

    fn attempt(&mut self, group: &[Job], room: bool) -> rusqlite::Result<Vec<Result<Done>>> {
        let Self {
            connection,
            services,
            generation,
            ..
        } = self;
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let (mut open, mut fresh) = (HashMap::new(), HashMap::new());
        let mut work = Work {
            transaction: &transaction,
            services: &*services,
            generation: *generation,
            open: &mut open,
            fresh: &mut fresh,
        };
        let mut done = Vec::with_capacity(group.len());
        for job in group {
            done.push(work.carry_out(job, room)?);
        }
        for (service, change) in open {
            let statement = "UPDATE service SET open = open + ?2 WHERE id = ?1";
            transaction
                .prepare_cached(statement)?
                .execute(params![service, change])?;
        }
        transaction.commit()?;
        services.extend(fresh);
        Ok(done)
    }

    /// Whether new work is taken: room is kept for the outcomes of what was accepted before.
    fn has_room(&self) -> bool {
        let pragma = |name: &str| {
            let value = self
                .connection
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            value
                .ok()
                .and_then(|value| u64::try_from(value).ok())
                .unwrap_or_default()
        };
        let pages = pragma("page_count").saturating_sub(pragma("freelist_count"));
        let used = pages.saturating_mul(pragma("page_size"));
        let free = rustix::fs::statvfs(&self.directory)
            .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        used <= self.bytes_limit - self.bytes_limit / RESERVED_PART && free > self.free_kept
    }
}

/// Keeps the counts of what is pending, before anybody hears of it.
fn count(counts: &mut Counts, job: &Job, done: &Result<Done>) {
    match (job, done) {
        (Job::Accept(new, _), Ok(Done::Accepted(Acceptance::Stored))) => {
            counts.add(new.service.clone(), 1);
        }
        (Job::Record(change, _), Ok(Done::Recorded(recorded))) => {
            let was_claimed = counts.release(change.record.cid);
            let Some(recorded) = recorded else { return };
            match matches!(change.record.state, State::Pending { .. }) {
                true if was_claimed => counts.add(recorded.service.clone(), 1),
                false if !was_claimed => counts.take(&recorded.service, 1),
                _ => {}
            }
            for service in &recorded.followed_by {
                counts.add(service.clone(), 1);
            }
        }
        _ => {}
    }
}

impl Job {
    /// How many bytes it brings.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = match self {
            Self::Accept(new, _) => new.request.len(),
            Self::Record(change, _) => {
                let followed_by = change.followed_by.iter().map(|new| new.request.len());
                change.events.len() + followed_by.sum::<usize>()
            }
            Self::Begin(..)
            | Self::Cancel(..)
            | Self::Purge(..)
            | Self::Remove(..)
            | Self::Close(_) => 0,
        };
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    fn answer(self, done: Result<Done>) {
        // Whoever asked may have gone.
        match (self, done) {
            (Self::Accept(_, answer), Ok(Done::Accepted(acceptance))) => {
                drop(answer.send(Ok(acceptance)))
            }
            (Self::Record(_, answer), Ok(Done::Recorded(taken))) => {
                drop(answer.send(Ok(taken.is_some())));
            }
            (Self::Begin(_, answer), Ok(Done::Begun)) => drop(answer.send(Ok(()))),
            (Self::Cancel(_, answer), Ok(Done::Cancelled(taken))) => drop(answer.send(Ok(taken))),
            (Self::Purge(_, _, answer), Ok(Done::Purged(removed))) => {
                drop(answer.send(Ok(removed)))
            }
            (Self::Remove(_, answer), Ok(Done::Removed(removed))) => {
                drop(answer.send(Ok(removed)));
            }
            (Self::Close(answer), Ok(Done::Closed)) => drop(answer.send(Ok(()))),
            (job, Err(error)) => job.refuse(&error),
            (job, Ok(_)) => {
                job.refuse(&Error::internal(
                    reason::STORE_FAILED,
                    "the store answered something else",
                ));
            }
        }
    }

    fn refuse(self, error: &Error) {
        let error = error.clone();
        match self {
            Self::Accept(_, answer) => drop(answer.send(Err(error))),
            Self::Record(_, answer) => drop(answer.send(Err(error))),
            Self::Begin(_, answer) | Self::Close(answer) => drop(answer.send(Err(error))),
            Self::Cancel(_, answer) | Self::Remove(_, answer) => drop(answer.send(Err(error))),
            Self::Purge(_, _, answer) => drop(answer.send(Err(error))),
        }
    }
}

/// The work of one transaction.
struct Work<'a> {
    transaction: &'a Transaction<'a>,
    services: &'a HashMap<ServiceName, i64>,
    /// Those that are new: remembered once they are committed.
    fresh: &'a mut HashMap<ServiceName, i64>,
    generation: u32,
    /// How many more invocations of each service have not ended.
    open: &'a mut HashMap<i64, i64>,
}

impl Work<'_> {
    fn carry_out(&mut self, job: &Job, room: bool) -> rusqlite::Result<Result<Done>> {
        Ok(match job {
            Job::Accept(_, _) if !room => Err(full()),
            Job::Accept(new, _) => self.accept(new)?.map(Done::Accepted),
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
            Job::Cancel(cid, _) => {
                // Looked at at once: where the node ends before the handler does, the next one cancels it.
                let update = "UPDATE invocation SET cancel_requested = 1, wake = 0 WHERE cid = ?1 AND state < 2";
                let changed = self
                    .transaction
                    .prepare_cached(update)?
                    .execute([cid.as_bytes()])?;
                Ok(Done::Cancelled(changed == 1))
            }
            Job::Purge(now, max, _) => Ok(Done::Purged(self.purge(*now, *max)?)),
            Job::Remove(cid, _) => Ok(Done::Removed(self.remove(*cid)?)),
            Job::Close(_) => {
                self.transaction
                    .execute("UPDATE meta SET value = 1 WHERE key = 'clean'", [])?;
                Ok(Done::Closed)
            }
        })
    }

    fn service(&mut self, name: &ServiceName) -> rusqlite::Result<i64> {
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

    fn accept(&mut self, new: &New) -> rusqlite::Result<Result<Acceptance>> {
        let select = "SELECT state, end_time FROM tombstone WHERE cid = ?1";
        let mut select = self.transaction.prepare_cached(select)?;
        let tombstone = select
            .query_row([new.cid.as_bytes()], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .optional()?;
        if let Some((state, end_time)) = tombstone {
            return Ok(Ok(Acceptance::Removed(Tombstone {
                state: state_of(state),
                end_time: disk::timestamp(end_time),
            })));
        }
        let service = self.service(&new.service)?;
        let sequence = i64::try_from(new.sequence).unwrap_or(i64::MAX);
        let insert = "INSERT INTO invocation
             (cid, service, state, due, wake, idempotency_key, generation, sequence, request, accept_time, parent,
              concurrency_key, root)
             VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING";
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
        ])?;
        if inserted == 1 {
            *self.open.entry(service).or_default() += 1;
            return Ok(Ok(Acceptance::Stored));
        }
        // Its CID is known, or its key.
        let select = "SELECT cid, service.name, request FROM invocation JOIN service ON service.id = service
             WHERE cid = ?1 OR (service = ?2 AND idempotency_key = ?3) ORDER BY cid = ?1 DESC LIMIT 1";
        let mut select = self.transaction.prepare_cached(select)?;
        let first = params![new.cid.as_bytes(), service, new.idempotency_key];
        let (cid, name, request) = select.query_row(first, |row| {
            Ok((
                row.get::<_, Vec<u8>>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Vec<u8>>(2)?,
            ))
        })?;
        let first = ServiceName::parse(&name)
            .and_then(|service| disk::decode_request(disk::cid(&cid)?, service, &request));
        Ok(first.map(|first| Acceptance::Known(Arc::new(first))))
    }

    fn record(&mut self, change: &Change) -> rusqlite::Result<Option<Recorded>> {
        let record = &change.record;
        let select = "SELECT invocation.id, service, events, name FROM invocation
             JOIN service ON service.id = service WHERE cid = ?1 AND state < 2";
        let mut select = self.transaction.prepare_cached(select)?;
        let found = select
            .query_row([record.cid.as_bytes()], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, Option<Vec<u8>>>(2)?,
                    row.get::<_, String>(3)?,
                ))
            })
            .optional()?;
        let Some((id, service, before, name)) = found else {
            return Ok(None);
        };
        let events = match before {
            Some(mut before) => {
                before.extend_from_slice(&change.events);
                before
            }
            None => change.events.clone(),
        };
        let update = "UPDATE invocation SET state = ?2, due = ?3, generation = ?4, losses = 0, attempts = ?5,
             events = ?6, progress = ?7, last_failure = ?8, first_attempt_time = ?9, end_time = ?10,
             purge_time = ?11, tombstone_until = ?12, wake = ?13, failure_reason = ?14 WHERE id = ?1";
        let last_failure = record.last_failure.as_ref().map(disk::encode_failure);
        self.transaction.prepare_cached(update)?.execute(params![
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
            disk::nanos(record.wake),
            record.failure().map(Error::reason),
        ])?;
        let mut followed_by = Vec::new();
        for next in &change.followed_by {
            if let Ok(Acceptance::Stored) = self.accept(next)? {
                followed_by.push(next.service.clone());
            }
        }
        if record.state.is_terminal() {
            *self.open.entry(service).or_default() -= 1;
        }
        Ok(ServiceName::parse(&name).ok().map(|service| Recorded {
            service,
            followed_by,
        }))
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
        let id = "SELECT id FROM invocation WHERE cid = ?1 AND state >= 2";
        Ok(self.bury(id, (cid.as_bytes(),))? == 1)
    }

    fn purge(&self, now: i64, max: usize) -> rusqlite::Result<usize> {
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        let ids = "SELECT id FROM invocation WHERE purge_time <= ?1 ORDER BY purge_time LIMIT ?2";
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

fn full() -> Error {
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
