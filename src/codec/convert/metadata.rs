//! Metadata of calls and replies, with the trace context.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::error::Result;
use crate::model::metadata::{MAX_TRACESTATE_BYTES, Metadata, TRACEPARENT, TRACESTATE};
use crate::model::trace::is_same_trace;

/// The metadata key of the token of a nested call.
pub const DISPATCH_KEY: &str = "cidery-dispatch";

/// Converts metadata to the contract's form.
#[must_use]
pub fn metadata_to_proto(metadata: &Metadata) -> HashMap<String, String> {
    metadata
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Converts metadata of a message.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `METADATA_TOO_LARGE` above its limit.
pub fn metadata_from_proto(metadata: HashMap<String, String>) -> Result<Metadata> {
    if metadata.is_empty() {
        return Ok(Metadata::new());
    }
    let metadata = Metadata::from(metadata);
    metadata.check()?;
    Ok(metadata)
}

/// The trace context of the transport of a request: its headers `traceparent` and `tracestate`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TraceHeaders<'a> {
    /// Which trace, and which span.
    pub traceparent: Option<&'a str>,
    /// What tracing systems add. It means nothing without the other.
    pub tracestate: Option<&'a str>,
}

/// Converts the metadata of a request: that of the message, and the trace context of the transport where the message
/// has none, or one of the same trace, which is then older. `None` where both are empty.
///
/// # Errors
///
/// As for [`metadata_from_proto`].
pub(super) fn request_metadata(
    message: HashMap<String, String>,
    transport: TraceHeaders<'_>,
) -> Result<Option<Arc<Metadata>>> {
    let mut metadata = metadata_from_proto(message)?;
    let own = metadata.get(TRACEPARENT);
    if let Some(traceparent) = transport.traceparent
        && own.is_none_or(|own| is_same_trace(own, traceparent))
    {
        metadata.insert(TRACEPARENT, traceparent);
        let tracestate = transport.tracestate;
        if let Some(tracestate) = tracestate.filter(|it| it.len() <= MAX_TRACESTATE_BYTES) {
            metadata.insert(TRACESTATE, tracestate);
        }
    }
    Ok((!metadata.is_empty()).then(|| Arc::new(metadata)))
}
