//! One service as the engine serves it: its declaration, the options in force, its concurrency limit, its scheduler and
//! its gate.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::admission::concurrency::ConcurrencyLimit;
use crate::engine::admission::quota::RateLimit;
use crate::engine::admission::worker_pool::Location;
use crate::engine::control::gate::Gate;
use crate::engine::limits::Limits;
use crate::engine::routing::wakeup::SchedulerHandle;
use crate::engine::tally::Tally;
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::model::invocation::{OnExhausted, Request, RetryPolicy, State};
use crate::model::rate::Rate;
use crate::model::service_limit::ServiceLimit;
use crate::model::service_options::ServiceOptions;
use crate::service::Definition;

/// A service, and what the engine keeps for it.
#[derive(Debug)]
pub(in crate::engine) struct Route {
    pub(in crate::engine) definition: Arc<Definition>,
    pub(in crate::engine) options: EffectiveOptions,
    pub(in crate::engine) limit: Arc<ConcurrencyLimit>,
    pub(in crate::engine) scheduler: Arc<SchedulerHandle>,
    pub(in crate::engine) gate: Arc<Gate>,
    /// Limits the calls, where the service has a rate.
    pub(in crate::engine) rate: Option<Arc<RateLimit>>,
    /// What failed of its calls and attempts.
    pub(in crate::engine) tally: Arc<Tally>,
    /// When the service was first served by this node.
    pub(in crate::engine) since: Timestamp,
}

/// The options in force: the service's own, and the node's where the service has none.
#[derive(Clone, Debug)]
pub(in crate::engine) struct EffectiveOptions {
    pub(in crate::engine) timeout: Duration,
    pub(in crate::engine) attempt_timeout: Duration,
    pub(in crate::engine) retry_policy: RetryPolicy,
    pub(in crate::engine) on_exhausted: OnExhausted,
    pub(in crate::engine) retention: Duration,
    pub(in crate::engine) failure_retention: Duration,
    pub(in crate::engine) pending_limit: usize,
    pub(in crate::engine) concurrency: usize,
    pub(in crate::engine) queue_length: usize,
    pub(in crate::engine) rate: Option<Rate>,
}

impl EffectiveOptions {
    pub(in crate::engine) fn new(definition: &Definition, limits: &Limits) -> Self {
        let mut options = Self::of_service(definition.service_options(), limits);
        let name = definition.name().as_str();
        let of_operator = limits.service_limits.iter();
        of_operator
            .filter(|limit| limit.pattern.matches(name))
            .for_each(|limit| options.reduce_to(limit));
        options
    }

    /// Keeps the smaller of each option and of the limit.
    fn reduce_to(&mut self, limit: &ServiceLimit) {
        let smaller = |own: &mut usize, limit: Option<usize>| {
            *own = limit.map_or(*own, |limit| limit.min(*own));
        };
        smaller(&mut self.concurrency, limit.concurrency);
        smaller(&mut self.queue_length, limit.queue_length);
        smaller(&mut self.pending_limit, limit.pending);
        self.rate = match (self.rate, limit.rate) {
            (Some(own), Some(limit)) => Some(own.smaller(limit)),
            (own, limit) => own.or(limit),
        };
    }

    fn of_service(options: &ServiceOptions, limits: &Limits) -> Self {
        Self {
            timeout: options.timeout.unwrap_or(limits.timeout),
            attempt_timeout: options.attempt_timeout.unwrap_or(limits.attempt_timeout),
            retry_policy: match &options.retry_policy {
                Some(own) => own.clone(),
                None => limits.retry_policy(),
            },
            on_exhausted: options.on_exhausted.unwrap_or_default(),
            retention: options.retention.unwrap_or(limits.retention),
            failure_retention: options
                .failure_retention
                .unwrap_or(limits.failure_retention),
            pending_limit: options.pending_limit.unwrap_or(limits.pending),
            concurrency: options.concurrency.unwrap_or(limits.concurrency),
            queue_length: options.queue_length.unwrap_or(limits.queue_length),
            rate: options.rate,
        }
    }

    /// The options as callers see them, with `own` for those that the engine does not need.
    pub(in crate::engine) fn to_service_options(&self, own: &ServiceOptions) -> ServiceOptions {
        ServiceOptions {
            timeout: Some(self.timeout),
            attempt_timeout: Some(self.attempt_timeout),
            retry_policy: Some(self.retry_policy.clone()),
            on_exhausted: Some(self.on_exhausted),
            concurrency: Some(self.concurrency),
            queue_length: Some(self.queue_length),
            retention: Some(self.retention),
            failure_retention: Some(self.failure_retention),
            pending_limit: Some(self.pending_limit),
            rate: self.rate,
            ..own.clone()
        }
    }
}

impl Route {
    pub(in crate::engine) fn name(&self) -> &ServiceName {
        self.definition.name()
    }

    /// Counts calls against the rate of the service, if it has one.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `RATE_LIMIT`.
    #[inline]
    pub(in crate::engine) fn check_rate(&self, calls: usize) -> Result<()> {
        match &self.rate {
            None => Ok(()),
            Some(limit) => limit.check_service(self.name(), calls),
        }
    }

    /// How long an attempt of a request may run without progress.
    pub(in crate::engine) fn attempt_timeout(&self, request: &Request) -> Duration {
        let own = request.attempt_timeout;
        own.unwrap_or(self.options.attempt_timeout)
    }

    /// How long an invocation that ends in a state is kept, unless its terms say otherwise.
    pub(in crate::engine) fn retention(&self, state: State) -> Duration {
        match state {
            State::Succeeded => self.options.retention,
            _ => self.options.failure_retention,
        }
    }

    /// Whether this node or a worker serves the service now.
    pub(in crate::engine) fn is_served(&self) -> bool {
        self.limit.pool().is_none_or(|pool| pool.is_served())
    }

    /// Whether synchronous calls are taken: it is served, and neither paused nor disabled.
    pub(in crate::engine) fn takes_calls(&self) -> bool {
        self.is_served() && self.gate.takes_calls()
    }

    /// Whether workers may serve the service in place of this route.
    pub(in crate::engine) fn is_replaceable(&self) -> bool {
        self.limit.pool().is_some() || self.definition.is_demo()
    }

    /// Where the service is served.
    pub(in crate::engine) fn locations(&self) -> Vec<Location> {
        match self.limit.pool() {
            Some(pool) => pool.locations(),
            None => vec![Location {
                worker_id: String::new(),
                worker_name: String::new(),
                build_id: String::new(),
                definition: Arc::clone(&self.definition),
                running: self.limit.running(),
                since: self.since,
                away: false,
            }],
        }
    }
}
