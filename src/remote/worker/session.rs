//! One session of a worker with a node: what the node handed over, and what it may not have heard of yet.
//!
//! A result is kept until the node says that it has it: a stream that breaks may lose what was on its way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use crate::codec::proto::v1;
use crate::codec::proto::v1::serve_request::Message;
use crate::model::error::{Error, Result, reason};

/// How many items one dispatch emits: what a node takes of an invocation.
const KEPT_ITEMS: usize = 10_000;

/// A session. It lasts as long as the node keeps it, over one stream after another.
#[derive(Debug)]
pub(super) struct Session {
    shared: Arc<Shared>,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    worker_id: String,
    session: String,
    outbox: Option<mpsc::UnboundedSender<v1::ServeRequest>>,
    /// Handlers under way, by token.
    running: HashMap<String, Running, RandomState>,
    /// Results that the node may not have, with the items before them.
    results: HashMap<String, (Vec<v1::DispatchItem>, Box<v1::DispatchResult>), RandomState>,
    /// It has said hello, and the node may hand over before it is heard that it did.
    greets: bool,
    /// The node has said that no dispatch follows.
    drained: bool,
    /// Since when there is no stream, and how long the node keeps what it handed over.
    away: Option<Instant>,
    lease: Duration,
}

impl Told {
    fn may_come_back(&self) -> bool {
        let in_time = |since: Instant| since.elapsed() < self.lease;
        self.outbox.is_some() || self.away.is_some_and(in_time)
    }
}

/// A handler under way.
#[derive(Debug, Default)]
struct Running {
    cancel: CancellationToken,
    /// What it has emitted: the node may not have it.
    items: Vec<v1::DispatchItem>,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>) -> Arc<Self> {
        let told = Mutex::default();
        Arc::new(Self { shared, told })
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Every change is one insertion, removal or assignment.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn worker_id(&self) -> String {
        self.told().worker_id.clone()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.told().running.len()
    }

    /// Whether something runs, may come yet, or is to be told to a node that waits for it.
    pub(super) fn is_busy(&self) -> bool {
        let told = self.told();
        !told.running.is_empty()
            || (!told.results.is_empty() && told.may_come_back())
            || (told.outbox.is_some() && !told.drained)
            || told.greets
    }

    /// Says hello; until the guard is dropped the node may have handed something over.
    pub(super) fn greet(&self) -> Greeting<'_> {
        self.told().greets = true;
        Greeting(self)
    }

    /// Whether nothing runs, and the node has all results.
    pub(super) fn has_nothing(&self) -> bool {
        let told = self.told();
        told.running.is_empty() && told.results.is_empty()
    }

    /// The node says that no dispatch follows.
    pub(super) fn note_drained(&self) {
        self.told().drained = true;
        self.shared.note_fewer();
    }

    /// Gives back what runs, and stops it.
    pub(super) fn hand_back(&self) {
        let running = std::mem::take(&mut self.told().running);
        let tokens = running.keys().cloned().collect();
        self.show(Message::HandBack(v1::HandBack { tokens }));
        running
            .into_values()
            .for_each(|running| running.cancel.cancel());
    }

    /// Has no stream any more: nothing comes.
    pub(super) fn hang_up(&self) {
        {
            let mut told = self.told();
            told.outbox = None;
            told.away.get_or_insert_with(Instant::now);
        }
        self.shared.note_fewer();
    }

    /// Is over: nobody wants what runs, or has ended.
    pub(super) fn give_up(&self) {
        let running = {
            let mut told = self.told();
            told.results.clear();
            std::mem::take(&mut told.running)
        };
        let running = running.into_values();
        running.for_each(|running| running.cancel.cancel());
        self.hang_up();
    }

    /// Says something that is of no use later.
    pub(super) fn show(&self, message: Message) {
        if let Some(outbox) = &self.told().outbox {
            let _ = outbox.send(request(message));
        }
    }

    /// A dispatch has come; `None` where it had come before.
    pub(super) fn begin(&self, token: &str) -> Option<CancellationToken> {
        let mut told = self.told();
        if told.running.contains_key(token) || told.results.contains_key(token) {
            return None;
        }
        let running = Running::default();
        let cancel = running.cancel.clone();
        told.running.insert(token.to_owned(), running);
        Some(cancel)
    }

    /// The outcome of a dispatch is not wanted any more.
    pub(super) fn cancel(&self, token: &str) {
        if let Some(running) = self.told().running.get(token) {
            running.cancel.cancel();
        }
    }

    /// Sends an item, and keeps it: where the stream breaks it is sent again.
    pub(super) fn tell_item(&self, token: &str, item: v1::dispatch_item::Item) -> Result<()> {
        let mut told = self.told();
        let Told {
            running, outbox, ..
        } = &mut *told;
        let running = running
            .get_mut(token)
            .ok_or_else(|| Error::cancelled(reason::CANCELLED, "the attempt has ended"))?;
        if running.items.len() >= KEPT_ITEMS {
            let message = format!("an invocation emits at most {KEPT_ITEMS} items");
            return Err(Error::resource_exhausted(reason::ITEMS_LIMIT, message));
        }
        let item = v1::DispatchItem {
            token: token.to_owned(),
            item: Some(item),
            number: u32::try_from(running.items.len() + 1).unwrap_or(u32::MAX),
        };
        if let Some(outbox) = outbox {
            let _ = outbox.send(request(Message::Item(item.clone())));
        }
        running.items.push(item);
        Ok(())
    }

    /// A handler has ended.
    pub(super) fn end(&self, result: Box<v1::DispatchResult>) {
        let mut told = self.told();
        // Handed back, or void: nobody wants it.
        if let Some(Running { items, .. }) = told.running.remove(&result.token) {
            if let Some(outbox) = &told.outbox {
                let _ = outbox.send(request(Message::Result(result.clone())));
            }
            told.results.insert(result.token.clone(), (items, result));
        }
        drop(told);
        self.shared.note_fewer();
    }

    /// The node has these results, or wants none of them.
    pub(super) fn forget_results(&self, tokens: &[String]) {
        {
            let mut told = self.told();
            for token in tokens {
                told.results.remove(token);
            }
        }
        self.shared.note_fewer();
    }

    /// The hello of the moment: with the session, and what there is of it.
    pub(super) fn hello_again(&self, hello: &v1::Hello) -> v1::Hello {
        let told = self.told();
        let tokens = told.running.keys().chain(told.results.keys());
        v1::Hello {
            session: told.session.clone(),
            tokens: tokens.cloned().collect(),
            ..hello.clone()
        }
    }

    /// Goes on with what the node still has; everything else is void.
    pub(super) fn take_up(
        &self,
        welcome: v1::Welcome,
        outbox: mpsc::UnboundedSender<v1::ServeRequest>,
    ) {
        let mut told = self.told();
        told.worker_id = welcome.worker_id;
        told.session = welcome.session;
        told.drained = false;
        told.away = None;
        let lease = welcome.lease.and_then(|lease| lease.try_into().ok());
        told.lease = lease.unwrap_or_default();
        let kept = |token: &String| welcome.tokens.contains(token);
        told.results.retain(|token, _| kept(token));
        let Told { running, .. } = &mut *told;
        running.retain(|token, running| {
            let is_kept = kept(token);
            if !is_kept {
                running.cancel.cancel();
            }
            is_kept
        });
        let of_ended = told.results.values().flat_map(|(items, _)| items);
        let items = told.running.values().flat_map(|running| &running.items);
        for item in items.chain(of_ended) {
            let _ = outbox.send(request(Message::Item(item.clone())));
        }
        for (_, result) in told.results.values() {
            let _ = outbox.send(request(Message::Result(result.clone())));
        }
        if self.shared.is_draining() {
            let _ = outbox.send(request(Message::Drain(v1::WorkerDrain {})));
        }
        told.outbox = Some(outbox);
        drop(told);
        self.shared.note_fewer();
    }
}

/// A hello that was not answered yet.
pub(super) struct Greeting<'a>(&'a Session);

impl Drop for Greeting<'_> {
    fn drop(&mut self) {
        self.0.told().greets = false;
        self.0.shared.note_fewer();
    }
}

/// What goes to the node.
pub(super) fn request(message: Message) -> v1::ServeRequest {
    v1::ServeRequest {
        message: Some(message),
        results: Vec::new(),
    }
}
