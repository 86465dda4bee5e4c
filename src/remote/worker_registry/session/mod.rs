//! A worker's session: its credit, its stream, and the dispatches that it has.
//!
//! A dispatch is in the table from when it is sent to its result, or to the loss of the worker. Where its outcome
//! is no longer wanted, the dispatch stays in the table without a receiver: the worker still runs it, and its credit
//! stays in use.

mod state;
mod stream;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::Status;

use self::state::SessionState;
use super::dispatch_message::EncodedInput;
use super::dispatch_table::{DispatchIndex, DispatchTable};
use super::in_flight::{Cancellation, DispatchState, InFlight, WorkerReply, worker_lost};
use super::refusal_counts::Refusals;
use super::worker_info::WorkerInfo;
use crate::codec::proto::v1;
use crate::codec::status::to_status;
use crate::engine::{Invoker, WorkerStatus};
use crate::model::access::Caller;
use crate::model::error::{Error, Result};
use crate::model::id::ServiceName;
use crate::model::token::Token;
use crate::remote::protocol::messages::{Outbound, to_worker};
use crate::service::{Context, DispatchStatus};

/// How long the status that ends a stream waits for room in its queue.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// A connected worker, or a worker that may resume.
#[derive(Debug)]
pub(crate) struct WorkerSession {
    id: String,
    /// Its name and its id, as operators see them.
    label: String,
    secret: Token,
    info: WorkerInfo,
    /// The caller that opened its stream. It may resume with another credential of the same principal.
    caller: ArcSwap<Caller>,
    services: Vec<ServiceName>,
    /// Its services, with the hashes of their declarations.
    declared: Vec<(ServiceName, String)>,
    connect_time: Timestamp,
    invoker: Invoker,
    /// One permit for each dispatch that it takes at once.
    credit: Arc<Semaphore>,
    /// Whether it takes new dispatches: it is connected and does not drain.
    is_open: AtomicBool,
    is_draining: AtomicBool,
    state: Mutex<SessionState>,
    refusals: Refusals,
}

/// How an item that a worker sent is handled.
#[derive(Debug)]
pub(crate) enum ItemReceipt {
    /// Its dispatch has ended.
    Void,
    /// It was received before, on an earlier stream.
    Duplicate,
    /// It is emitted in this context.
    New(Context),
}

impl WorkerSession {
    pub(super) fn new(
        info: WorkerInfo,
        caller: Caller,
        declared: Vec<(ServiceName, String)>,
        invoker: Invoker,
        index: Arc<DispatchIndex>,
    ) -> Self {
        let id = uuid::Uuid::now_v7().to_string();
        Self {
            label: format!("{} ({id})", info.name),
            id,
            secret: Token::new(),
            credit: Arc::new(Semaphore::new(info.max_in_flight)),
            info,
            caller: ArcSwap::from_pointee(caller),
            services: declared.iter().map(|(name, _)| name.clone()).collect(),
            declared,
            connect_time: invoker.now(),
            invoker,
            is_open: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
            state: Mutex::new(SessionState::new(DispatchTable::new(index))),
            refusals: Refusals::default(),
        }
    }

    /// Its id, given by the node.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The caller that opened its stream.
    pub(super) fn caller(&self) -> Caller {
        Caller::clone(&self.caller.load())
    }

    /// Its caller resumes it.
    pub(super) fn set_caller(&self, caller: Caller) {
        self.caller.store(Arc::new(caller));
    }

    /// Its name and its id, as operators see them.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn info(&self) -> &WorkerInfo {
        &self.info
    }

    pub(super) fn invoker(&self) -> &Invoker {
        &self.invoker
    }

    /// The secret that a worker presents to resume.
    pub(super) fn secret(&self) -> Token {
        self.secret
    }

    /// Its name, given by itself.
    pub(super) fn name(&self) -> &str {
        &self.info.name
    }

    pub(super) fn services(&self) -> &[ServiceName] {
        &self.services
    }

    /// Its services, with the hashes of their declarations.
    pub(super) fn declared(&self) -> &[(ServiceName, String)] {
        &self.declared
    }

    pub(super) fn credit(&self) -> &Arc<Semaphore> {
        &self.credit
    }

    pub(super) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    pub(super) fn can_resume(&self) -> bool {
        self.info.has(v1::Capability::Resume)
    }

    fn can_cancel(&self) -> bool {
        self.info.has(v1::Capability::Cancel)
    }

    /// Its free credit, in thousandths of the whole.
    pub(super) fn free_credit(&self) -> usize {
        let free = self.credit.available_permits().saturating_mul(1_000);
        free.div_ceil(self.info.max_in_flight)
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Whether it drains: it takes no new dispatches.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, SessionState> {
        // Every change is one insertion, removal or assignment.
        let state = self.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// The session as operators see it.
    pub(super) fn status(&self) -> WorkerStatus {
        WorkerStatus {
            id: self.id.clone(),
            name: self.info.name.clone(),
            build_id: self.info.build_id.clone(),
            services: self.services.clone(),
            capabilities: self.info.capabilities_to_proto(),
            in_flight: self.in_flight(),
            max_in_flight: self.info.max_in_flight,
            connect_time: self.connect_time,
            peer: self.info.peer.clone(),
            draining: self.is_draining(),
            away: self.is_away(),
        }
    }

    /// Sends a dispatch; returns whether a stream took it.
    pub(super) fn send_dispatch(
        &self,
        token: Token,
        dispatch: Box<v1::Dispatch>,
        dispatch_state: &Arc<DispatchState>,
        context: &Context,
        reply_to: oneshot::Sender<Result<WorkerReply>>,
    ) -> bool {
        let mut state = self.state();
        let is_open = !state.has_ended && !self.is_draining();
        let SessionState {
            outbox, dispatches, ..
        } = &mut *state;
        let Some(outbox) = outbox.as_ref().filter(|_| is_open) else {
            return false;
        };
        let in_flight = InFlight {
            input: self
                .can_resume()
                .then(|| EncodedInput::from_message(&dispatch)),
            state: Arc::clone(dispatch_state),
            context: context.clone(),
            reply_to: Some(reply_to),
            cancellation: Cancellation::None,
            last_item: 0,
        };
        dispatches.insert(token, in_flight);
        // The queue has room for all its credit. It is full only where the worker does not read.
        let dispatch = to_worker(v1::serve_response::Message::Dispatch(dispatch));
        let sent = outbox.try_send(dispatch);
        if sent.is_err() {
            dispatches.remove(token);
        }
        if let Err(TrySendError::Closed(_)) = sent {
            // The stream has ended, and its task does not know yet. No other dispatch is tried here.
            self.detach(&mut state);
        }
        sent.is_ok()
    }

    /// Cancels a dispatch whose outcome is no longer wanted. Sent once on each stream.
    pub(super) fn cancel(&self, token: Token) {
        let mut state = self.state();
        let SessionState {
            outbox, dispatches, ..
        } = &mut *state;
        if let Some(in_flight) = dispatches.get_mut(token)
            && in_flight.cancellation == Cancellation::None
        {
            in_flight.cancel(token, outbox.as_ref(), self.can_cancel());
        }
    }

    /// Sends the cancellations that could not be sent before.
    fn send_pending_cancellations(&self) {
        let mut state = self.state();
        let SessionState {
            outbox, dispatches, ..
        } = &mut *state;
        for (token, in_flight) in dispatches.iter_mut() {
            if matches!(in_flight.cancellation, Cancellation::Pending(_)) {
                in_flight.send_cancel(token, outbox.as_ref(), self.can_cancel());
            }
        }
    }

    /// Voids the token of a dispatch: later messages of the worker for it are refused.
    pub(super) fn void(&self, token: Token) {
        self.state().dispatches.void(token);
    }

    /// Whether the worker has answered all its dispatches.
    pub(crate) fn is_idle(&self) -> bool {
        self.state().dispatches.is_empty()
    }

    /// The number of dispatches that the worker has not answered.
    pub(super) fn in_flight(&self) -> usize {
        self.state().dispatches.len()
    }

    /// Stops new dispatches, and sends `Drained` after the last one. Returns whether it did not drain before.
    pub(super) fn drain(&self) -> bool {
        // No dispatch is sent while the lock is held.
        let state = self.state();
        let was_draining = self.is_draining.swap(true, Ordering::AcqRel);
        self.is_open.store(false, Ordering::Release);
        if let Some(outbox) = &state.outbox {
            let drained = v1::serve_response::Message::Drained(v1::Drained {});
            let _ = outbox.try_send(to_worker(drained));
        }
        !was_draining
    }

    /// Ends the session: its tokens are void, and its dispatches are lost. `error` ends the stream, if there is one.
    /// Returns the number of dispatches that are lost.
    pub(super) fn end(&self, error: Option<&Error>) -> usize {
        let (outbox, dispatches) = {
            let mut state = self.state();
            state.has_ended = true;
            state.away_since = None;
            self.is_open.store(false, Ordering::Release);
            (state.outbox.take(), state.dispatches.take())
        };
        if let (Some(outbox), Some(error)) = (outbox, error) {
            self.send_end(outbox, to_status(error));
        }
        self.log_suppressed_refusals();
        let lost = dispatches.len();
        for in_flight in dispatches {
            in_flight.state.set_status(DispatchStatus::Lost);
            if let Some(reply_to) = in_flight.reply_to {
                let _ = reply_to.send(Err(worker_lost(&self.info.name)));
            }
        }
        self.credit.close();
        lost
    }

    /// Sends the status that ends the stream. A worker that does not read has a few seconds to do so.
    fn send_end(&self, outbox: mpsc::Sender<Outbound>, status: Status) {
        if let Err(TrySendError::Full(status)) = outbox.try_send(Err(status)) {
            self.invoker.tasks().spawn("worker end", async move {
                let _ = outbox.send_timeout(status, END_TIMEOUT).await;
            });
        }
    }

    /// Sends a message that may be dropped: where there is no stream, or where the queue has no more room than the
    /// dispatches need.
    pub(super) fn send_if_room(&self, message: v1::serve_response::Message) {
        let outbox = self.state().outbox.clone();
        if let Some(outbox) = outbox
            && outbox.capacity() > self.info.max_in_flight
        {
            let _ = outbox.try_send(to_worker(message));
        }
    }

    /// Sends a message. It is dropped where there is no stream, or where the worker does not read.
    pub(super) fn send(&self, message: v1::serve_response::Message) {
        let outbox = self.state().outbox.clone();
        if let Some(outbox) = outbox {
            let _ = outbox.try_send(to_worker(message));
        }
    }

    /// Sends a keep-alive: an empty message, for proxies that close idle streams.
    pub(crate) fn send_keep_alive(&self) {
        let outbox = self.state().outbox.clone();
        if let Some(outbox) = outbox {
            let _ = outbox.try_send(Ok(v1::ServeResponse::default()));
        }
    }

    /// Whether the worker broke its promise to stop: it announced `CAPABILITY_CANCEL`, and each permit of its credit is
    /// held by a dispatch that was cancelled longer than the grace period ago. Other workers only answer HTTP/2 PING:
    /// an overdue dispatch keeps its permit until they answer it.
    pub(crate) fn is_stuck(&self) -> bool {
        if !self.can_cancel() {
            return false;
        }
        let grace = self.invoker.limits().grace;
        let state = self.state();
        let is_overdue = |in_flight: &InFlight| match in_flight.cancellation {
            Cancellation::None => false,
            Cancellation::Pending(when) | Cancellation::Sent(when) => when.elapsed() > grace,
        };
        let overdue = state
            .dispatches
            .iter()
            .filter(|(_, it)| is_overdue(it) && it.state.credit().is_some());
        overdue.count() >= self.info.max_in_flight
    }

    /// Sends cancellations and acknowledgements that could not be sent before.
    pub(crate) fn send_pending(&self) {
        self.send_pending_cancellations();
        self.acknowledge_results();
    }

    /// Acknowledges the results that were received, to a worker that can resume. Where the queue is full, they are
    /// acknowledged later: a worker keeps a result until then.
    pub(crate) fn acknowledge_results(&self) {
        let mut state = self.state();
        let SessionState {
            outbox, received, ..
        } = &mut *state;
        if received.is_empty() {
            return;
        }
        if let Some(Ok(slot)) = outbox.as_ref().map(mpsc::Sender::try_reserve) {
            let tokens = std::mem::take(received);
            let received = v1::serve_response::Message::Received(v1::Received { tokens });
            slot.send(to_worker(received));
        }
    }

    /// Records an item that the worker sent.
    pub(crate) fn record_item(&self, item: &v1::DispatchItem) -> ItemReceipt {
        let Some(token) = Token::parse(&item.token) else {
            return ItemReceipt::Void;
        };
        let mut state = self.state();
        let Some(in_flight) = state.dispatches.valid(token) else {
            return ItemReceipt::Void;
        };
        let is_new = item.number == 0 || item.number > in_flight.last_item;
        in_flight.last_item = in_flight.last_item.max(item.number);
        match is_new {
            true => ItemReceipt::New(in_flight.context.clone()),
            false => ItemReceipt::Duplicate,
        }
    }

    /// The context of a dispatch that the worker has; `None` where its token is void.
    pub(crate) fn context(&self, token: &str) -> Option<Context> {
        self.context_of(Token::parse(token)?)
    }

    pub(super) fn context_of(&self, token: Token) -> Option<Context> {
        let mut state = self.state();
        let in_flight = state.dispatches.valid(token)?;
        Some(in_flight.context.clone())
    }
}
