//! The span of the log lines about one call.

use tracing::Span;
use tracing::field::{Empty, display};

use crate::model::id::Cid;
use crate::model::metadata::Metadata;

/// The span of the lines about a call, with the trace context that its metadata has.
pub(in crate::engine) fn call_span(cid: Cid, service: &str, metadata: &Metadata) -> Span {
    // There are spans of all levels that are logged: whose call an error is about is said with every filter.
    let span = tracing::error_span!(
        "invocation",
        %cid,
        service.name = service,
        trace_id = Empty,
        span_id = Empty,
    );
    if !span.is_disabled()
        && let Some(context) = metadata.trace()
    {
        span.record("trace_id", display(context.trace()));
        span.record("span_id", display(context.span()));
    }
    span
}
