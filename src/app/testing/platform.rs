//! The platform of a handler that runs without one: the test answers, and reads what was asked.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::codec::payload;
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::{Accepted, Call};
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Outcome, Progress};
use crate::model::payload::{Payload, Reply};
use crate::model::sio::Ignored;
use crate::model::token::Token;
use crate::model::value::Value;
use crate::service::{BoxFuture, KnownService, Platform};

type Answer = Box<dyn Fn(Value) -> Result<Value> + Send + Sync>;

/// What a handler asked of the platform.
#[derive(Clone, Debug)]
pub enum Asked {
    /// It invoked a service and waited.
    Invoked(Call),
    /// It had a service run in the background.
    Accepted(Call),
    /// It had many services run in the background at once; what they came to is what the test answers for them.
    Batch(Batch),
    /// It emitted an item.
    Item(Value),
    /// It showed a sign of life.
    Progress(Progress),
}

/// Answers for services, and remembers.
#[derive(Default)]
pub(super) struct TestPlatform {
    answers: HashMap<String, Answer>,
    asked: Mutex<Vec<Asked>>,
    later: OnceLock<Token>,
    groups: Mutex<HashMap<Cid, Outcomes>>,
}

/// What the members of a group came to.
type Outcomes = Vec<(Cid, Outcome)>;

impl fmt::Debug for TestPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.answers.keys().collect();
        f.debug_struct("TestPlatform")
            .field("answers", &names)
            .finish_non_exhaustive()
    }
}

impl TestPlatform {
    pub(super) fn answer(&mut self, service: &str, answer: Answer) {
        self.answers.insert(service.to_owned(), answer);
    }

    /// What was asked, in order.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.log().clone()
    }

    fn log(&self) -> MutexGuard<'_, Vec<Asked>> {
        // Every change is one push.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, asked: Asked) {
        self.log().push(asked);
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<Cid, Outcomes>> {
        // Every change is one insertion.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, call: Call) -> Result<Reply> {
        let outcome = self.outcome(&call);
        self.note(Asked::Invoked(call));
        outcome
    }

    fn outcome(&self, call: &Call) -> Result<Reply> {
        let answer = self.answers.get(&*call.service).ok_or_else(|| {
            let name = &call.service;
            let message =
                format!("the test does not answer for `{name}`: add `.answer(\"{name}\", ..)`");
            Error::not_found(reason::SERVICE_UNKNOWN, message)
        })?;
        Ok(Payload::Value(answer(payload::decode(call.input.clone())?)?).into())
    }
}

impl Platform for TestPlatform {
    fn invoke(&self, call: Call) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(std::future::ready(self.reply(call)))
    }

    fn invoke_async(&self, call: Call) -> BoxFuture<'_, Result<Accepted>> {
        let cid = call.cid.unwrap_or_else(Cid::new);
        self.note(Asked::Accepted(call));
        Box::pin(std::future::ready(Ok(Accepted {
            cid,
            already_accepted: false,
            ignored: Ignored::default(),
        })))
    }

    fn invoke_batch(&self, batch: Batch) -> BoxFuture<'_, Result<AcceptedGroup>> {
        let members = batch.calls.iter();
        let accepted = AcceptedGroup {
            cid: batch.cid.unwrap_or_else(Cid::new),
            members: members
                .map(|call| call.cid.unwrap_or_else(Cid::new))
                .collect(),
            already_accepted: false,
            ignored: Ignored::default(),
        };
        let outcomes = batch.calls.iter().map(|call| self.outcome(call));
        let outcomes = accepted.members.iter().copied().zip(outcomes).collect();
        self.groups().insert(accepted.cid, outcomes);
        self.note(Asked::Batch(batch));
        Box::pin(std::future::ready(Ok(accepted)))
    }

    fn wait_for(&self, _: Cid, _: Duration) -> BoxFuture<'_, Result<bool>> {
        Box::pin(std::future::ready(Ok(true)))
    }

    fn outcomes<'a>(
        &'a self,
        group: &'a AcceptedGroup,
    ) -> BoxFuture<'a, Result<Vec<(Cid, Outcome)>>> {
        let outcomes = self.groups().get(&group.cid).cloned();
        Box::pin(std::future::ready(Ok(outcomes.unwrap_or_default())))
    }

    fn progress(&self, progress: Progress) {
        self.note(Asked::Progress(progress));
    }

    fn emit(&self, item: Payload) -> BoxFuture<'_, Result<()>> {
        let emitted = payload::decode(item).map(|item| self.note(Asked::Item(item)));
        Box::pin(std::future::ready(emitted))
    }

    fn later(&self) -> Result<Token> {
        Ok(Token::new())
    }

    fn answer_later(&self, token: Token) -> Result<()> {
        let _ = self.later.set(token);
        Ok(())
    }

    fn answers_later(&self) -> Option<Token> {
        self.later.get().copied()
    }

    fn services(&self) -> BoxFuture<'_, Result<Vec<KnownService>>> {
        let known = self.answers.keys().filter_map(|name| {
            Some(KnownService {
                name: ServiceName::parse(name).ok()?,
                description: String::new(),
            })
        });
        let mut known: Vec<_> = known.collect();
        known.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
        Box::pin(std::future::ready(Ok(known)))
    }
}

/// Shared with the context that the handler gets.
pub(super) type Shared = Arc<TestPlatform>;
