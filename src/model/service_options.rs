//! The options of a service: timeouts, retries, limits, retention.

use std::time::Duration;

use crate::model::invocation::RetryPolicy;

/// The options of a service. The node's default replaces `None`; the option of a call beats both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceOptions {
    /// The description, in a sentence.
    pub description: String,
    /// Whether it is idempotent, so that it may run twice for one call. Default: no.
    pub idempotent: bool,
    /// The timeout of a synchronous call. Default: 30 s.
    pub timeout: Option<Duration>,
    /// The timeout of an attempt of an asynchronous invocation since its last progress report. Default: 15 min.
    pub attempt_timeout: Option<Duration>,
    /// The retry policy of failed attempts. Default: [`RetryPolicy::default`].
    pub retry_policy: Option<RetryPolicy>,
    /// The concurrency limit: how many handlers run at once, at least 1. Default: 256.
    pub concurrency: Option<usize>,
    /// The length of the queue of synchronous calls. Default: 1 024.
    pub queue_length: Option<usize>,
    /// The retention of outcomes. Default: 24 h.
    pub retention: Option<Duration>,
    /// The retention of failures. Default: 14 days.
    pub failure_retention: Option<Duration>,
    /// The limit of pending invocations. Default: 1 000 000.
    pub pending_limit: Option<usize>,
}
