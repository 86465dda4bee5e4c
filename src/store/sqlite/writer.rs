//! The one thread that writes: gathers what is asked for, commits it together, and answers once it is on disk.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvError};
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::open::BUSY;
use super::queue::{Queue, Taken};
use super::rows::{Change, New, NewGroup};
use super::work::Work;
use super::{QUEUE, Shared, failed, is_broken};
use crate::engine::store::{Acceptance, StoredDeclaration};
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::store::ledger::Ledger;

/// How many pages the log may have before it is begun anew: 64 MiB. The file keeps that length: to write over what was
/// there is cheaper to sync than to append.
pub(super) const LOG_PAGES: u64 = (64 << 20) / 4_096;
/// How many free pages are given back to the disk at once: 16 MiB.
const GIVEN_BACK: u64 = (16 << 20) / 4_096;
/// They are given back where more than this part of the file is free: what is free is used again soon otherwise.
const FREE_PART: u64 = 4;
/// Of every eight bytes one is kept for the outcomes of what was accepted.
const RESERVED_PART: u64 = 8;

type Answer<T> = oneshot::Sender<Result<T>>;

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Job {
    Accept(New, Answer<Acceptance>),
    AcceptGroup(Box<NewGroup>, Answer<Acceptance>),
    /// Answers whether the record was taken.
    Record(Change, Answer<bool>),
    Begin(Vec<Cid>, Answer<()>),
    Cancel(Cid, Answer<bool>),
    Purge(i64, usize, Answer<usize>),
    Remove(Cid, Answer<bool>),
    Announce(StoredDeclaration, Answer<()>),
    Forget(ServiceName, Answer<()>),
    /// Writes that all is in order, and ends.
    Close(Answer<()>),
}

/// What became of a job, before it is on disk.
pub(super) enum Done {
    Accepted(Acceptance),
    Recorded(Option<Recorded>),
    Begun,
    Cancelled(bool),
    Purged(usize),
    Removed(bool),
    Remembered,
    Closed,
}

/// What a record that was taken changed.
pub(super) struct Recorded {
    pub(super) service: ServiceName,
    /// The services of what was accepted with it.
    pub(super) followed_by: Vec<ServiceName>,
    /// It waited for an outcome from outside before.
    pub(super) was_awaited: bool,
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) directory: PathBuf,
    /// How many pages the log has.
    pub(super) log_pages: Arc<AtomicU64>,
    /// How many it may have before it is begun anew. Grows where readers did not let it.
    pub(super) log_limit: u64,
    pub(super) generation: u32,
    pub(super) bytes_limit: u64,
    pub(super) free_kept: u64,
    /// The rows of services.
    pub(super) services: HashMap<ServiceName, i64>,
    /// How long it has committed, in all.
    pub(super) syncing: Duration,
}

impl Writer {
    /// Writes until it is told to close, or nobody is there to ask any more.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut queue = Queue::default();
        loop {
            if queue.is_empty() {
                match jobs.recv() {
                    Ok(job) => queue.push(job),
                    Err(RecvError) => return,
                }
            }
            while queue.len() < QUEUE
                && let Ok(job) = jobs.try_recv()
            {
                queue.push(job);
            }
            let Taken { jobs, bytes, rows } = queue.take();
            self.shared.queued.fetch_sub(bytes, Ordering::Relaxed);
            let closes = jobs.iter().any(|job| matches!(job, Job::Close(_)));
            let purges = jobs.iter().any(|job| matches!(job, Job::Purge(..)));
            let (begun, synced) = (Instant::now(), self.syncing);
            self.commit(jobs);
            let syncing = self.syncing - synced;
            let writing = begun.elapsed().saturating_sub(syncing);
            // How much a purge finds is not known before.
            if !purges {
                queue.pace.note(rows, writing, syncing);
            }
            if purges {
                self.give_back();
                self.shared.wake_checkpointer();
            }
            self.begin_log_anew();
            if closes {
                return;
            }
        }
    }

    /// The checkpoint thread never catches up while there is always something to write: then the log would grow for
    /// ever. What it left over is little, and is done here.
    fn begin_log_anew(&mut self) {
        let pages = self.log_pages.load(Ordering::Relaxed);
        if pages < self.log_limit {
            return;
        }
        // Readers that are in the way are not waited for.
        let _ = self.connection.busy_timeout(Duration::ZERO);
        let busy = self
            .connection
            .query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| {
                row.get::<_, bool>(0)
            });
        let _ = self.connection.busy_timeout(BUSY);
        if let Err(error) = &busy
            && is_broken(error)
        {
            self.shared.break_with(error);
        }
        self.log_limit = match busy {
            Ok(false) => LOG_PAGES,
            // A little later, then.
            _ => pages + LOG_PAGES / 8,
        };
    }

    /// Gives what removal left free back to the disk, a little at a time: others wait for the writer.
    fn give_back(&self) {
        let (free, pages) = (self.pragma("freelist_count"), self.pragma("page_count"));
        if free < GIVEN_BACK || free < pages / FREE_PART {
            return;
        }
        // A row for each page: they are given back as the rows are read.
        let give = || -> rusqlite::Result<()> {
            let pragma = format!("PRAGMA incremental_vacuum({GIVEN_BACK})");
            let mut give = self.connection.prepare_cached(&pragma)?;
            let mut pages = give.query([])?;
            while pages.next()?.is_some() {}
            Ok(())
        };
        if let Err(error) = give() {
            tracing::warn!(%error, "cannot give free pages of the store back to the disk; trying again");
        }
    }

    /// A number that SQLite knows of the file.
    fn pragma(&self, name: &str) -> u64 {
        let select = format!("PRAGMA {name}");
        let read = || -> rusqlite::Result<i64> {
            let mut select = self.connection.prepare_cached(&select)?;
            select.query_row([], |row| row.get(0))
        };
        read()
            .ok()
            .and_then(|value| u64::try_from(value).ok())
            .unwrap_or_default()
    }

    /// Commits a group. Where it fails as a whole its members are tried one by one: one must not fail the others.
    fn commit(&mut self, group: Vec<Job>) {
        if let Some(error) = self.shared.broken() {
            group.into_iter().for_each(|job| job.refuse(&error));
            return;
        }
        let brings_new_work = group.iter().any(Job::is_new_work);
        let room = brings_new_work && self.has_room();
        match self.attempt(&group, room) {
            Ok(done) => {
                let mut entries = self.shared.bookkeeping.lock();
                for (job, done) in group.iter().zip(&done) {
                    count(&mut entries.ledger, job, done);
                }
                drop(entries);
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
            syncing,
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
        let begun = Instant::now();
        transaction.commit()?;
        *syncing += begun.elapsed();
        services.extend(fresh);
        Ok(done)
    }

    /// Whether new work is taken: room is kept for the outcomes of what was accepted before.
    fn has_room(&self) -> bool {
        let pages = self.pragma("page_count");
        let used = pages.saturating_sub(self.pragma("freelist_count"));
        let used = used.saturating_mul(self.pragma("page_size"));
        let free = rustix::fs::statvfs(&self.directory)
            .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        used <= self.bytes_limit - self.bytes_limit / RESERVED_PART && free > self.free_kept
    }
}

/// Counts the pages of the log, with each commit.
pub(super) fn count_log_pages(connection: &mut Connection) -> Result<Arc<AtomicU64>> {
    let pages = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&pages);
    let hook = move |_: &mut rusqlite::hooks::Wal, pages| {
        counted.store(u64::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
        Ok(())
    };
    let hooked = connection.wal_hook(Some(hook));
    hooked.map(|()| pages).map_err(|error| failed(&error))
}

/// Updates the ledger, before the callers are answered.
fn count(ledger: &mut Ledger, job: &Job, done: &Result<Done>) {
    match (job, done) {
        (Job::Accept(new, _), Ok(Done::Accepted(Acceptance::Stored))) => {
            ledger.add_pending(&new.service, 1);
        }
        (Job::AcceptGroup(new, _), Ok(Done::Accepted(Acceptance::Stored))) => {
            for row in new.rows() {
                ledger.add_pending(&row.service, 1);
            }
        }
        (Job::Record(change, _), Ok(Done::Recorded(recorded))) => {
            let Some(recorded) = recorded else {
                ledger.release(change.record.cid);
                return;
            };
            ledger.record(&change.record, &recorded.service, recorded.was_awaited);
            for service in &recorded.followed_by {
                ledger.add_pending(service, 1);
            }
        }
        _ => {}
    }
}

impl Job {
    /// Whether it brings invocations that nobody has been promised yet.
    pub(super) fn is_new_work(&self) -> bool {
        matches!(self, Self::Accept(..) | Self::AcceptGroup(..))
    }

    /// The service that it is about, where it is about one: services take turns.
    pub(super) fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Accept(new, _) => Some(&new.service),
            Self::Record(change, _) => Some(&change.record.service),
            Self::AcceptGroup(..)
            | Self::Begin(..)
            | Self::Cancel(..)
            | Self::Purge(..)
            | Self::Remove(..)
            | Self::Announce(..)
            | Self::Forget(..)
            | Self::Close(_) => None,
        }
    }

    /// How many rows it writes, roughly.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::AcceptGroup(new, _) => 1 + new.members.len(),
            Self::Record(change, _) => 1 + change.followed_by.len(),
            Self::Begin(cids, _) => cids.len(),
            Self::Purge(_, most, _) => *most,
            _ => 1,
        }
    }

    /// How many bytes it brings.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = match self {
            Self::Accept(new, _) => new.request.len(),
            Self::AcceptGroup(new, _) => new.rows().map(|row| row.request.len()).sum(),
            Self::Record(change, _) => {
                let followed_by = change.followed_by.iter().map(|new| new.request.len());
                change.events.len() + followed_by.sum::<usize>()
            }
            Self::Begin(..)
            | Self::Cancel(..)
            | Self::Purge(..)
            | Self::Remove(..)
            | Self::Announce(..)
            | Self::Forget(..)
            | Self::Close(_) => 0,
        };
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    fn answer(self, done: Result<Done>) {
        // Whoever asked may have gone.
        match (self, done) {
            (
                Self::Accept(_, answer) | Self::AcceptGroup(_, answer),
                Ok(Done::Accepted(acceptance)),
            ) => drop(answer.send(Ok(acceptance))),
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
            (Self::Announce(_, answer) | Self::Forget(_, answer), Ok(Done::Remembered)) => {
                drop(answer.send(Ok(())));
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
            Self::Accept(_, answer) | Self::AcceptGroup(_, answer) => {
                drop(answer.send(Err(error)));
            }
            Self::Record(_, answer) => drop(answer.send(Err(error))),
            Self::Begin(_, answer)
            | Self::Announce(_, answer)
            | Self::Forget(_, answer)
            | Self::Close(answer) => drop(answer.send(Err(error))),
            Self::Cancel(_, answer) | Self::Remove(_, answer) => drop(answer.send(Err(error))),
            Self::Purge(_, _, answer) => drop(answer.send(Err(error))),
        }
    }
}
