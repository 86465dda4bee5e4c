//! A call of a service as plain data: what a caller asks for, and the platform's acknowledgement of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::error::{Error, reason};
use crate::model::id::Cid;
use crate::model::invocation::{OnExhausted, RetryPolicy};
use crate::model::metadata::Metadata;
use crate::model::payload::{Format, Payload};
use crate::model::sio::Ignored;

/// A call of a service as plain data. The builders that `invoke` and `invoke_async` return make it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The name of the service.
    pub service: Cow<'static, str>,
    /// The input.
    pub input: Payload,
    /// The CID chosen by the caller. Default: the platform generates one.
    pub cid: Option<Cid>,
    /// The timeout of a synchronous call, or of one attempt of an asynchronous one. Default: the service's, then the
    /// node's.
    pub timeout: Option<Duration>,
    /// The metadata. `None`: a nested call inherits that of its caller, any other call has none.
    pub metadata: Option<Arc<Metadata>>,
    /// The format of the response. Default: that of the input.
    pub response_format: Option<Format>,
    /// Options of a stored invocation. `None`: defaults.
    pub durable: Option<Box<DurableOptions>>,
}

/// When an asynchronous invocation is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After this delay, counted from acceptance.
    After(Duration),
    /// At this instant.
    At(Timestamp),
}

/// What happens to a synchronous invocation when its caller's deadline passes or its caller disconnects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDeadline {
    /// It is cancelled.
    #[default]
    Cancel,
    /// It is stored before it is dispatched and continues as an asynchronous invocation.
    Continue,
}

/// Options of an invocation that is stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DurableOptions {
    /// When it is due. Default: immediately.
    pub start: Option<Start>,
    /// How long after its acceptance it expires unless it has started. Default: never.
    pub expiration: Option<Duration>,
    /// When it must have ended, retries included. Default: never.
    pub deadline: Option<Timestamp>,
    /// The retry policy of failed attempts. Default: the service's.
    pub retry_policy: Option<RetryPolicy>,
    /// What becomes of it when no attempt is left. Default: as the service declares.
    pub on_exhausted: Option<OnExhausted>,
    /// Services that are invoked with the response.
    pub callbacks: Vec<String>,
    /// Services that are invoked with the failure, once it failed, was cancelled or expired.
    pub failure_callbacks: Vec<String>,
    /// The retention of the outcome. Default: the service's.
    pub retention: Option<Duration>,
    /// Idempotency key, which makes acceptance safe to retry: at most 255 bytes.
    pub idempotency_key: Option<String>,
    /// At most one invocation with this key runs for the service, in order of due time: at most 255 bytes.
    pub concurrency_key: Option<String>,
    /// The invocation that it retries.
    pub retry_of: Option<Cid>,
    /// Whether it is accepted in the transaction that records the response of the handler that invokes it.
    pub with_outcome: bool,
    /// For a synchronous call: what happens when its deadline passes.
    pub on_deadline: OnDeadline,
    /// Whether the platform attempts it at most once, because its effects must not be repeated.
    pub at_most_once: bool,
}

impl DurableOptions {
    /// How many callbacks, and how many failure callbacks, an invocation may have.
    pub const MAX_CALLBACKS: usize = 16;

    /// The most invocations that are accepted with the outcome of one attempt.
    pub const MAX_FOLLOW_UPS: usize = 1_000;

    /// `RESOURCE_EXHAUSTED` / `PENDING_LIMIT`, of the call that would be one too many.
    #[must_use]
    pub fn too_many_follow_ups() -> Error {
        let message = format!("an attempt has at most {} follow-ups", Self::MAX_FOLLOW_UPS);
        Error::resource_exhausted(reason::PENDING_LIMIT, message)
    }
}

impl Call {
    /// Creates a call with a name, an input and default options.
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

    /// Whether a synchronous call is stored before it is dispatched, so that its outcome outlives its caller: it has an
    /// idempotency key, or [`OnDeadline::Continue`].
    #[must_use]
    pub fn is_durable(&self) -> bool {
        let options = self.durable.as_deref();
        options.is_some_and(|options| {
            options.idempotency_key.is_some() || options.on_deadline == OnDeadline::Continue
        })
    }

    /// Whether the invocation continues when the deadline of its caller passes.
    #[must_use]
    pub fn continues(&self) -> bool {
        let options = self.durable.as_deref();
        options.is_some_and(|options| options.on_deadline == OnDeadline::Continue)
    }

    /// The options of the stored invocation, inserted where there are none.
    pub fn durable(&mut self) -> &mut DurableOptions {
        self.durable.get_or_insert_default()
    }
}

/// The metadata key of a response to a call that repeats an accepted one, with its CID or its idempotency key.
pub const ALREADY_ACCEPTED_KEY: &str = "cidery-already-accepted";

/// The entry of the `google.rpc.ErrorInfo` metadata of the failure of such a call.
pub const ALREADY_ACCEPTED: &str = "already_accepted";

/// The acknowledgement of an invocation: it is stored and will run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The CID of the invocation; of the first one where it had been accepted before.
    pub cid: Cid,
    /// Whether it had been accepted before.
    pub already_accepted: bool,
    /// The keys of the input that are not declared and are dropped.
    pub ignored: Ignored,
}
