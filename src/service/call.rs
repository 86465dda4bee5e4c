//! Calls of other services: `ctx.invoke("crm.lookup", dict! { "id": 1 }).timeout(..).await`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::RetryPolicy;
use crate::model::metadata::Metadata;
use crate::model::payload::{Format, Payload};
use crate::model::sio::Ignored;
use crate::service::context::Context;
use crate::service::platform::BoxFuture;
use crate::service::response::Response;

/// What a caller asks for, whoever the caller is.
#[derive(Clone, Debug)]
pub struct Call {
    /// The name of the service.
    pub service: Cow<'static, str>,
    /// What it gets.
    pub input: Payload,
    /// The CID the caller brings. Default: the platform makes one.
    pub cid: Option<Cid>,
    /// How long to wait, or how long one attempt may last. Default: the service's, then the node's.
    pub timeout: Option<Duration>,
    /// What is sent along. `None`: for a nested call what its caller got, otherwise nothing.
    pub metadata: Option<Arc<Metadata>>,
    /// The format the response is wanted in. Default: that of the input.
    pub response_format: Option<Format>,
    /// What is asked of it beyond that. `None`: nothing; a caller that waits is answered without anything stored.
    pub durable: Option<Box<DurableOptions>>,
}

/// When a call in the background is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// This long after it was accepted.
    After(Duration),
    /// At this instant.
    At(Timestamp),
}

/// What happens to a synchronous invocation when its caller's deadline passes, or its caller goes away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDeadline {
    /// It is cancelled.
    #[default]
    Cancel,
    /// It was stored before it was dispatched, and goes on as an asynchronous one.
    Continue,
}

/// What a caller asks of an invocation that is stored, beyond its input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DurableOptions {
    /// When it is due. Default: at once.
    pub start: Option<Start>,
    /// How long after its acceptance it gives up unless it has started. Default: never.
    pub expiration: Option<Duration>,
    /// When it must have ended, retries included. Default: never.
    pub deadline: Option<Timestamp>,
    /// How failed attempts are repeated. Default: the service's policy.
    pub retry_policy: Option<RetryPolicy>,
    /// Whether it is held, rather than failed, when no attempt is left. Default: no.
    pub hold: bool,
    /// Services that are invoked with the response.
    pub callbacks: Vec<String>,
    /// Services that are invoked with the failure, once it failed, was cancelled or expired.
    pub failure_callbacks: Vec<String>,
    /// How long the outcome is kept. Default: the service's.
    pub retention: Option<Duration>,
    /// Makes acceptance safe to repeat: at most 255 bytes.
    pub idempotency_key: Option<String>,
    /// At most one invocation with this key runs for the service, in order of due time: at most 255 bytes.
    pub concurrency_key: Option<String>,
    /// The invocation that it repeats.
    pub retry_of: Option<Cid>,
    /// Whether it is accepted together with the response of the handler that asks for it.
    pub with_outcome: bool,
    /// Of a caller that waits: what happens when its deadline passes.
    pub on_deadline: OnDeadline,
    /// Whether it is never attempted again by the platform: what it does must not be done twice.
    pub at_most_once: bool,
}

impl Call {
    /// Makes a call with nothing but a name and an input.
    pub fn new(service: impl Into<Cow<'static, str>>, input: impl Into<Payload>) -> Self {
        Self {
            service: service.into(),
            input: input.into(),
            cid: None,
            timeout: None,
            metadata: None,
            response_format: None,
            durable: None,
        }
    }

    /// Whether it is stored though its caller waits for it: it has an idempotency key, or outlives its caller.
    pub(crate) fn is_stored(&self) -> bool {
        let asked = self.durable.as_deref();
        asked.is_some_and(|asked| *asked != DurableOptions::default())
    }

    /// What is asked of it in the background.
    pub fn durable(&mut self) -> &mut DurableOptions {
        self.durable.get_or_insert_default()
    }
}

/// The platform's promise to run an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Names the invocation: the first one, where it had been accepted before.
    pub cid: Cid,
    /// Whether it had been accepted before.
    pub already_accepted: bool,
    /// The keys of the input that are not declared and are dropped.
    pub ignored: Ignored,
}

/// A synchronous call under construction. Await it.
#[derive(Debug)]
#[must_use = "nothing is invoked before this is awaited"]
pub struct InvokeCall<'a> {
    pub(super) context: &'a Context,
    pub(super) call: Call,
}

/// An asynchronous call under construction. Await it.
#[derive(Debug)]
#[must_use = "nothing is invoked before this is awaited"]
pub struct InvokeAsyncCall<'a> {
    pub(super) context: &'a Context,
    pub(super) call: Call,
}

macro_rules! options {
    ($builder:ident) => {
        impl $builder<'_> {
            /// Adds a key to the metadata of the call; what this handler got itself is no longer handed on.
            pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
                let metadata = self.call.metadata.get_or_insert_default();
                Arc::make_mut(metadata).insert(key, value);
                self
            }

            /// Asks for the response in a format.
            pub fn response_format(mut self, format: Format) -> Self {
                self.call.response_format = Some(format);
                self
            }

            /// Says how to read an input that is text or bytes. An input that is a dict stays one.
            pub fn data_format(mut self, format: Format) -> Self {
                self.call.input = as_document(self.call.input, format);
                self
            }
        }
    };
}

options!(InvokeCall);
options!(InvokeAsyncCall);

impl InvokeCall<'_> {
    /// Waits at most this long. A nested call never outlives its caller's deadline.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = Some(timeout);
        self
    }
}

impl InvokeAsyncCall<'_> {
    /// How long one attempt may last since its last sign of life. Default: the service's, then 15 min.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = Some(timeout);
        self
    }

    /// Brings the CID instead of having one made.
    pub fn cid(mut self, cid: Cid) -> Self {
        self.call.cid = Some(cid);
        self
    }

    /// Starts it this long after it was accepted.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.call.durable().start = Some(Start::After(delay));
        self
    }

    /// Starts it at an instant.
    pub fn start_time(mut self, time: Timestamp) -> Self {
        self.call.durable().start = Some(Start::At(time));
        self
    }

    /// Gives up if it has not started this long after it was accepted.
    pub fn expiration(mut self, expiration: Duration) -> Self {
        self.call.durable().expiration = Some(expiration);
        self
    }

    /// It must have ended at this instant, retries included.
    pub fn deadline(mut self, deadline: Timestamp) -> Self {
        self.call.durable().deadline = Some(deadline);
        self
    }

    /// How failed attempts are repeated. Default: the service's policy.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.call.durable().retry_policy = Some(policy);
        self
    }

    /// Holds it, rather than failing it, when no attempt is left.
    pub fn hold(mut self) -> Self {
        self.call.durable().hold = true;
        self
    }

    /// Invokes a service with the response. Can be said several times.
    pub fn callback(mut self, service: impl Into<String>) -> Self {
        self.call.durable().callbacks.push(service.into());
        self
    }

    /// Invokes a service with the failure, once it failed, was cancelled or expired. Can be said several times.
    pub fn failure_callback(mut self, service: impl Into<String>) -> Self {
        self.call.durable().failure_callbacks.push(service.into());
        self
    }

    /// How long the outcome is kept. Default: the service's.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.call.durable().retention = Some(retention);
        self
    }

    /// Makes acceptance safe to repeat: the first invocation with this key is answered again.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.call.durable().idempotency_key = Some(key.into());
        self
    }

    /// Runs alone among those of the service that have this key, in order of due time.
    pub fn concurrency_key(mut self, key: impl Into<String>) -> Self {
        self.call.durable().concurrency_key = Some(key.into());
        self
    }

    /// Accepts it in the transaction that records this handler's response, and not at all where it does not succeed. In
    /// a call that is not stored it is accepted at once.
    pub fn with_outcome(mut self) -> Self {
        self.call.durable().with_outcome = true;
        self
    }

    /// Has this child accepted once, however often the calling handler is attempted: `label` tells it from others.
    pub fn once(mut self, label: &str) -> Self {
        self.call.durable().idempotency_key = Some(once_key(self.context, label));
        self
    }
}

/// The key of what is accepted once, however often a handler is attempted: by its CID, where in that it is, and a
/// label.
pub(super) fn once_key(context: &Context, label: &str) -> String {
    let facts = context.facts();
    match context.platform().path() {
        None => format!("once/{}/{}/{label}", facts.cid, facts.service),
        // A path may be longer than a key.
        Some(path) => {
            let digest = Sha256::digest(path);
            let half = digest.iter().take(16);
            let hex: String = half.map(|byte| format!("{byte:02x}")).collect();
            format!("once/{}/{hex}/{label}", facts.cid)
        }
    }
}

fn as_document(input: Payload, format: Format) -> Payload {
    use crate::model::value::Value;
    match input {
        Payload::Value(Value::Text(text)) => Payload::Document(text.into(), format),
        Payload::Value(Value::Bytes(bytes)) => Payload::Document(bytes, format),
        other => other,
    }
}

impl<'a> IntoFuture for InvokeCall<'a> {
    type Output = Result<Response>;
    type IntoFuture = BoxFuture<'a, Result<Response>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { context, call } = self;
        Box::pin(async move {
            let reply = context.platform().invoke(call).await?;
            Response::new(context.cid(), reply)
        })
    }
}

impl<'a> IntoFuture for InvokeAsyncCall<'a> {
    type Output = Result<Cid>;
    type IntoFuture = BoxFuture<'a, Result<Cid>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { context, call } = self;
        Box::pin(async move { Ok(context.platform().invoke_async(call).await?.cid) })
    }
}
