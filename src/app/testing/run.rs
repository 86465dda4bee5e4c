//! A handler without any node: its input is checked, its hooks run, its output is checked.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::platform::{Asked, Shared, TestPlatform};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::{InReplyTo, Progress};
use crate::model::metadata::Metadata;
use crate::model::payload::{Payload, Reply};
use crate::model::value::Value;
use crate::service::{
    CatchUnwind, Context, Definition, Handler, InvocationInfo, Platform as _, Response, States, run,
};

/// A run of a handler, under construction.
#[derive(Debug)]
#[must_use = "nothing runs before `run` is called"]
pub struct Run {
    definition: Definition,
    platform: TestPlatform,
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

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    cid: Cid,
    outcome: Result<Reply>,
    platform: Shared,
}

impl Run {
    /// Runs a handler.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DECLARATION_INVALID` where its types declare what is wrong in itself.
    pub fn of<Args>(handler: impl Handler<Args>) -> Result<Self> {
        Self::define(Definition::new("test.handler", handler)?)
    }

    /// Runs the handler of a service, with its declaration and its hooks.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DECLARATION_INVALID` where the declaration is wrong in itself.
    pub fn define(definition: Definition) -> Result<Self> {
        Ok(Self {
            definition: definition.prepared()?,
            platform: TestPlatform::default(),
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

    /// Answers for a service that the handler invokes. Where there is no answer it is told that there is no such
    /// service; what is to run in the background needs none.
    pub fn answer(
        mut self,
        service: &str,
        answer: impl Fn(Value) -> Result<Value> + Send + Sync + 'static,
    ) -> Self {
        self.platform.answer(service, Box::new(answer));
        self
    }

    /// Adds something that the handler gets as `State<T>`.
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// Adds a key to the metadata.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key, value);
        self
    }

    /// The CID. Default: one is made.
    pub fn cid(mut self, cid: Cid) -> Self {
        self.cid = cid;
        self
    }

    /// The number of the attempt. Default: 1.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// How long the handler has. Default: there is no deadline.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The last progress of the attempt before.
    pub fn last_progress(mut self, progress: Progress) -> Self {
        self.last_progress = Some(progress);
        self
    }

    /// Runs it as a callback.
    pub fn in_reply_to(mut self, reply: InReplyTo) -> Self {
        self.in_reply_to = Some(reply);
        self
    }

    /// Runs it as part of a synchronous call. Default: in the background.
    pub fn synchronous(mut self) -> Self {
        self.asynchronous = false;
        self
    }

    /// Asks the handler to stop when this token fires.
    pub fn cancelled_by(mut self, token: CancellationToken) -> Self {
        self.cancelled = token;
        self
    }

    /// Runs it.
    pub async fn run(self, input: impl Into<Payload>) -> Ran {
        let platform: Shared = Arc::new(self.platform);
        let cid = self.cid;
        let facts = InvocationInfo {
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
        };
        let outcome = async {
            self.definition.check_states(&self.states, "test")?;
            let input = self.definition.admit(input.into())?.input;
            let states = Arc::new(self.states);
            let context = Context::new(facts, self.cancelled, Arc::clone(&platform) as _, states);
            let (handler, _) = run(&Arc::new(self.definition), &[], None, context, input);
            CatchUnwind(handler).await
        };
        let outcome = outcome.await;
        Ran {
            cid,
            outcome,
            platform,
        }
    }
}

impl Ran {
    /// The response.
    ///
    /// # Errors
    ///
    /// How it failed: by itself, or because the input or the output does not fit the declaration.
    pub fn response(&self) -> Result<Response> {
        Response::new(self.cid, self.outcome.clone()?)
    }

    /// Whether it answered "later".
    #[must_use]
    pub fn answers_later(&self) -> bool {
        self.platform.answers_later().is_some()
    }

    /// What it asked of the platform, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.platform.asked()
    }

    /// The items that it emitted.
    #[must_use]
    pub fn items(&self) -> Vec<Value> {
        let items = self.asked().into_iter().filter_map(|asked| match asked {
            Asked::Item(item) => Some(item),
            Asked::Invoked(_) | Asked::Accepted(_) | Asked::Batch(_) | Asked::Progress(_) => None,
        });
        items.collect()
    }
}
