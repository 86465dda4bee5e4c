//! What all handlers of a node share: state, hooks, limits, and the components that their contexts reach.

use std::sync::Arc;

use crate::codec::payload;
use crate::engine::acceptance::accept::Acceptor;
use crate::engine::acceptance::accept_batch::BatchAcceptor;
use crate::engine::clock::Clock;
use crate::engine::execution::pending_completions::PendingCompletions;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::limits::Limits;
use crate::engine::results::hub::Hub;
use crate::engine::results::lookup::Results;
use crate::engine::routing::{Route, Routes};
use crate::engine::timer::Timer;
use crate::engine::trace::Tracer;
use crate::model::error::Result;
use crate::model::payload::Payload;
use crate::service::{Admitted, ErasedHooks, States};

/// What all handlers of a node share.
#[derive(Debug)]
pub(in crate::engine) struct HandlerRuntime {
    /// Whether callers from outside, workers among them, must prove who they are.
    pub(in crate::engine) requires_authentication: bool,
    pub(in crate::engine) states: Arc<States>,
    /// Hooks around every service, the outermost first.
    pub(in crate::engine) hooks: Vec<Arc<dyn ErasedHooks>>,
    pub(in crate::engine) limits: Arc<Limits>,
    pub(in crate::engine) clock: Clock,
    pub(in crate::engine) timer: Timer,
    pub(in crate::engine) lifecycle: Arc<Lifecycle>,
    pub(in crate::engine) routes: Arc<Routes>,
    pub(in crate::engine) hub: Arc<Hub>,
    pub(in crate::engine) results: Arc<Results>,
    pub(in crate::engine) acceptor: Arc<Acceptor>,
    pub(in crate::engine) batches: Arc<BatchAcceptor>,
    pub(in crate::engine) completions: Arc<PendingCompletions>,
    pub(in crate::engine) tracer: Tracer,
}

impl HandlerRuntime {
    /// Checks an input against the declaration of a route, once, where the input enters.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` with all violations.
    pub(in crate::engine) fn admit(&self, route: &Route, input: Payload) -> Result<Admitted> {
        // The node's hooks see the input before a handler that would decode it.
        if !self.hooks.is_empty() && route.definition.declaration().input.is_none() {
            payload::scan(&input)?;
        }
        route.definition.admit(input)
    }

    /// As [`admit`](Self::admit), within the limits of values: for an input that enters now. What is stored was checked
    /// when it was accepted.
    ///
    /// # Errors
    ///
    /// As for [`admit`](Self::admit).
    pub(in crate::engine) fn admit_new(&self, route: &Route, input: Payload) -> Result<Admitted> {
        let admitted = self.admit(route, input)?;
        self.limits.check_payload(&admitted.input)?;
        Ok(admitted)
    }
}
