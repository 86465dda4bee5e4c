//! Outcomes from outside: handlers that answered "later", and `CompleteInvocation`.
//!
//! What is stored waits in the store, as pending and not due before the attempt's time is over, with a hash of its
//! token. Calls that nobody stores wait here, in memory, as long as their callers do.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::codec::payload;
use crate::engine::Invoker;
use crate::engine::durable::commit::Whose;
use crate::engine::durable::run::{Ended, timed_out};
use crate::engine::durable::transition::decide;
use crate::engine::routing::Route;
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Invocation, State};
use crate::model::payload::Reply;
use crate::model::token::Token;

/// How many synchronous calls wait for outcomes from outside at once, in the whole node.
const WAITING: usize = 10_000;
/// How long an outcome waits for its handler to answer "later": it may have given its token away before.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often is looked for that.
const PAUSE: Duration = Duration::from_millis(2);

/// What whoever gives an outcome has to mend.
const OUTCOME_INVALID: &str = "the outcome does not fit what the service declares";

/// What runs.
const RUNNING: State = State::Running {
    cancel_requested: false,
};

/// Tokens of synchronous calls.
#[derive(Debug, Default)]
pub(in crate::engine) struct Laters(Mutex<HashMap<Token, Entry, RandomState>>);

#[derive(Debug)]
struct Entry {
    cid: Cid,
    service: ServiceName,
    /// Where the outcome goes. `None`: the handler has not answered yet.
    answer: Option<oneshot::Sender<Result<Reply>>>,
}

impl Laters {
    fn entries(&self) -> MutexGuard<'_, HashMap<Token, Entry, RandomState>> {
        // Entries are inserted and removed whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Knows a token from now on that a handler gives away.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `LATER_LIMIT`.
    pub(in crate::engine) fn offer(
        &self,
        token: Token,
        cid: Cid,
        service: &ServiceName,
    ) -> Result<()> {
        let mut entries = self.entries();
        if entries.len() >= WAITING {
            let message = format!("{WAITING} calls wait for outcomes from outside already");
            return Err(
                Error::resource_exhausted(reason::LATER_LIMIT, message).with_info("calls", WAITING)
            );
        }
        entries.insert(
            token,
            Entry {
                cid,
                service: service.clone(),
                answer: None,
            },
        );
        Ok(())
    }

    /// How many outcomes are awaited, by service.
    pub(in crate::engine) fn awaited(&self) -> HashMap<ServiceName, usize, RandomState> {
        let mut awaited = HashMap::default();
        let entries = self.entries();
        for entry in entries.values().filter(|entry| entry.answer.is_some()) {
            *awaited.entry(entry.service.clone()).or_default() += 1;
        }
        awaited
    }

    /// Forgets a token, unless its outcome is awaited.
    pub(in crate::engine) fn withdraw(&self, token: Token) {
        let mut entries = self.entries();
        if entries
            .get(&token)
            .is_some_and(|entry| entry.answer.is_none())
        {
            entries.remove(&token);
        }
    }

    /// Waits for the outcome that comes with a token.
    pub(in crate::engine) fn wait(self: &Arc<Self>, token: Token) -> Awaited {
        let (answer, outcome) = oneshot::channel();
        if let Some(entry) = self.entries().get_mut(&token) {
            entry.answer = Some(answer);
        }
        Awaited {
            laters: Arc::clone(self),
            token,
            outcome,
        }
    }

    /// The service whose outcome a token gives, and whether it is awaited yet. `None` where there is no such call.
    fn find(&self, cid: Cid, token: Token) -> Option<(ServiceName, bool)> {
        let entries = self.entries();
        let entry = entries.get(&token).filter(|entry| entry.cid == cid)?;
        Some((entry.service.clone(), entry.answer.is_some()))
    }

    /// Gives an outcome; answers whether somebody still waited for it.
    fn give(&self, token: Token, outcome: Result<Reply>) -> bool {
        let answer = self.entries().remove(&token).and_then(|entry| entry.answer);
        answer.is_some_and(|answer| answer.send(outcome).is_ok())
    }
}

/// The outcome of a synchronous call that comes later. Dropped, it is not wanted any more.
#[derive(Debug)]
pub(in crate::engine) struct Awaited {
    laters: Arc<Laters>,
    token: Token,
    outcome: oneshot::Receiver<Result<Reply>>,
}

impl Future for Awaited {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.outcome).poll(cx));
        Poll::Ready(outcome.unwrap_or_else(|_| {
            let message = "nobody can give the outcome any more";
            Err(Error::cancelled(reason::CANCELLED, message))
        }))
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.laters.entries().remove(&self.token);
    }
}

impl Invoker {
    /// Gives the outcome of an invocation whose handler answered "later"; answers its state then. The same outcome can
    /// be given again.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `DISPATCH_VOID` where the token is not, or no longer, one of this invocation's; `ENDED`
    /// where that ended otherwise; `INVALID_ARGUMENT` / `OUTPUT_INVALID` where the response does not fit the service,
    /// which goes on waiting; `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`.
    pub async fn complete(&self, cid: Cid, token: &str, outcome: Result<Reply>) -> Result<State> {
        let token = Token::parse(token).ok_or_else(void)?;
        let complete = self.clone().complete_whole(cid, token, outcome);
        self.0.tasks.run_to_completion("complete", complete).await
    }

    async fn complete_whole(self, cid: Cid, token: Token, outcome: Result<Reply>) -> Result<State> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let found = self.0.laters.find(cid, token);
            if let Some((service, true)) = &found {
                let route = self.0.routes.find(service.as_str())?;
                let outcome = checked(&route, outcome.clone())?;
                let state = match outcome.is_ok() {
                    true => State::Succeeded,
                    false => State::Failed,
                };
                if self.0.laters.give(token, outcome) {
                    return Ok(state);
                }
            } else if found.is_none()
                && self.0.hub.live(cid).is_none()
                && let Some(state) = self.complete_stored(cid, token, &outcome).await?
            {
                return Ok(state);
            }
            tokio::time::sleep(PAUSE).await;
        }
        let message = format!("the handler of {cid} has not answered yet: give the outcome again");
        Err(Error::unavailable(reason::STILL_RUNNING, message).with_retry_after(PATIENCE))
    }

    /// `None` where somebody else ends it right now.
    async fn complete_stored(
        &self,
        cid: Cid,
        token: Token,
        outcome: &Result<Reply>,
    ) -> Result<Option<State>> {
        let invocation = self.look(cid).await?.invocation;
        let later = invocation.completion;
        if later.is_none_or(|later| later.token != token.hash()) {
            return Err(void());
        }
        if !invocation.waits_for_completion() {
            return self.given_before(&invocation, outcome).map(Some);
        }
        let service = invocation.request.service.as_str();
        let route = self.0.routes.find(service)?;
        let outcome = match checked(&route, outcome.clone())? {
            Ok(reply) => Ok(self.storable_reply(&route, reply, &invocation)?),
            Err(error) => Err(error),
        };
        let now = self.0.clock.now();
        let ended = Ended::With(outcome);
        let losses = self.0.limits.max_crashes;
        let decision = decide(&route, &invocation, RUNNING, ended, now, losses);
        let state = decision.state;
        let taken = self.settle_idle(&route, &invocation, decision, Whose::Nobodys);
        let taken = taken.await;
        self.wake(&route);
        Ok(taken.then_some(state))
    }

    /// What is answered to an outcome that is given again.
    fn given_before(&self, invocation: &Invocation, given: &Result<Reply>) -> Result<State> {
        let service = invocation.request.service.as_str();
        let route = self.0.routes.find(service)?;
        let given = match checked(&route, given.clone())? {
            Ok(reply) => self.storable_reply(&route, reply, invocation),
            Err(error) => Err(error),
        };
        let failed = invocation.last_failure.clone().map(Err);
        let there = invocation.outcome().or(failed);
        if there.is_some_and(|there| is_same(&there, &given)) {
            return Ok(invocation.state);
        }
        let cid = invocation.request.cid;
        let message = format!("{cid} does not wait for an outcome any more, and has another one");
        Err(Error::failed_precondition(reason::ENDED, message))
    }

    /// Ends an attempt whose outcome did not come in time: as any other that was too slow.
    pub(in crate::engine) async fn give_up_awaiting(
        &self,
        route: &Route,
        invocation: &Invocation,
        whose: Whose,
    ) -> bool {
        let timeout = route.attempt_timeout(&invocation.request);
        let ended = Ended::With(Err(timed_out(route, timeout)));
        let (now, losses) = (self.0.clock.now(), self.0.limits.max_crashes);
        let decision = decide(route, invocation, RUNNING, ended, now, losses);
        self.settle_idle(route, invocation, decision, whose).await
    }
}

/// An outcome that fits the service. One that does not is its giver's to mend.
fn checked(route: &Route, outcome: Result<Reply>) -> Result<Result<Reply>> {
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
    reply.metadata.check()?;
    Ok(Ok(reply))
}

/// Whether what was given is what there is.
fn is_same(there: &Result<Reply>, given: &Result<Reply>) -> bool {
    match (there, given) {
        (Ok(there), Ok(given)) => {
            let read = |reply: &Reply| payload::decode(reply.payload.clone()).ok();
            read(there) == read(given)
        }
        (Err(there), Err(given)) => {
            (there.kind(), there.reason()) == (given.kind(), given.reason())
        }
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

fn void() -> Error {
    let message = "the token is not, or no longer, one that gives the outcome of this invocation";
    Error::failed_precondition(reason::DISPATCH_VOID, message)
}
