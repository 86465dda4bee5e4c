//! What can be added to an error: the `with_*` methods.

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

    /// Says its violations otherwise; the message follows them.
    #[must_use]
    pub fn map_violations(mut self, map: impl FnMut(Violation) -> Violation) -> Self {
        self.0.violations = self.0.violations.into_iter().map(map).collect();
        self.0.message = summary(&self.0.violations);
        self
    }

    /// Replaces the reason: a layer that knows better what went wrong says so.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.0.reason = reason.into();
        self
    }

    /// Replaces the message: a layer that knows where it happened says so.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// Says whether a repeat may help, whatever the kind says.
    #[must_use]
    pub fn with_retryable(mut self, retryable: impl Into<Option<bool>>) -> Self {
        self.0.retryable = retryable.into();
        self
    }

    /// Says when a repeat may help, at the earliest. Implies that it may.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_delay = Some(delay);
        self
    }

    /// Names the invocation that failed. The outermost one is said last: a handler may hand on another's failure.
    #[must_use]
    pub fn with_cid(mut self, cid: Cid) -> Self {
        self.0.cid = Some(cid);
        self
    }

    /// Adds a key and its value to the `google.rpc.ErrorInfo` metadata, for programs: for example the name of a limit and its value.
    #[must_use]
    pub fn with_info(
        mut self,
        key: impl Into<Cow<'static, str>>,
        value: impl fmt::Display,
    ) -> Self {
        self.0.info.push((key.into(), value.to_string()));
        self
    }

    /// Adds a protobuf message that is handed on as it is.
    #[must_use]
    pub fn with_detail(mut self, detail: Detail) -> Self {
        self.0.details.push(detail);
        self
    }

    /// Keeps the cause for the log. It is never sent.
    #[must_use]
    pub fn with_source(mut self, source: impl error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }
}
