//! Lanes: tasks with a connection each, which write. What concerns one CID takes one lane, so that its writes keep
//! their order; a lane commits all that is queued in one transaction.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::batch::{self, Batch, Written};
use super::connection::{Link, Tx};
use super::end::EndRow;
use super::error::{Failed, closed, queue_full};
use super::new_rows::NewRow;
use super::shared::Shared;
use crate::engine::store::Acceptance;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::service::BoxFuture;

/// How many commands wait in a lane, at most.
const MAX_QUEUED: usize = 100_000;
/// How many bytes of new work wait in all lanes, at most.
const MAX_QUEUED_BYTES: u64 = 64 << 20;
/// How many commands one transaction has, at most.
const MAX_BATCH: usize = 512;
/// How many bytes they have, at most, unless one has more.
const MAX_BATCH_BYTES: usize = 4 << 20;
/// How often a transaction is tried that met another one, or whose connection was lost.
const ATTEMPTS: u32 = 5;

/// A transaction of its own, which may be tried several times; it says whether it is to be committed.
type Write =
    Box<dyn for<'t> FnMut(&'t Tx<'t>, &'t Shared) -> BoxFuture<'t, Result<bool, Failed>> + Send>;

/// A transaction of its own, and what counts what it wrote.
pub(super) struct Work {
    write: Write,
    count: Box<dyn FnOnce(&Shared) + Send>,
}

/// What a lane is asked to write.
pub(super) enum Command {
    Accept(Box<NewRow>, oneshot::Sender<Result<Acceptance>>),
    Record(Box<EndRow>, oneshot::Sender<Result<bool>>),
    /// The reply is in what the work writes to.
    Work(Work, oneshot::Sender<Result<()>>),
}

impl Command {
    fn bytes(&self) -> usize {
        match self {
            Self::Accept(row, _) => row.bytes(),
            Self::Record(row, _) => row.bytes(),
            Self::Work(..) => 0,
        }
    }

    /// The CIDs and the idempotency key that no other command of a batch may have.
    fn identities(&self) -> (Option<Cid>, Option<&[u8]>) {
        match self {
            Self::Accept(row, _) => (Some(row.cid), row.idempotency_key.as_deref()),
            Self::Record(row, _) => (Some(row.record.cid), None),
            Self::Work(..) => (None, None),
        }
    }
}

/// The way into the lanes.
#[derive(Debug)]
pub(super) struct Lanes {
    senders: Vec<mpsc::Sender<Command>>,
    shared: Arc<Shared>,
}

impl Lanes {
    /// Starts lanes.
    pub(super) fn start(shared: &Arc<Shared>, count: usize) -> Self {
        let start = |_| {
            let (sender, receiver) = mpsc::channel(MAX_QUEUED);
            let lane = Lane {
                shared: Arc::clone(shared),
                link: None,
                held_back: Vec::new(),
            };
            let tasks = &shared.connector.tasks;
            tasks.spawn("store lane", lane.run(receiver));
            sender
        };
        Self {
            senders: (0..count).map(start).collect(),
            shared: Arc::clone(shared),
        }
    }

    /// Accepts an invocation.
    pub(super) async fn accept(&self, row: NewRow) -> Result<Acceptance> {
        let (reply, answer) = oneshot::channel();
        let cid = row.cid;
        let bytes = u64::try_from(row.bytes()).unwrap_or(u64::MAX);
        if self.shared.queued_bytes.load(Ordering::Relaxed) > MAX_QUEUED_BYTES {
            return Err(queue_full());
        }
        let _queued = Queued::new(&self.shared.queued_bytes, bytes);
        let command = Command::Accept(Box::new(row), reply);
        self.lane(cid)?
            .try_send(command)
            .map_err(|_| queue_full())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Writes a record.
    pub(super) async fn record(&self, row: EndRow) -> Result<bool> {
        let (reply, answer) = oneshot::channel();
        let lane = self.lane(row.record.cid)?;
        let command = Command::Record(Box::new(row), reply);
        lane.send(command).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Executes a transaction of its own in the lane of a CID. `work` says whether it is to be committed, and `count`
    /// counts what was.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        cid: Cid,
        mut work: impl for<'t> FnMut(&'t Tx<'t>, &'t Shared) -> BoxFuture<'t, Result<(T, bool), Failed>>
        + Send
        + 'static,
        count: impl FnOnce(&Shared, &T) + Send + 'static,
    ) -> Result<T> {
        let result = Arc::new(Mutex::new(None));
        let (written, counted) = (Arc::clone(&result), Arc::clone(&result));
        let write: Write = Box::new(move |tx, shared| {
            let result = Arc::clone(&written);
            let next = work(tx, shared);
            Box::pin(async move {
                let (value, commits) = next.await?;
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
                Ok(commits)
            })
        });
        let count = move |shared: &Shared| {
            let result = counted.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(value) = &*result {
                count(shared, value);
            }
        };
        let work = Work {
            write,
            count: Box::new(count),
        };
        let (reply, answer) = oneshot::channel();
        let lane = self.lane(cid)?;
        let command = Command::Work(work, reply);
        lane.send(command).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))?;
        let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.ok_or_else(closed)
    }

    fn lane(&self, cid: Cid) -> Result<&mpsc::Sender<Command>> {
        // The last bytes of a CID are random, also of one that a caller chose.
        let last = cid.as_bytes().last().copied().unwrap_or_default();
        let place = usize::from(last) % self.senders.len().max(1);
        self.senders.get(place).ok_or_else(closed)
    }
}

/// Counts bytes that wait, until it is dropped.
struct Queued<'c> {
    count: &'c AtomicU64,
    bytes: u64,
}

impl<'c> Queued<'c> {
    fn new(count: &'c AtomicU64, bytes: u64) -> Self {
        count.fetch_add(bytes, Ordering::Relaxed);
        Self { count, bytes }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A task that writes on one connection.
struct Lane {
    shared: Arc<Shared>,
    link: Option<Link>,
    /// What a batch could not have beside another command with the same CID or key.
    held_back: Vec<Command>,
}

impl Lane {
    async fn run(mut self, mut receiver: mpsc::Receiver<Command>) {
        loop {
            let mut commands = std::mem::take(&mut self.held_back);
            let room = MAX_BATCH.saturating_sub(commands.len());
            let received = match commands.is_empty() {
                true => receiver.recv_many(&mut commands, room).await,
                false => {
                    while commands.len() < MAX_BATCH
                        && let Ok(command) = receiver.try_recv()
                    {
                        commands.push(command);
                    }
                    commands.len()
                }
            };
            if received == 0 {
                return;
            }
            self.write(commands).await;
        }
    }

    /// Writes what can be written together; the rest is held back.
    async fn write(&mut self, commands: Vec<Command>) {
        let mut batch = Batch::default();
        let (mut cids, mut keys) = (HashSet::new(), HashSet::new());
        let mut bytes = 0_usize;
        let mut commands = commands.into_iter();
        while let Some(command) = commands.next() {
            let is_full = !self.held_back.is_empty() || (bytes > MAX_BATCH_BYTES);
            let (cid, key) = command.identities();
            let is_free = cid.is_none_or(|cid| !cids.contains(&cid))
                && key.is_none_or(|key| !keys.contains(key));
            if is_full || !is_free {
                self.held_back.push(command);
                continue;
            }
            cids.extend(cid);
            keys.extend(key.map(<[u8]>::to_vec));
            bytes = bytes.saturating_add(command.bytes());
            match command {
                Command::Accept(row, reply) => batch.accepts.push((*row, reply)),
                Command::Record(row, reply) => batch.records.push((*row, reply)),
                Command::Work(work, reply) => match batch.is_empty() {
                    true => {
                        self.held_back.extend(commands);
                        return self.work_alone(work, reply).await;
                    }
                    false => self.held_back.push(Command::Work(work, reply)),
                },
            }
        }
        self.commit(batch).await;
    }

    /// Commits a batch. One that is refused for what is in it is divided, until what is refused is alone. It fails as a
    /// whole where its connection is lost, or the standby was not waited for: so would each part of it.
    async fn commit(&mut self, batch: Batch) {
        let mut left = vec![batch];
        let shared = Arc::clone(&self.shared);
        while let Some(batch) = left.pop() {
            let _counting = shared.counts.committing().await;
            match self.write_batch(&batch).await {
                Ok(written) => batch.answer(written, &shared),
                Err(failed) if batch.len() > 1 && self.link.is_some() && failed.is_refusal() => {
                    let (first, second) = batch.divide();
                    left.extend([second, first]);
                }
                Err(failed) => batch.fail(&failed.into_error()),
            }
        }
    }

    async fn work_alone(&mut self, mut work: Work, reply: oneshot::Sender<Result<()>>) {
        let shared = Arc::clone(&self.shared);
        let _counting = shared.counts.committing().await;
        let mut outcome = Err(closed());
        for attempt in 1..=ATTEMPTS {
            let done = match self.linked().await {
                Err(failed) => Err(failed),
                Ok(link) => write_once(link, &mut work.write, &shared).await,
            };
            match done {
                Ok(()) => {
                    (work.count)(&shared);
                    outcome = Ok(());
                    break;
                }
                Err(failed) if attempt < ATTEMPTS && self.may_repeat(&failed) => {}
                Err(failed) => {
                    outcome = Err(failed.into_error());
                    break;
                }
            }
        }
        let _ = reply.send(outcome);
    }

    /// Writes a batch. It is tried again where it met another transaction, or where the connection was lost: whether it
    /// was committed then, it finds out itself.
    async fn write_batch(&mut self, batch: &Batch) -> Result<Written, Failed> {
        let shared = Arc::clone(&self.shared);
        let mut attempt = 1;
        loop {
            let written = match self.linked().await {
                Err(failed) => Err(failed),
                Ok(link) => {
                    let written = batch::write(link, &shared, batch).await;
                    if written.is_err() && !link.is_closed() {
                        let _ = link.client.batch_execute("ROLLBACK").await;
                    }
                    written
                }
            };
            match written {
                Err(failed) if attempt < ATTEMPTS && self.may_repeat(&failed) => attempt += 1,
                written => return written,
            }
        }
    }

    fn may_repeat(&mut self, failed: &Failed) -> bool {
        if failed.is_in_doubt() {
            self.link = None;
        }
        failed.is_conflict() || failed.is_in_doubt()
    }

    async fn linked(&mut self) -> Result<&Link, Failed> {
        if self.link.as_ref().is_none_or(Link::is_closed) {
            self.link = None;
            // Nothing is in doubt where nothing was sent.
            let connected = self.shared.connect().await.map_err(Failed::into_error);
            self.link = Some(connected?);
        }
        Ok(self.link.as_ref().ok_or_else(closed)?)
    }
}

async fn write_once(link: &Link, write: &mut Write, shared: &Shared) -> Result<(), Failed> {
    let tx = link.begin().await?;
    let done = write(&tx, shared).await;
    match done {
        Ok(true) => tx.commit().await,
        Ok(false) => tx.rollback().await,
        Err(failed) => {
            if !link.is_closed() {
                tx.rollback().await?;
            }
            Err(failed)
        }
    }
}
