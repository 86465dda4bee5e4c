//! The builder methods of a definition: its options, its declaration, its hooks.

use std::sync::Arc;
use std::time::Duration;

use super::Definition;
use crate::model::invocation::{OnExhausted, RetryPolicy};
use crate::model::rate::Rate;
use crate::model::service_options::ServiceOptions;
use crate::model::sio::Sio;
use crate::service::hooks::Hooks;

impl Definition {
    /// Marks it as a demo service, which a worker's service of the same name replaces.
    #[must_use]
    pub(crate) fn demo(mut self) -> Self {
        self.demo = true;
        self
    }

    /// Replaces all options.
    #[must_use]
    pub fn options(mut self, options: ServiceOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets the description, in a sentence, for `cidery services`, `cidery describe` and the comments of exported
    /// protos. Default: none. A doc comment of the handler is not in the program, so that it cannot be the description.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.options.description = description.into();
        self
    }

    /// Marks it as idempotent: it may run twice for one call, so the node retries a synchronous call whose worker was
    /// lost. Default: not idempotent.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.options.idempotent = true;
        self
    }

    /// Sets the timeout of a synchronous call. Default: 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Sets the timeout of an attempt of an asynchronous invocation since its last progress report. Default: 15 min.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.options.attempt_timeout = Some(timeout);
        self
    }

    /// Sets the retry policy of failed attempts. Default: that of the node.
    #[must_use]
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.options.retry_policy = Some(policy);
        self
    }

    /// Sets what becomes of an asynchronous invocation when no attempt is left: with [`OnExhausted::Hold`] it is kept
    /// in the dead-letter queue until an operator retries or cancels it. Default: [`OnExhausted::Fail`].
    #[must_use]
    pub fn on_exhausted(mut self, on_exhausted: OnExhausted) -> Self {
        self.options.on_exhausted = Some(on_exhausted);
        self
    }

    /// Sets the concurrency limit: how many handlers run at once, at least 1. Default: 256.
    #[must_use]
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.options.concurrency = Some(handlers);
        self
    }

    /// Sets how many synchronous calls wait for a handler; further ones fail with `QUEUE_FULL`. Default: 1 024.
    #[must_use]
    pub fn queue_length(mut self, calls: usize) -> Self {
        self.options.queue_length = Some(calls);
        self
    }

    /// Sets how many calls are taken, synchronous and asynchronous, nested ones included: a second, and at once.
    /// Further ones fail with `RATE_LIMIT`. Callbacks are not counted. Default: any number.
    #[must_use]
    pub fn rate(mut self, rate: Rate) -> Self {
        self.options.rate = Some(rate);
        self
    }

    /// Sets how long an invocation is kept after it succeeded. Default: 24 h.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.options.retention = Some(retention);
        self
    }

    /// Declares its input and output by elements. What `sio` does not declare, the types of the handler declare.
    #[must_use]
    pub fn sio(mut self, mut sio: Sio) -> Self {
        let of_types = Arc::unwrap_or_clone(self.sio);
        sio.input = sio.input.or(of_types.input);
        sio.output = sio.output.or(of_types.output);
        sio.response_elem = sio.response_elem.or(of_types.response_elem);
        self.sio = Arc::new(sio);
        self
    }

    /// Wraps every response in a dict with this key: `{"customer": ..}`. Default: not wrapped.
    #[must_use]
    pub fn response_elem(mut self, key: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.sio).response_elem = Some(key.into());
        self
    }

    /// Adds hooks, which run inside of those of the node or worker. The first ones added are the outermost.
    #[must_use]
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks.push(Arc::new(hooks));
        self
    }
}
