//! Runs a handler without a node, with its hooks, and with validation of input and output.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::platform::{Mocks, PlatformCall, Shared, TestPlatform};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::into_payload::IntoPayload;
use crate::model::invocation::{InReplyTo, Progress};
use crate::model::metadata::Metadata;
use crate::model::payload::Reply;
use crate::model::value::Value;
use crate::service::{
    CatchUnwind, Context, Definition, Handler, HandlerScope, InvocationInfo, Platform as _,
    Registry, Response, States, run,
};

/// Builds a run of a handler.
#[derive(Debug)]
#[must_use = "the handler runs only when `run` is called"]
pub struct Run {
    definition: Definition,
    /// What the handler calls by types.
    services: Registry,
    mocks: Mocks,
    states: States,
    metadata: Metadata,
    cid: Cid,
    attempt: u32,
    timeout: Option<Duration>,
    cancelled: CancellationToken,
    asynchronous: bool,
    last_progress: Option<Progress>,
    in_reply_to: Option<InReplyTo>,
}

/// The result of a run.
#[derive(Debug)]
pub struct RunResult {
    cid: Cid,
    outcome: Result<Reply>,
    platform: Shared,
}

impl Run {
    /// Creates a run of a handler.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DECLARATION_INVALID` where its types have an invalid declaration.
    pub fn of<Args>(handler: impl Handler<Args>) -> Result<Self> {
        Self::definition(Definition::new("test.handler", handler)?)
    }

    /// Creates a run of the handler of a service, with its declaration and hooks.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DECLARATION_INVALID` where the declaration is invalid.
    pub fn definition(definition: Definition) -> Result<Self> {
        Ok(Self {
            definition: definition.prepared()?,
            services: Registry::new(),
            mocks: Mocks::default(),
            states: States::default(),
            metadata: Metadata::new(),
            cid: Cid::new(),
            attempt: 1,
            timeout: None,
            cancelled: CancellationToken::new(),
            asynchronous: true,
            last_progress: None,
            in_reply_to: None,
        })
    }

    /// Adds a mock response for a service that the handler invokes. A synchronous invocation without one fails with
    /// `SERVICE_UNKNOWN`; asynchronous invocations need none.
    pub fn answer(
        mut self,
        service: &str,
        answer: impl Fn(Value) -> Result<Value> + Send + Sync + 'static,
    ) -> Self {
        self.mocks.answer(service, Box::new(answer));
        self
    }

    /// Adds a service that the handler calls by its handler function: a name, for which [`answer`](Self::answer) adds
    /// the mock response, and the function, which does not run.
    ///
    /// # Errors
    ///
    /// As for [`Registry::service`].
    pub fn service<Args>(mut self, name: &str, handler: impl Handler<Args>) -> Result<Self> {
        self.services.service(name, handler)?;
        Ok(self)
    }

    /// Adds declared services, as [`service`](Self::service) does.
    ///
    /// # Errors
    ///
    /// As for [`Registry::register`].
    pub fn register(mut self, services: impl Into<Vec<Definition>>) -> Result<Self> {
        self.services.register(services)?;
        Ok(self)
    }

    /// Adds a value that the handler extracts as `State<T>`.
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// Adds an entry to the metadata.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key, value);
        self
    }

    /// Sets the CID. Default: a generated one.
    pub fn cid(mut self, cid: Cid) -> Self {
        self.cid = cid;
        self
    }

    /// Sets the number of the attempt. Default: 1.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sets the timeout. Default: none.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the last progress of the previous attempt.
    pub fn last_progress(mut self, progress: Progress) -> Self {
        self.last_progress = Some(progress);
        self
    }

    /// Runs the handler as a callback.
    pub fn in_reply_to(mut self, reply: InReplyTo) -> Self {
        self.in_reply_to = Some(reply);
        self
    }

    /// Runs the handler as a synchronous invocation. Default: asynchronous.
    pub fn synchronous(mut self) -> Self {
        self.asynchronous = false;
        self
    }

    /// Cancels the handler when this token fires.
    pub fn cancelled_by(mut self, token: CancellationToken) -> Self {
        self.cancelled = token;
        self
    }

    /// Runs the handler.
    pub async fn run(mut self, input: impl IntoPayload) -> RunResult {
        let handler_names = Arc::new(self.services.handler_names());
        self.states.set_handler_names(handler_names);
        let states = Arc::new(self.states);
        let cid = self.cid;
        let info = InvocationInfo {
            cid,
            service: self.definition.name().clone(),
            attempt: self.attempt,
            deadline: self
                .timeout
                .and_then(|timeout| Instant::now().checked_add(timeout)),
            metadata: Arc::new(self.metadata),
            parent: None,
            root: cid,
            asynchronous: self.asynchronous,
            last_progress: self.last_progress,
            in_reply_to: self.in_reply_to,
            principals: None,
            caller: None,
        };
        let scope = HandlerScope {
            info,
            cancelled: self.cancelled,
            states: Arc::clone(&states),
        };
        let platform: Shared = Arc::new(TestPlatform::new(self.mocks, scope));
        let outcome = async {
            self.definition.check_states(&states, "test")?;
            let input = self.definition.admit(input.into_payload()?)?.input;
            let context = Context::new(Arc::clone(&platform) as _);
            let (handler, _) = run(&Arc::new(self.definition), &[], None, context, input);
            CatchUnwind(handler).await
        };
        let outcome = outcome.await;
        RunResult {
            cid,
            outcome,
            platform,
        }
    }
}

impl RunResult {
    /// The response.
    ///
    /// # Errors
    ///
    /// The failure of the handler, or of the validation of its input or output.
    pub fn response(&self) -> Result<Response> {
        Response::new(self.cid, self.outcome.clone()?)
    }

    /// Whether the handler deferred its outcome to an async completion ("later").
    #[must_use]
    pub fn answers_later(&self) -> bool {
        self.platform.answers_later().is_some()
    }

    /// The calls of the platform that the handler made, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<PlatformCall> {
        self.platform.calls()
    }

    /// The items that the handler emitted.
    #[must_use]
    pub fn items(&self) -> Vec<Value> {
        let items = self.calls().into_iter().filter_map(|call| match call {
            PlatformCall::Item(item) => Some(item),
            PlatformCall::Invoke(_)
            | PlatformCall::InvokeAsync(_)
            | PlatformCall::InvokeBatch(_)
            | PlatformCall::Progress(_) => None,
        });
        items.collect()
    }
}
