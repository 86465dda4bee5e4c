//! The builder methods of an error (`with_*`): reason, message, violations, retry hints, details, source.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use std::{error, fmt};

use super::{Detail, Error, Violation, summary};
use crate::model::cid::Cid;

impl Error {
    /// Adds a violation.
    #[must_use]
    pub fn with_violation(mut self, violation: Violation) -> Self {
        self.0.violations.push(violation);
        self
    }

    /// Replaces each violation and builds the message from them again.
    #[must_use]
    pub fn map_violations(mut self, map: impl FnMut(Violation) -> Violation) -> Self {
        self.0.violations = self.0.violations.into_iter().map(map).collect();
        self.0.message = summary(&self.0.violations);
        self
    }

    /// Replaces the reason, in a layer that knows the failure better.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.0.reason = reason.into();
        self
    }

    /// Replaces the message, in a layer that knows the context.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// Overrides whether a retry may help, which the kind decides otherwise.
    #[must_use]
    pub fn with_retryable(mut self, retryable: impl Into<Option<bool>>) -> Self {
        self.0.retryable = retryable.into();
        self
    }

    /// Sets the earliest delay after which a retry may help. Implies that it may.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_delay = Some(delay);
        self
    }

    /// Sets the CID of the invocation that failed. The outermost invocation wins, since a handler may return the
    /// failure of a nested call.
    #[must_use]
    pub fn with_cid(mut self, cid: Cid) -> Self {
        self.0.cid = Some(cid);
        self
    }

    /// Adds an entry to the `google.rpc.ErrorInfo` metadata, for programs: for example the name of a limit and its
    /// value.
    #[must_use]
    pub fn with_info(
        mut self,
        key: impl Into<Cow<'static, str>>,
        value: impl fmt::Display,
    ) -> Self {
        self.0.info.push((key.into(), value.to_string()));
        self
    }

    /// Adds a protobuf message, which is forwarded unchanged.
    #[must_use]
    pub fn with_detail(mut self, detail: Detail) -> Self {
        self.0.details.push(detail);
        self
    }

    /// Removes the place in the source, which is that of a conversion and tells nothing.
    #[must_use]
    pub(crate) fn without_location(mut self) -> Self {
        self.0.location = None;
        self
    }

    /// Sets the cause, which is logged and never sent.
    #[must_use]
    pub fn with_source(mut self, source: impl error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }
}
