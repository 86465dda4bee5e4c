//! The trace context of calls to a node: that of their metadata, or the one that the program names.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::Request;

use crate::model::metadata::{Metadata, TRACEPARENT, TRACESTATE};

const TRACEPARENT_HEADER: HeaderName = HeaderName::from_static(TRACEPARENT);

/// Names the span of the program that makes a call, as a `traceparent`.
#[derive(Clone)]
pub(in crate::remote) struct CurrentTrace(Arc<dyn Fn() -> Option<String> + Send + Sync>);

impl fmt::Debug for CurrentTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentTrace")
    }
}

impl CurrentTrace {
    pub(in crate::remote) fn new(
        current: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(current))
    }

    /// Adds it to a call that has none.
    pub(in crate::remote) fn add_to(&self, headers: &mut HeaderMap) {
        if headers.contains_key(TRACEPARENT_HEADER) {
            return;
        }
        // A text that is no header is no `traceparent` either.
        if let Some(Ok(current)) = (self.0)().map(HeaderValue::try_from) {
            headers.insert(TRACEPARENT_HEADER, current);
        }
    }
}

/// Adds the trace context of the metadata of a call, if it has one. The node looks at headers first.
pub(in crate::remote) fn add_trace<T>(request: &mut Request<T>, metadata: &Metadata) {
    for key in [TRACEPARENT, TRACESTATE] {
        let Some(value) = metadata.get(key) else {
            return;
        };
        if let Ok(value) = value.parse() {
            request.metadata_mut().insert(key, value);
        }
    }
}
