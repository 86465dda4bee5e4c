//! Async completion: `CompleteInvocation` gives the outcome of an invocation whose handler answered "later".
//!
//! A stored invocation waits in the store, as pending and due at its timeout, with the hash of its token. A synchronous
//! call that is not stored waits in memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::codec::payload;
use crate::engine::durable::commit::{Committer, Source};
use crate::engine::durable::stored_reply::stored_reply;
use crate::engine::durable::transition::{AttemptResult, RUNNING, Trigger, transition};
use crate::engine::execution::pending_completions::PendingCompletions;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::limits::Limits;
use crate::engine::results::hub::{Hub, Subscription};
use crate::engine::results::lookup::Results;
use crate::engine::routing::{Route, Routes};
use crate::model::access::Principals;
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Invocation, Outcome, State};
use crate::model::payload::Reply;
use crate::model::token::Token;

/// How long an outcome waits for the handler to answer "later": a handler may give its token away before it does.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(5);

const OUTCOME_INVALID: &str = "the outcome does not match the declaration of the service";

/// Completes invocations from outside.
#[derive(Debug)]
pub(in crate::engine) struct Completer {
    pub(in crate::engine) completions: Arc<PendingCompletions>,
    pub(in crate::engine) results: Arc<Results>,
    pub(in crate::engine) routes: Arc<Routes>,
    pub(in crate::engine) hub: Arc<Hub>,
    pub(in crate::engine) committer: Arc<Committer>,
    pub(in crate::engine) limits: Arc<Limits>,
    pub(in crate::engine) lifecycle: Arc<Lifecycle>,
}

impl Completer {
    /// Gives the outcome of an invocation and returns its state then. The same outcome can be given again.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `DISPATCH_VOID` where the token is not, or no longer, that of the invocation; `ENDED`
    /// where it ended with another outcome; `INVALID_ARGUMENT` / `OUTPUT_INVALID` where the response does not match the
    /// declaration: the invocation still waits; `UNAVAILABLE` / `STILL_RUNNING` where the handler does not answer
    /// "later" within 5 s; `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`.
    pub(in crate::engine) async fn complete(
        self: &Arc<Self>,
        cid: Cid,
        token: &str,
        outcome: Outcome,
    ) -> Result<State> {
        let token = Token::parse(token).ok_or_else(token_void)?;
        let complete = Arc::clone(self).complete_or_wait(cid, token, outcome);
        let tasks = self.lifecycle.tasks();
        tasks.run_to_completion("complete", complete).await
    }

    /// The service of the invocation that a token completes, and its principals.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; the errors of the store.
    pub(in crate::engine) async fn awaited(
        &self,
        cid: Cid,
        token: &str,
    ) -> Result<(ServiceName, Option<Arc<Principals>>)> {
        let token = Token::parse(token);
        if let Some(owner) = token.and_then(|token| self.completions.owner(cid, token)) {
            return Ok((owner.service, owner.principals));
        }
        let invocation = self.results.get(cid).await?.invocation;
        let request = &invocation.request;
        Ok((request.service.clone(), request.principals.clone()))
    }

    async fn complete_or_wait(
        self: Arc<Self>,
        cid: Cid,
        token: Token,
        outcome: Outcome,
    ) -> Result<State> {
        let until = Instant::now() + HANDLER_TIMEOUT;
        // Subscribed before anything is read: a change in between notifies.
        let invocation = Subscription::new(&self.hub, cid);
        let mut tokens = self.completions.subscribe();
        loop {
            tokens.mark_unchanged();
            if let Some(state) = self.try_complete(cid, token, &outcome).await? {
                return Ok(state);
            }
            let changed = async {
                tokio::select! {
                    () = invocation.changed() => {}
                    _ = tokens.changed() => {}
                }
            };
            if timeout_at(until, changed).await.is_err() {
                let message = format!("the handler of {cid} has not answered yet: retry");
                return Err(Error::unavailable(reason::STILL_RUNNING, message)
                    .with_retry_after(HANDLER_TIMEOUT));
            }
        }
    }

    /// Gives the outcome if it is awaited; `None` where the handler still runs, or the invocation ends just now.
    async fn try_complete(
        &self,
        cid: Cid,
        token: Token,
        outcome: &Outcome,
    ) -> Result<Option<State>> {
        if let Some(owner) = self.completions.owner(cid, token) {
            if !owner.is_awaited {
                return Ok(None);
            }
            let route = self.routes.find(owner.service.as_str())?;
            let outcome = self.check_outcome(&route, outcome.clone())?;
            let state = match outcome.is_ok() {
                true => State::Succeeded,
                false => State::Failed,
            };
            let completed = self.completions.complete(token, outcome);
            return Ok(completed.then_some(state));
        }
        match self.hub.live(cid) {
            Some(live) if live.owns_token(token) => Ok(None),
            Some(_) => Err(token_void()),
            None => self.try_complete_stored(cid, token, outcome).await,
        }
    }

    async fn try_complete_stored(
        &self,
        cid: Cid,
        token: Token,
        outcome: &Outcome,
    ) -> Result<Option<State>> {
        let invocation = self.results.get(cid).await?.invocation;
        let completion = invocation.completion;
        if completion.is_none_or(|completion| completion.token != token.hash()) {
            return Err(token_void());
        }
        let route = self.routes.find(invocation.request.service.as_str())?;
        let outcome = self.to_stored(&route, outcome, &invocation)?;
        if !invocation.waits_for_completion() {
            return repeated(&invocation, &outcome).map(Some);
        }
        route.tally.completed(cid, &outcome);
        let trigger = Trigger::AttemptEnded(AttemptResult::Outcome(outcome));
        let rules = self.committer.rules(&route, &invocation);
        let change = transition(&invocation, RUNNING, trigger, &rules)?;
        let state = change.state;
        let taken = self
            .committer
            .commit_change(&route, &invocation, change, Source::Unclaimed)
            .await;
        route.scheduler.wake();
        Ok(taken.then_some(state))
    }

    fn to_stored(
        &self,
        route: &Route,
        outcome: &Outcome,
        invocation: &Invocation,
    ) -> Result<Outcome> {
        let max_bytes = self.limits.message_bytes;
        let request = &invocation.request;
        match self.check_outcome(route, outcome.clone())? {
            Ok(reply) => stored_reply(&route.definition, reply, request, max_bytes).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Checks an outcome against the declaration of the service and the limits. A violation is reported to the caller
    /// that gives it.
    fn check_outcome(&self, route: &Route, outcome: Outcome) -> Result<Outcome> {
        let Ok(reply) = outcome else {
            return Ok(outcome);
        };
        let reply = route.definition.check_output(reply).map_err(|error| {
            let violations = error.field_violations().iter().cloned();
            violations.fold(
                Error::invalid_argument(reason::OUTPUT_INVALID, OUTCOME_INVALID),
                Error::with_violation,
            )
        })?;
        self.limits.check_parts(&reply)?;
        Ok(Ok(reply))
    }
}

/// The answer to an outcome of an invocation that no longer waits: its state, where the outcome is the same.
fn repeated(invocation: &Invocation, given: &Outcome) -> Result<State> {
    let failure = invocation.last_failure.clone().map(Err);
    let recorded = invocation.outcome().or(failure);
    if recorded.is_some_and(|recorded| is_same(&recorded, given)) {
        return Ok(invocation.state);
    }
    let cid = invocation.request.cid;
    let message = format!("{cid} already has another outcome");
    Err(Error::failed_precondition(reason::ENDED, message))
}

fn is_same(recorded: &Outcome, given: &Outcome) -> bool {
    match (recorded, given) {
        (Ok(recorded), Ok(given)) => {
            let decode = |reply: &Reply| payload::decode(reply.payload.clone()).ok();
            decode(recorded) == decode(given)
        }
        (Err(recorded), Err(given)) => {
            (recorded.kind(), recorded.reason()) == (given.kind(), given.reason())
        }
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

/// `FAILED_PRECONDITION` / `DISPATCH_VOID`.
fn token_void() -> Error {
    let message = "the token is not, or no longer, the completion token of this invocation";
    Error::failed_precondition(reason::DISPATCH_VOID, message)
}
