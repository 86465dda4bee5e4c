//! What a service asks of the nodes that serve it.

use std::time::Duration;

use crate::model::invocation::RetryPolicy;

/// The options of a service. What is `None` is left to the node; a call's own value beats both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceOptions {
    /// What it does, in a sentence.
    pub description: String,
    /// Whether it may run twice for one call. Default: no.
    pub idempotent: bool,
    /// How long a synchronous call may last. Default: 30 s.
    pub timeout: Option<Duration>,
    /// How long an attempt of an asynchronous invocation may last since its last sign of life. Default: 15 min.
    pub attempt_timeout: Option<Duration>,
    /// How failed attempts are repeated. Default: [`RetryPolicy::default`].
    pub retry_policy: Option<RetryPolicy>,
    /// How many handlers run at once, at least 1. Default: 256.
    pub concurrency: Option<usize>,
    /// How many synchronous calls wait for a handler. Default: 1 024.
    pub queue_length: Option<usize>,
    /// How long outcomes are kept. Default: 24 h.
    pub retention: Option<Duration>,
    /// How long failures are kept. Default: 14 days.
    pub failure_retention: Option<Duration>,
    /// How many invocations may be pending. Default: 1 000 000.
    pub pending_limit: Option<usize>,
}
