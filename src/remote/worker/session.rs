//! A worker's session with a node: the dispatches that run, and the results that the node has not acknowledged.
//!
//! A result is kept until the node acknowledges it, because a broken stream may lose it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::shared::WorkerShared;
use crate::codec::proto::v1;
use crate::codec::proto::v1::serve_request::Message;
use crate::model::error::{Error, Result, reason};
use crate::remote::protocol::messages::to_node;

/// The most items of one dispatch: the limit of a node for one invocation.
const MAX_ITEMS_PER_DISPATCH: usize = 10_000;

/// A session. It lasts as long as the node keeps it, over one stream after another.
#[derive(Debug)]
pub(super) struct NodeSession {
    shared: Arc<WorkerShared>,
    state: Mutex<NodeSessionState>,
}

#[derive(Debug, Default)]
struct NodeSessionState {
    worker_id: String,
    session: String,
    outbox: Option<mpsc::UnboundedSender<v1::ServeRequest>>,
    /// Running handlers, by token.
    running: HashMap<String, RunningDispatch, RandomState>,
    /// Results that are not acknowledged, by token.
    results: HashMap<String, UnacknowledgedResult, RandomState>,
    /// A hello was sent and not answered: the node may send dispatches before its welcome is received.
    awaits_welcome: bool,
    /// The node sent `Drained`: no dispatch follows.
    is_drained: bool,
    /// When the stream ended; `None` while there is one.
    away_since: Option<Instant>,
    /// How long the node keeps the session after the stream has ended.
    lease: Duration,
}

impl NodeSessionState {
    fn may_resume(&self) -> bool {
        let is_leased = |since: Instant| since.elapsed() < self.lease;
        self.outbox.is_some() || self.away_since.is_some_and(is_leased)
    }
}

/// A running handler.
#[derive(Debug, Default)]
struct RunningDispatch {
    cancel: CancellationToken,
    /// The items that it emitted: the node may not have received them.
    items: Vec<v1::DispatchItem>,
}

/// A result that the node may not have received, with the items before it.
#[derive(Debug)]
struct UnacknowledgedResult {
    items: Vec<v1::DispatchItem>,
    result: Box<v1::DispatchResult>,
}

impl NodeSession {
    pub(super) fn new(shared: Arc<WorkerShared>) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { shared, state })
    }

    pub(super) fn shared(&self) -> &Arc<WorkerShared> {
        &self.shared
    }

    fn state(&self) -> MutexGuard<'_, NodeSessionState> {
        // Every change is one insertion, removal or assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn worker_id(&self) -> String {
        self.state().worker_id.clone()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.state().running.len()
    }

    /// Whether a dispatch runs, may still arrive, or has a result that the node waits for.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state();
        !state.running.is_empty()
            || (!state.results.is_empty() && state.may_resume())
            || (state.outbox.is_some() && !state.is_drained)
            || state.awaits_welcome
    }

    /// Marks that a hello is sent. Until the guard is dropped, the node may have sent dispatches.
    pub(super) fn await_welcome(&self) -> WelcomeGuard<'_> {
        self.state().awaits_welcome = true;
        WelcomeGuard(self)
    }

    /// Whether no dispatch runs, and the node has all results.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.state();
        state.running.is_empty() && state.results.is_empty()
    }

    /// Records that the node sends no more dispatches.
    pub(super) fn set_drained(&self) {
        self.state().is_drained = true;
        self.shared.notify_ended();
    }

    /// Hands running dispatches back to the node, and cancels them.
    pub(super) fn hand_back(&self) {
        let running = std::mem::take(&mut self.state().running);
        let tokens = running.keys().cloned().collect();
        self.send(Message::HandBack(v1::HandBack { tokens }));
        let running = running.into_values();
        running.for_each(|running| running.cancel.cancel());
    }

    /// Records that the stream ended.
    pub(super) fn disconnect(&self) {
        {
            let mut state = self.state();
            state.outbox = None;
            state.away_since.get_or_insert_with(Instant::now);
        }
        self.shared.notify_ended();
    }

    /// Cancels running handlers and drops all results: the node ended the session, or does not resume it. The next
    /// hello starts another one.
    pub(super) fn abandon(&self) {
        let running = {
            let mut state = self.state();
            state.session.clear();
            state.results.clear();
            std::mem::take(&mut state.running)
        };
        let running = running.into_values();
        running.for_each(|running| running.cancel.cancel());
        self.disconnect();
    }

    /// Sends a message. It is dropped where there is no stream.
    pub(super) fn send(&self, message: Message) {
        if let Some(outbox) = &self.state().outbox {
            let _ = outbox.send(to_node(message));
        }
    }

    /// Starts a dispatch; `None` where it was received before.
    pub(super) fn start(&self, token: &str) -> Option<CancellationToken> {
        let mut state = self.state();
        if state.running.contains_key(token) || state.results.contains_key(token) {
            return None;
        }
        let running = RunningDispatch::default();
        let cancel = running.cancel.clone();
        state.running.insert(token.to_owned(), running);
        Some(cancel)
    }

    /// Cancels a dispatch whose outcome is no longer wanted.
    pub(super) fn cancel(&self, token: &str) {
        if let Some(running) = self.state().running.get(token) {
            running.cancel.cancel();
        }
    }

    /// Sends an item, and keeps it to resend it on the next stream.
    ///
    /// # Errors
    ///
    /// `CANCELLED` where the dispatch has ended; `RESOURCE_EXHAUSTED` / `ITEMS_LIMIT`.
    pub(super) fn send_item(&self, token: &str, item: v1::dispatch_item::Item) -> Result<()> {
        let mut state = self.state();
        let NodeSessionState {
            running, outbox, ..
        } = &mut *state;
        let running = running
            .get_mut(token)
            .ok_or_else(|| Error::cancelled(reason::CANCELLED, "the attempt has ended"))?;
        if running.items.len() >= MAX_ITEMS_PER_DISPATCH {
            let message = format!("an invocation emits at most {MAX_ITEMS_PER_DISPATCH} items");
            return Err(Error::resource_exhausted(reason::ITEMS_LIMIT, message));
        }
        let item = v1::DispatchItem {
            token: token.to_owned(),
            item: Some(item),
            number: u32::try_from(running.items.len() + 1).unwrap_or(u32::MAX),
        };
        if let Some(outbox) = outbox {
            let _ = outbox.send(to_node(Message::Item(item.clone())));
        }
        running.items.push(item);
        Ok(())
    }

    /// Ends a dispatch with its result. The result of one that was handed back, or is void, is dropped.
    pub(super) fn end(&self, result: Box<v1::DispatchResult>) {
        let mut state = self.state();
        if let Some(RunningDispatch { items, .. }) = state.running.remove(&result.token) {
            if let Some(outbox) = &state.outbox {
                let _ = outbox.send(to_node(Message::Result(result.clone())));
            }
            let token = result.token.clone();
            let unacknowledged = UnacknowledgedResult { items, result };
            state.results.insert(token, unacknowledged);
        }
        drop(state);
        self.shared.notify_ended();
    }

    /// Removes results that the node acknowledged or refused.
    pub(super) fn remove_results(&self, tokens: &[String]) {
        {
            let mut state = self.state();
            for token in tokens {
                state.results.remove(token);
            }
        }
        self.shared.notify_ended();
    }

    /// The hello of the next stream, with the session and the tokens that the worker has.
    pub(super) fn hello(&self, hello: &v1::Hello) -> v1::Hello {
        let state = self.state();
        let tokens = state.running.keys().chain(state.results.keys());
        v1::Hello {
            session: state.session.clone(),
            tokens: tokens.cloned().collect(),
            ..hello.clone()
        }
    }

    /// Attaches a stream that the node welcomed. Dispatches that the node no longer has are void: their
    /// handlers are cancelled.
    pub(super) fn connect(
        &self,
        welcome: v1::Welcome,
        outbox: mpsc::UnboundedSender<v1::ServeRequest>,
    ) {
        let mut state = self.state();
        state.worker_id = welcome.worker_id;
        state.session = welcome.session;
        state.is_drained = false;
        state.away_since = None;
        let lease = welcome.lease.and_then(|lease| lease.try_into().ok());
        state.lease = lease.unwrap_or_default();
        let is_kept = |token: &String| welcome.tokens.contains(token);
        state.results.retain(|token, _| is_kept(token));
        state.running.retain(|token, running| {
            let is_kept = is_kept(token);
            if !is_kept {
                running.cancel.cancel();
            }
            is_kept
        });
        let items_of_results = state.results.values().flat_map(|it| &it.items);
        let items = state.running.values().flat_map(|running| &running.items);
        for item in items.chain(items_of_results) {
            let _ = outbox.send(to_node(Message::Item(item.clone())));
        }
        for UnacknowledgedResult { result, .. } in state.results.values() {
            let _ = outbox.send(to_node(Message::Result(result.clone())));
        }
        if self.shared.is_draining() {
            let _ = outbox.send(to_node(Message::Drain(v1::WorkerDrain {})));
        }
        state.outbox = Some(outbox);
        drop(state);
        self.shared.notify_ended();
    }
}

/// A hello that the node has not answered.
pub(super) struct WelcomeGuard<'a>(&'a NodeSession);

impl Drop for WelcomeGuard<'_> {
    fn drop(&mut self) {
        self.0.state().awaits_welcome = false;
        self.0.shared.notify_ended();
    }
}
