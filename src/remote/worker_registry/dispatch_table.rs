//! The dispatches in flight: a table for each session, and one index of all sessions from tokens to contexts.
//!
//! A nested call names its dispatch by token. The index finds it with one look-up, without the locks of the sessions.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use tokio::sync::Notify;

use super::in_flight::InFlight;
use crate::model::token::Token;
use crate::service::Context;

/// How many dispatches of a session are remembered after they have ended.
const MAX_ENDED: usize = 4_096;

/// How many of the tokens that a worker named when it connected are remembered.
const MAX_NAMED: usize = 16_384;

/// The contexts of the dispatches of all sessions whose tokens are valid.
#[derive(Debug, Default)]
pub(super) struct DispatchIndex {
    contexts: Mutex<HashMap<Token, Context, RandomState>>,
    /// Notified when a token becomes void.
    voided: Notify,
}

impl DispatchIndex {
    pub(super) fn find(&self, token: Token) -> Option<Context> {
        self.contexts().get(&token).cloned()
    }

    /// Waits until a token is void: its dispatch has ended, or its outcome is no longer needed.
    pub(super) async fn void(&self, token: Token) {
        loop {
            // Created before the table is read: a change after that wakes it.
            let voided = self.voided.notified();
            if !self.contexts().contains_key(&token) {
                return;
            }
            voided.await;
        }
    }

    fn contexts(&self) -> MutexGuard<'_, HashMap<Token, Context, RandomState>> {
        // Every change is one insertion or removal.
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, token: Token, context: Context) {
        self.contexts().insert(token, context);
    }

    fn remove(&self, token: Token) {
        let context = self.contexts().remove(&token);
        self.voided.notify_waiters();
        // After the lock is released: it may be the last reference.
        drop(context);
    }
}

/// The dispatches of one session, entered in the index of all sessions.
#[derive(Debug)]
pub(super) struct DispatchTable {
    in_flight: HashMap<Token, InFlight, RandomState>,
    index: Arc<DispatchIndex>,
    /// The tokens of the last dispatches that ended, oldest first: their late messages are no errors.
    ended: VecDeque<Token>,
    /// The tokens that the worker named when it connected. It repeats what was not acknowledged.
    named: HashSet<Token, RandomState>,
}

impl DispatchTable {
    pub(super) fn new(index: Arc<DispatchIndex>) -> Self {
        Self {
            in_flight: HashMap::default(),
            index,
            ended: VecDeque::new(),
            named: HashSet::default(),
        }
    }

    pub(super) fn insert(&mut self, token: Token, in_flight: InFlight) {
        self.index.insert(token, in_flight.context.clone());
        self.in_flight.insert(token, in_flight);
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<InFlight> {
        let in_flight = self.in_flight.remove(&token)?;
        self.index.remove(token);
        if self.ended.len() >= MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(token);
        Some(in_flight)
    }

    /// Whether the worker has, or recently had, the dispatch of a token.
    pub(super) fn had(&self, token: Token) -> bool {
        self.in_flight.contains_key(&token)
            || self.named.contains(&token)
            || self.ended.contains(&token)
    }

    /// Voids a token. The dispatch stays in the table until the worker has answered it.
    pub(super) fn void(&mut self, token: Token) {
        if let Some(in_flight) = self.in_flight.get_mut(&token) {
            in_flight.reply_to = None;
            self.index.remove(token);
        }
    }

    /// Removes all dispatches.
    pub(super) fn take(&mut self) -> Vec<InFlight> {
        let in_flight = std::mem::take(&mut self.in_flight);
        in_flight.keys().for_each(|token| self.index.remove(*token));
        in_flight.into_values().collect()
    }

    /// Records the tokens that a worker names as it connects. Dispatches with void tokens that it does not have are
    /// removed.
    pub(super) fn connect(&mut self, named: &HashSet<Token, RandomState>) {
        self.in_flight
            .retain(|token, in_flight| named.contains(token) || in_flight.reply_to.is_some());
        self.named = named.iter().copied().take(MAX_NAMED).collect();
    }

    /// The dispatch of a token that is not void.
    pub(super) fn valid(&mut self, token: Token) -> Option<&mut InFlight> {
        let in_flight = self.in_flight.get_mut(&token);
        in_flight.filter(|in_flight| in_flight.reply_to.is_some())
    }

    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut InFlight> {
        self.in_flight.get_mut(&token)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Token, &InFlight)> {
        self.in_flight.iter().map(|(token, it)| (*token, it))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Token, &mut InFlight)> {
        self.in_flight.iter_mut().map(|(token, it)| (*token, it))
    }

    pub(super) fn len(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }
}

impl Drop for DispatchTable {
    fn drop(&mut self) {
        self.take();
    }
}
