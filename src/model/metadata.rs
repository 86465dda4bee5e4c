//! Metadata of calls and responses: a small ordered list of keys and texts.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::error::{Error, Result, reason};
use crate::model::trace::TraceContext;

/// Metadata: keys and texts that a caller adds to a call, or a handler to a response. Keys keep their case and order;
/// all together have at most 8 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(Vec<(String, String)>);

/// The key of the W3C trace context.
pub const TRACEPARENT: &str = "traceparent";

/// The key of what tracing systems add to the trace context. It means nothing without [`TRACEPARENT`].
pub const TRACESTATE: &str = "tracestate";

/// The longest `tracestate` that is passed on, in bytes: as long as W3C asks for.
pub(crate) const MAX_TRACESTATE_BYTES: usize = 512;

impl Metadata {
    /// The limit of all keys and values together, in bytes.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// Creates empty metadata.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets a key, and replaces its value where there is one.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((key, value)),
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys and values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The trace context, if there is a valid one.
    #[must_use]
    pub(crate) fn trace(&self) -> Option<TraceContext> {
        TraceContext::parse(self.get(TRACEPARENT)?)
    }

    /// The metadata of the trace context alone.
    pub(crate) fn trace_only(&self) -> Self {
        let mut trace = Self::new();
        trace.copy_trace_of(self);
        trace
    }

    /// Takes the trace context of other metadata over, if that has one.
    fn copy_trace_of(&mut self, other: &Self) {
        let Some(traceparent) = other.get(TRACEPARENT) else {
            return;
        };
        self.insert(TRACEPARENT, traceparent);
        if let Some(tracestate) = other.get(TRACESTATE) {
            self.insert(TRACESTATE, tracestate);
        }
    }

    /// This metadata, with the trace context of the caller unless it has one of its own.
    ///
    /// # Errors
    ///
    /// As for [`check`](Self::check).
    pub(crate) fn with_trace_of(mut self: Arc<Self>, caller: &Self) -> Result<Arc<Self>> {
        self.check()?;
        if caller.get(TRACEPARENT).is_some() && self.get(TRACEPARENT).is_none() {
            Arc::make_mut(&mut self).copy_trace_of(caller);
        }
        Ok(self)
    }

    /// Checks the size.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `METADATA_TOO_LARGE` above [`Self::MAX_BYTES`].
    pub fn check(&self) -> Result<()> {
        self.check_within(Self::MAX_BYTES)
    }

    /// Checks the size against a limit.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `METADATA_TOO_LARGE`.
    pub(crate) fn check_within(&self, limit: usize) -> Result<()> {
        let sizes = self.iter().map(|(key, value)| key.len() + value.len());
        let bytes: usize = sizes.sum();
        if bytes <= limit {
            return Ok(());
        }
        let message = format!("the metadata has {bytes} bytes; the limit is {limit}");
        let error = Error::invalid_argument(reason::METADATA_TOO_LARGE, message);
        Err(error.with_info("metadata_bytes", limit))
    }
}

/// The keys of a map are unique, so that none is searched for.
impl From<HashMap<String, String>> for Metadata {
    fn from(map: HashMap<String, String>) -> Self {
        Self(map.into_iter().collect())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut metadata = Self::new();
        for (key, value) in pairs {
            metadata.insert(key, value);
        }
        metadata
    }
}
