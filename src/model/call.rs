//! A call of a service as plain data: what a caller asks for, and the platform's acknowledgement of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::id::Cid;
use crate::model::invocation::RetryPolicy;
use crate::model::metadata::Metadata;
use crate::model::payload::{Format, Payload};
use crate::model::sio::Ignored;

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
    /// Whether a synchronous call is recorded before it is dispatched: it has an idempotency key, or `on_deadline` is
    /// `CONTINUE`. Set where a request is converted; a client leaves it `false`.
    pub is_durable: bool,
    /// Options of a call that is recorded. `None`: none is given.
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
            is_durable: false,
            durable: None,
        }
    }

    /// Its options as a recorded call, to be changed.
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
