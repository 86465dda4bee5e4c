//! Traces: spans of what the node does for the calls whose trace is recorded, handed to an exporter.
//!
//! The trace context of a call is in its metadata, where it reaches handlers, stored invocations and workers. Whoever
//! makes a span replaces it by that of the span, so that what follows has the span as its parent. Whether a trace is
//! recorded is decided once, where it begins: a call whose metadata has no recorded trace makes no span.

mod attempt;
mod commit;
mod messaging;
mod sampler;
mod span;
mod tracer;

pub(in crate::engine) use self::attempt::{AttemptTrace, Ended};
pub(in crate::engine) use self::commit::commit;
pub(in crate::engine) use self::messaging::{publish, publish_each, publish_group, queued};
pub use self::span::{AttributeValue, Span, SpanData, SpanExporter, SpanFailure, SpanKind};
pub use self::tracer::Tracer;
