//! The options of a service: timeouts, retries, limits, retention.

use std::time::Duration;

use crate::model::invocation::{OnExhausted, RetryPolicy};
use crate::model::rate::Rate;

/// The options of a service. `None` is the node's default. The option of a call takes precedence over both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceOptions {
    /// The description, in a sentence.
    pub description: String,
    /// Whether it is idempotent: it may run twice for one call, so the node retries a synchronous call whose worker was
    /// lost. Default: no.
    pub idempotent: bool,
    /// The timeout of a synchronous call. Default: 30 s.
    pub timeout: Option<Duration>,
    /// The timeout of an attempt of an asynchronous invocation since its last progress report. Default: 15 min.
    pub attempt_timeout: Option<Duration>,
    /// The retry policy of failed attempts. Default: that of the node.
    pub retry_policy: Option<RetryPolicy>,
    /// What becomes of an asynchronous invocation when no attempt is left. Default: [`OnExhausted::Fail`].
    pub on_exhausted: Option<OnExhausted>,
    /// The concurrency limit: how many handlers run at once, at least 1. Default: 256.
    pub concurrency: Option<usize>,
    /// How many synchronous calls wait for a handler; further ones fail with `QUEUE_FULL`. Default: 1 024.
    pub queue_length: Option<usize>,
    /// How long an invocation is kept after it succeeded. Default: 24 h.
    pub retention: Option<Duration>,
    /// How long an invocation is kept after it ended otherwise. Default: 14 days.
    pub failure_retention: Option<Duration>,
    /// How many asynchronous invocations may be pending; further ones are refused with `PENDING_LIMIT`. Default:
    /// 1 000 000.
    pub pending_limit: Option<usize>,
    /// How many calls are taken, synchronous and asynchronous: a second, and at once. Further ones are refused with
    /// `RATE_LIMIT`. Default: any number.
    pub rate: Option<Rate>,
}
