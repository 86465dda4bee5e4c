//! A mock platform for handlers under test: returns mock responses, and records the calls of the handler.

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
use crate::service::{BoxFuture, HandlerScope, KnownService, Platform};

type MockService = Box<dyn Fn(Value) -> Result<Value> + Send + Sync>;

/// A call of the platform by a handler.
#[derive(Clone, Debug)]
pub enum PlatformCall {
    /// A synchronous invocation.
    Invoke(Call),
    /// An asynchronous invocation.
    InvokeAsync(Call),
    /// A batch of asynchronous invocations. Their outcomes are the mock responses.
    InvokeBatch(Batch),
    /// An emitted item.
    Item(Value),
    /// Reported progress.
    Progress(Progress),
}

/// Mock services by name.
#[derive(Default)]
pub(super) struct Mocks(HashMap<String, MockService>);

/// A platform with mock services that records all calls.
#[derive(Debug)]
pub(super) struct TestPlatform {
    mocks: Mocks,
    scope: HandlerScope,
    calls: Mutex<Vec<PlatformCall>>,
    completion_token: OnceLock<Token>,
    groups: Mutex<HashMap<Cid, Outcomes>>,
}

/// The outcomes of the members of a group.
type Outcomes = Vec<(Cid, Outcome)>;

impl fmt::Debug for Mocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Mocks {
    pub(super) fn answer(&mut self, service: &str, mock: MockService) {
        self.0.insert(service.to_owned(), mock);
    }
}

impl TestPlatform {
    pub(super) fn new(mocks: Mocks, scope: HandlerScope) -> Self {
        Self {
            mocks,
            scope,
            calls: Mutex::default(),
            completion_token: OnceLock::new(),
            groups: Mutex::default(),
        }
    }

    /// The recorded calls, in order.
    pub(super) fn calls(&self) -> Vec<PlatformCall> {
        self.log().clone()
    }

    fn log(&self) -> MutexGuard<'_, Vec<PlatformCall>> {
        // Every change is one push.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, call: PlatformCall) {
        self.log().push(call);
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<Cid, Outcomes>> {
        // Every change is one insertion.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, call: Call) -> Result<Reply> {
        let outcome = self.outcome(&call);
        self.record(PlatformCall::Invoke(call));
        outcome
    }

    fn outcome(&self, call: &Call) -> Result<Reply> {
        let answer = self.mocks.0.get(&*call.service).ok_or_else(|| {
            let name = &call.service;
            let message =
                format!("there is no mock response for `{name}`: add `.answer(\"{name}\", ..)`");
            Error::not_found(reason::SERVICE_UNKNOWN, message)
        })?;
        Ok(Payload::Value(answer(payload::decode(call.input.clone())?)?).into())
    }
}

impl Platform for TestPlatform {
    fn scope(&self) -> &HandlerScope {
        &self.scope
    }

    fn invoke(&self, call: Call) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(std::future::ready(self.reply(call)))
    }

    fn invoke_async(&self, call: Call) -> BoxFuture<'_, Result<Accepted>> {
        let cid = call.cid.unwrap_or_else(Cid::new);
        self.record(PlatformCall::InvokeAsync(call));
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
        self.record(PlatformCall::InvokeBatch(batch));
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

    fn progress(&self, progress: Progress) -> Result<()> {
        self.record(PlatformCall::Progress(progress));
        Ok(())
    }

    fn emit(&self, item: Payload) -> BoxFuture<'_, Result<()>> {
        let emitted = payload::decode(item).map(|item| self.record(PlatformCall::Item(item)));
        Box::pin(std::future::ready(emitted))
    }

    fn later(&self) -> Result<Token> {
        Ok(Token::new())
    }

    fn answer_later(&self, token: Token) -> Result<()> {
        let _ = self.completion_token.set(token);
        Ok(())
    }

    fn answers_later(&self) -> Option<Token> {
        self.completion_token.get().copied()
    }

    fn services(&self) -> BoxFuture<'_, Result<Vec<KnownService>>> {
        let known = self.mocks.0.keys().filter_map(|name| {
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

/// Shared between the test and the context of the handler.
pub(super) type Shared = Arc<TestPlatform>;
