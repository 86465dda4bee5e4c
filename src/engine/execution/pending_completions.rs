//! Async completion of synchronous calls: a table from completion token to the call that waits for its outcome.
//!
//! A handler gives its token away and answers "later". Where the invocation is stored, the store has the token (hashed)
//! and the outcome goes there; a call that is not stored waits here, in memory, as long as its caller waits.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::{oneshot, watch};

use crate::model::access::Principals;
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::payload::Reply;
use crate::model::token::Token;
use crate::service::InvocationInfo;

/// How many synchronous calls of a node wait for their outcomes at once.
const MAX_PENDING: usize = 10_000;
/// How soon a call may be retried that would be one more.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The completion tokens of synchronous calls.
#[derive(Debug, Default)]
pub(in crate::engine) struct PendingCompletions {
    calls: Mutex<HashMap<Token, PendingCall, RandomState>>,
    /// Notifies of tokens that are awaited, withdrawn or used.
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct PendingCall {
    cid: Cid,
    service: ServiceName,
    principals: Option<Arc<Principals>>,
    /// Where the outcome goes. `None` until the handler has answered "later".
    outcome: Option<oneshot::Sender<Result<Reply>>>,
}

/// A call that a completion token belongs to.
#[derive(Debug)]
pub(in crate::engine) struct TokenOwner {
    pub(in crate::engine) service: ServiceName,
    pub(in crate::engine) principals: Option<Arc<Principals>>,
    /// Whether the handler has answered "later", so that the outcome can be given.
    pub(in crate::engine) is_awaited: bool,
}

impl PendingCompletions {
    fn lock(&self) -> MutexGuard<'_, HashMap<Token, PendingCall, RandomState>> {
        // Entries are inserted and removed whole: the map is consistent even after a panic.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a token that a running handler gives away.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `LATER_LIMIT`.
    pub(in crate::engine) fn offer(&self, token: Token, info: &InvocationInfo) -> Result<()> {
        let mut calls = self.lock();
        if calls.len() >= MAX_PENDING {
            let message = format!("{MAX_PENDING} calls already wait to be completed from outside");
            return Err(Error::resource_exhausted(reason::LATER_LIMIT, message)
                .with_info("calls", MAX_PENDING)
                .with_retry_after(RETRY_AFTER));
        }
        let call = PendingCall {
            cid: info.cid,
            service: info.service.clone(),
            principals: info.principals.clone(),
            outcome: None,
        };
        calls.insert(token, call);
        Ok(())
    }

    /// Removes a token whose outcome is not awaited: the handler has ended with an outcome of its own.
    pub(in crate::engine) fn withdraw(&self, token: Token) {
        let mut calls = self.lock();
        let call = calls.get(&token);
        if call.is_some_and(|call| call.outcome.is_none()) {
            calls.remove(&token);
        }
        drop(calls);
        self.changes.send_replace(());
    }

    /// Waits for the outcome that comes with a token: the handler has answered "later".
    pub(in crate::engine) fn wait(self: &Arc<Self>, token: Token) -> CompletionFuture {
        let (sender, outcome) = oneshot::channel();
        if let Some(call) = self.lock().get_mut(&token) {
            call.outcome = Some(sender);
        }
        self.changes.send_replace(());
        CompletionFuture {
            completions: Arc::clone(self),
            token,
            outcome,
        }
    }

    /// The call that a token belongs to, if there is one with this CID.
    pub(in crate::engine) fn owner(&self, cid: Cid, token: Token) -> Option<TokenOwner> {
        let calls = self.lock();
        let call = calls.get(&token).filter(|call| call.cid == cid)?;
        Some(TokenOwner {
            service: call.service.clone(),
            principals: call.principals.clone(),
            is_awaited: call.outcome.is_some(),
        })
    }

    /// Gives an outcome to the call that waits for it; returns whether it still did.
    pub(in crate::engine) fn complete(&self, token: Token, outcome: Result<Reply>) -> bool {
        let call = self.lock().remove(&token);
        self.changes.send_replace(());
        let sender = call.and_then(|call| call.outcome);
        sender.is_some_and(|sender| sender.send(outcome).is_ok())
    }

    /// Notifies of tokens that are awaited, withdrawn or used.
    pub(in crate::engine) fn subscribe(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// How many calls wait for their outcomes, by service.
    pub(in crate::engine) fn count_by_service(&self) -> HashMap<ServiceName, usize, RandomState> {
        let mut counts = HashMap::default();
        let calls = self.lock();
        for call in calls.values().filter(|call| call.outcome.is_some()) {
            *counts.entry(call.service.clone()).or_default() += 1;
        }
        counts
    }
}

/// The outcome of a synchronous call that is completed from outside. Dropping it voids the token.
#[derive(Debug)]
pub(in crate::engine) struct CompletionFuture {
    completions: Arc<PendingCompletions>,
    token: Token,
    outcome: oneshot::Receiver<Result<Reply>>,
}

impl Future for CompletionFuture {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.outcome).poll(cx));
        Poll::Ready(outcome.unwrap_or_else(|_| {
            let message = "the completion token is no longer valid";
            Err(Error::cancelled(reason::CANCELLED, message))
        }))
    }
}

impl Drop for CompletionFuture {
    fn drop(&mut self) {
        self.completions.lock().remove(&self.token);
        self.completions.changes.send_replace(());
    }
}
