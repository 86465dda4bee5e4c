//! Operations: changes of any number of invocations, which run on the node and survive its restart.

mod change;
mod changes;
mod decision;
mod entry;
mod open_groups;
mod pace;
pub(in crate::engine) mod request;
mod runner;
pub(in crate::engine) mod selection;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prost::Message as _;

use self::changes::Changes;
use self::entry::Entry;
use self::request::OperationRequest;
use self::runner::Runner;
use crate::codec::proto::v1;
use crate::engine::clock::Clock;
use crate::engine::durable::operations::cancel::Canceller;
use crate::engine::durable::operations::maintenance::Maintenance;
use crate::engine::events::EventBus;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::results::examples::InvocationSummaries;
use crate::engine::store::Store;
use crate::model::error::{Error, Result, reason};
use crate::model::operation::{OperationId, OperationProgress, OperationState};

/// The most operations that run at once.
const MAX_RUNNING: usize = 16;
/// How soon an operation may be asked for again that would be one more.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The most ended operations that are kept, and for how long.
const MAX_ENDED: usize = 1_000;
const RETENTION: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A place in the list of operations, which begins with the newest.
pub type OperationPlace = (Timestamp, OperationId);

/// The operations of a node. Few, and kept in memory as well.
#[derive(Debug)]
pub(in crate::engine) struct Operations {
    store: Arc<dyn Store>,
    clock: Clock,
    lifecycle: Arc<Lifecycle>,
    events: Arc<EventBus>,
    runner: Runner,
    entries: Mutex<BTreeMap<OperationPlace, Arc<Entry>>>,
    /// One start at a time: a repeated request finds the first one.
    starting: tokio::sync::Mutex<()>,
}

impl Operations {
    pub(in crate::engine) fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        lifecycle: Arc<Lifecycle>,
        maintenance: Arc<Maintenance>,
        canceller: Arc<Canceller>,
        events: Arc<EventBus>,
        requires_authentication: bool,
    ) -> Self {
        Self {
            runner: Runner {
                store: Arc::clone(&store),
                clock: clock.clone(),
                maintenance: Arc::clone(&maintenance),
                changes: Changes {
                    maintenance,
                    canceller,
                    requires_authentication,
                },
            },
            store,
            clock,
            lifecycle,
            events,
            entries: Mutex::default(),
            starting: tokio::sync::Mutex::default(),
        }
    }

    /// Reads the operations of the store. One that cannot be read stays there, and does not run.
    pub(in crate::engine) async fn load(&self) {
        let stored = self.store.operations().await.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read the operations: none goes on");
            Vec::new()
        });
        for operation in stored {
            let id = operation.id;
            match Entry::restore(operation) {
                Ok(entry) => self.add(Arc::new(entry)),
                Err(error) => {
                    tracing::error!(operation = %id, %error, "cannot read an operation; it does not go on");
                }
            }
        }
        self.forget_old().await;
    }

    /// Goes on with the operations that an earlier node did not finish. The services of workers must be declared by
    /// then.
    pub(in crate::engine) fn resume(self: &Arc<Self>) {
        let entries: Vec<_> = self.entries().values().map(Arc::clone).collect();
        for entry in entries {
            if !entry.state().is_terminal() {
                tracing::info!(operation = %entry.request.id, "operation goes on");
                self.spawn(entry);
            }
        }
    }

    /// How many operations run.
    pub(in crate::engine) fn running(&self) -> usize {
        let entries = self.entries();
        let running = entries.values().filter(|it| !it.state().is_terminal());
        running.count()
    }

    /// Starts an operation over the invocations that match and are accepted by now, and returns it with their counts.
    /// It is durable, and will run, once this resolves. A request with a known id starts nothing, and counts nothing.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `IDEMPOTENCY_MISMATCH` where the id is that of another operation; `RESOURCE_EXHAUSTED` /
    /// `OPERATION_LIMIT`; `UNAVAILABLE` / `NODE_STOPPING`; the errors of the store.
    pub(in crate::engine) async fn start(
        self: &Arc<Self>,
        request: OperationRequest,
        count: impl Future<Output = Result<InvocationSummaries>>,
    ) -> Result<(v1::Operation, InvocationSummaries)> {
        self.lifecycle.check_accepting()?;
        if let Some(known) = self.known(&request)? {
            return Ok((known.to_proto(), InvocationSummaries::default()));
        }
        // Before the invocations are counted, which may take a while.
        self.check_running()?;
        let (create_time, position) = (self.clock.now(), self.store.next_position());
        let counted = count.await?;
        let progress = OperationProgress {
            matched: counted.total,
            ..OperationProgress::default()
        };
        let entry = Entry::new(request, create_time, position, progress);
        let begin = Arc::clone(self).begin(entry);
        let tasks = self.lifecycle.tasks();
        // The caller may disconnect meanwhile: what is stored has to run all the same.
        let started = tasks.run_to_completion("start operation", begin).await?;
        Ok((started.to_proto(), counted))
    }

    async fn begin(self: Arc<Self>, entry: Entry) -> Result<Arc<Entry>> {
        let _one_at_a_time = self.starting.lock().await;
        if let Some(known) = self.known(&entry.request)? {
            return Ok(known);
        }
        self.check_running()?;
        self.store
            .save_operation(entry.stored(entry.progress()))
            .await?;
        tracing::info!(
            operation = %entry.request.id,
            action = entry.request.change.name(),
            matched = entry.progress().matched,
            principal = entry.request.asked.principal,
            "operation started"
        );
        self.events.operation_started(|| entry.to_proto());
        let entry = Arc::new(entry);
        self.add(Arc::clone(&entry));
        self.spawn(Arc::clone(&entry));
        Ok(entry)
    }

    /// Whether another operation may run.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `OPERATION_LIMIT`.
    fn check_running(&self) -> Result<()> {
        let running = self.running();
        if running < MAX_RUNNING {
            return Ok(());
        }
        let message = format!("{running} operations run already: wait for one, or cancel one");
        let error = Error::resource_exhausted(reason::OPERATION_LIMIT, message);
        Err(error
            .with_info("running", running)
            .with_retry_after(RETRY_AFTER))
    }

    /// The operation with the id of a request, if the request is the same.
    fn known(&self, request: &OperationRequest) -> Result<Option<Arc<Entry>>> {
        let Some(known) = self.find(request.id) else {
            return Ok(None);
        };
        if known.request.is_same(request) {
            return Ok(Some(known));
        }
        let message = format!("operation {} was started with another request", request.id);
        Err(Error::already_exists(reason::IDEMPOTENCY_MISMATCH, message))
    }

    /// An operation, once there is news of it, or as it is after `wait`.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `OPERATION_UNKNOWN`.
    pub(in crate::engine) async fn get(
        &self,
        id: OperationId,
        wait: Duration,
    ) -> Result<v1::Operation> {
        let entry = self.require(id)?;
        let mut news = entry.subscribe();
        if !entry.state().is_terminal() && !wait.is_zero() {
            tokio::select! {
                _ = tokio::time::timeout(wait, news.changed()) => {}
                () = self.lifecycle.closing().cancelled() => {}
            }
        }
        Ok(entry.to_proto())
    }

    /// Up to `max` operations in these states, the newest first, and where the next page begins. Without a state: all.
    /// A page has `max_bytes` at most.
    pub(in crate::engine) fn list(
        &self,
        states: &[OperationState],
        after: Option<OperationPlace>,
        max: usize,
        max_bytes: usize,
    ) -> (Vec<v1::Operation>, Option<OperationPlace>) {
        let (mut page, mut bytes, mut last) = (Vec::new(), 0_usize, None);
        let now = self.clock.now();
        let entries = self.entries();
        let rest = entries.iter().rev().filter(|(place, entry)| {
            after.is_none_or(|after| **place < after)
                && (states.is_empty() || states.contains(&entry.state()))
                && !is_over(entry, now)
        });
        for (place, entry) in rest {
            let operation = entry.to_proto();
            bytes = bytes.saturating_add(operation.encoded_len());
            if page.len() >= max || (bytes > max_bytes && !page.is_empty()) {
                return (page, last);
            }
            page.push(operation);
            last = Some(*place);
        }
        (page, None)
    }

    /// Cancels an operation, and returns it once it has ended, or as it is after `wait`. One that has ended stays as it
    /// is.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `OPERATION_UNKNOWN`.
    pub(in crate::engine) async fn cancel(
        &self,
        id: OperationId,
        wait: Duration,
    ) -> Result<v1::Operation> {
        let entry = self.require(id)?;
        let mut news = entry.subscribe();
        entry.cancelled.cancel();
        let ended = async { drop(news.wait_for(|now| now.state.is_terminal()).await) };
        tokio::select! {
            _ = tokio::time::timeout(wait, ended) => {}
            () = self.lifecycle.closing().cancelled() => {}
        }
        Ok(entry.to_proto())
    }

    fn spawn(self: &Arc<Self>, entry: Arc<Entry>) {
        let operations = Arc::clone(self);
        self.lifecycle.spawn_until_drain("operation", async move {
            operations.runner.run(&entry).await;
            operations.events.operation_ended(|| entry.to_proto());
            operations.forget_old().await;
        });
    }

    /// Removes ended operations that are kept no longer.
    async fn forget_old(&self) {
        let old = self.take_old();
        if old.is_empty() {
            return;
        }
        // What stays in the store is read again at the next start, and is old then as well.
        if let Err(error) = self.store.remove_operations(old).await {
            tracing::warn!(%error, "cannot remove old operations");
        }
    }

    fn take_old(&self) -> Vec<OperationId> {
        let (now, mut kept, mut old) = (self.clock.now(), 0, Vec::new());
        let mut entries = self.entries();
        let ended = entries
            .iter()
            .rev()
            .filter(|(_, it)| it.state().is_terminal());
        for (place, entry) in ended {
            match is_over(entry, now) || kept >= MAX_ENDED {
                true => old.push(*place),
                false => kept += 1,
            }
        }
        for place in &old {
            entries.remove(place);
        }
        old.into_iter().map(|(_, id)| id).collect()
    }

    fn require(&self, id: OperationId) -> Result<Arc<Entry>> {
        let now = self.clock.now();
        let found = self.find(id).filter(|entry| !is_over(entry, now));
        found.ok_or_else(|| {
            let message = format!("no operation {id} is known");
            Error::not_found(reason::OPERATION_UNKNOWN, message)
        })
    }

    fn find(&self, id: OperationId) -> Option<Arc<Entry>> {
        let entries = self.entries();
        let found = entries.iter().find(|((_, known), _)| *known == id);
        found.map(|(_, entry)| Arc::clone(entry))
    }

    fn add(&self, entry: Arc<Entry>) {
        let place = (entry.create_time, entry.request.id);
        self.entries().insert(place, entry);
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<OperationPlace, Arc<Entry>>> {
        // No critical section panics between two changes that belong together.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an operation ended so long ago that it is kept no longer.
fn is_over(entry: &Entry, now: Timestamp) -> bool {
    let end = entry.end_time();
    end.is_some_and(|end| now.duration_since(end) > RETENTION)
}
