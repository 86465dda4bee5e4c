//! A span: what was done for a call, from when to when. It ends, and is exported, when it is dropped.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::clock::Clock;
use crate::model::error::{Error, Kind, Result};
use crate::model::id::{Cid, ServiceName, truncated};
use crate::model::trace::TraceContext;

/// The longest text of an attribute, in bytes. A longer one is cut.
const MAX_TEXT_BYTES: usize = 256;

/// Takes spans that have ended.
pub trait SpanExporter: Send + Sync + 'static {
    /// Takes a span. It never blocks: what there is no room for is dropped.
    fn export(&self, span: SpanData);

    /// How many spans were dropped so far. Default: 0, where it is not known.
    fn dropped(&self) -> u64 {
        0
    }
}

/// What a span is to its parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpanKind {
    /// Work within the node.
    #[default]
    Internal,
    /// The answer to a request.
    Server,
    /// A request to another process.
    Client,
    /// Work is handed on, to be done later.
    Producer,
    /// Work that was handed on is done.
    Consumer,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// A text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

/// A failure, without its message, which may quote what a caller sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanFailure {
    /// The reason.
    pub reason: String,
    /// When it failed.
    pub time: Timestamp,
    /// Whether the span has failed, and not only its caller.
    pub is_error: bool,
}

/// A span that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanData {
    /// Its trace and its own ID.
    pub context: TraceContext,
    /// What tracing systems add to the context.
    pub tracestate: String,
    /// Its parent. `None` where the trace begins with it.
    pub parent: Option<u64>,
    /// Whether its parent is a span of another process.
    pub parent_is_remote: bool,
    /// What it is to its parent.
    pub kind: SpanKind,
    /// What was done.
    pub name: String,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What is known of it.
    pub attributes: Vec<(&'static str, AttributeValue)>,
    /// The span that handed the work on.
    pub link: Option<TraceContext>,
    /// How it failed, if it did.
    pub failure: Option<SpanFailure>,
}

/// What spans are made with.
pub(super) struct Recorder {
    pub(super) exporter: Arc<dyn SpanExporter>,
    pub(super) clock: Clock,
}

/// A span that has not ended. Dropped, it ends.
pub struct Span(Box<Open>);

struct Open {
    recorder: Arc<Recorder>,
    data: SpanData,
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Span").field(&self.0.data).finish()
    }
}

impl Span {
    pub(super) fn start(
        recorder: &Arc<Recorder>,
        trace_id: u128,
        parent: Option<u64>,
        kind: SpanKind,
        name: String,
    ) -> Self {
        let data = SpanData {
            context: TraceContext {
                trace_id,
                span_id: fastrand::u64(1..),
                sampled: true,
            },
            parent,
            kind,
            name,
            start: recorder.clock.now(),
            ..SpanData::default()
        };
        Self(Box::new(Open {
            recorder: Arc::clone(recorder),
            data,
        }))
    }

    /// The context of what it causes.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        self.0.data.context
    }

    /// Adds what is known of it. Texts are cut at 256 bytes.
    pub fn set(&mut self, key: &'static str, value: AttributeValue) {
        let value = match value {
            AttributeValue::Text(text) if text.len() > MAX_TEXT_BYTES => {
                let end = text.floor_char_boundary(MAX_TEXT_BYTES);
                AttributeValue::Text(text.get(..end).unwrap_or_default().to_owned().into())
            }
            value => value,
        };
        self.0.data.attributes.push((key, value));
    }

    /// As [`set`](Self::set), of a text.
    pub fn set_text(&mut self, key: &'static str, text: impl Into<Cow<'static, str>>) {
        self.set(key, AttributeValue::Text(text.into()));
    }

    /// Adds which invocation it is about. A group has no service.
    pub(in crate::engine) fn set_invocation(&mut self, cid: Cid, service: &ServiceName) {
        self.set_text("cidery.cid", cid.to_string());
        if !service.is_none() {
            self.set_text("cidery.service", service.as_str().to_owned());
        }
    }

    /// As [`set`](Self::set), of a number.
    pub fn set_number(&mut self, key: &'static str, number: i64) {
        self.set(key, AttributeValue::Number(number));
    }

    /// What tracing systems have added to the context of its parent.
    pub fn set_tracestate(&mut self, tracestate: &str) {
        tracestate.clone_into(&mut self.0.data.tracestate);
    }

    /// Its parent is a span of another process.
    pub(super) fn set_remote_parent(&mut self) {
        self.0.data.parent_is_remote = self.0.data.parent.is_some();
    }

    /// Its parent handed the work on.
    pub(super) fn link_parent(&mut self) {
        let SpanData {
            context, parent, ..
        } = self.0.data;
        self.0.data.link = parent.map(|span_id| TraceContext { span_id, ..context });
    }

    /// It began at an earlier time.
    pub(super) fn set_start(&mut self, start: Timestamp) {
        self.0.data.start = start.min(self.0.data.start);
    }

    /// The name of a span of a service: `attempt customer.get`.
    pub(super) fn name_of(what: &str, service: &str) -> String {
        format!("{what} {service}")
    }

    /// It fails. The first failure counts. The answer to a request fails for what its caller did not cause.
    pub fn fail(&mut self, error: &Error) {
        let Open { recorder, data } = &mut *self.0;
        let is_error = match data.kind {
            SpanKind::Server => is_of_server(error.kind()),
            SpanKind::Internal | SpanKind::Client | SpanKind::Producer | SpanKind::Consumer => true,
        };
        if data.failure.is_some() {
            return;
        }
        let reason = truncated(error.reason());
        data.failure = Some(SpanFailure {
            reason: reason.clone(),
            time: recorder.clock.now(),
            is_error,
        });
        self.set_text("cidery.reason", reason.clone());
        if is_error {
            self.set_text("error.type", reason);
        }
    }

    /// Ends it with a result, whose failure is its own.
    pub fn end<T>(mut self, result: &Result<T>) {
        if let Err(error) = result {
            self.fail(error);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut data = std::mem::take(&mut self.data);
        data.end = self.recorder.clock.now().max(data.start);
        self.recorder.exporter.export(data);
    }
}

/// Whether a failure is one of the server, and not of what its caller asked for, by the conventions of OpenTelemetry.
fn is_of_server(kind: Kind) -> bool {
    match kind {
        Kind::Unknown
        | Kind::DeadlineExceeded
        | Kind::Unimplemented
        | Kind::Internal
        | Kind::Unavailable
        | Kind::DataLoss => true,
        Kind::Cancelled
        | Kind::InvalidArgument
        | Kind::NotFound
        | Kind::AlreadyExists
        | Kind::OutOfRange
        | Kind::PermissionDenied
        | Kind::ResourceExhausted
        | Kind::FailedPrecondition
        | Kind::Aborted
        | Kind::Unauthenticated => false,
    }
}
