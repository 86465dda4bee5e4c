//! The executor: starts handlers, for synchronous calls and for attempts of durable invocations.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::engine::admission::cid_reservations::CidReservations;
use crate::engine::admission::concurrency::Permits;
use crate::engine::admission::permits::HeldPermits;
use crate::engine::execution::attempt::Attempt;
use crate::engine::execution::call_chain::CallChain;
use crate::engine::execution::dispatch::{Dispatch, NestedInvoker};
use crate::engine::execution::runtime::HandlerRuntime;
use crate::engine::results::live::Live;
use crate::engine::routing::Route;
use crate::engine::store::Store;
use crate::engine::trace::AttemptTrace;
use crate::model::metadata::Metadata;
use crate::model::payload::Payload;
use crate::service::{Definition, InvocationInfo};

/// Starts handlers.
#[derive(Debug)]
pub(in crate::engine) struct Executor {
    pub(super) runtime: HandlerRuntime,
    pub(super) store: Arc<dyn Store>,
    pub(super) reservations: CidReservations,
    /// The metadata of all calls that have none.
    pub(super) no_metadata: Arc<Metadata>,
}

/// A call on its way to a handler. Boxed, to keep the futures small that pass it on.
pub(in crate::engine) struct SyncRequest {
    pub(in crate::engine) info: InvocationInfo,
    pub(in crate::engine) callers: Option<Arc<CallChain>>,
    pub(in crate::engine) input: Payload,
}

/// What a handler runs in: the calls that wait for it, what cancels it, and where its events go.
#[derive(Default)]
pub(in crate::engine) struct Scope {
    /// Fires when the handler is asked to stop.
    pub(in crate::engine) cancel: CancellationToken,
    pub(in crate::engine) callers: Option<Arc<CallChain>>,
    pub(in crate::engine) live: Option<Arc<Live>>,
}

impl Executor {
    pub(in crate::engine) fn new(
        runtime: HandlerRuntime,
        store: Arc<dyn Store>,
        reservations: CidReservations,
    ) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            store,
            reservations,
            no_metadata: Arc::default(),
        })
    }

    pub(in crate::engine) fn runtime(&self) -> &HandlerRuntime {
        &self.runtime
    }

    /// This executor, as the dispatches that it makes reach it.
    pub(in crate::engine) fn as_invoker(self: &Arc<Self>) -> Arc<dyn NestedInvoker> {
        Arc::clone(self) as Arc<dyn NestedInvoker>
    }
}

/// Starts a handler. It runs while the attempt is polled.
#[inline]
pub(in crate::engine) fn start(
    invoker: Arc<dyn NestedInvoker>,
    route: &Route,
    definition: &Arc<Definition>,
    permits: Permits,
    mut info: InvocationInfo,
    scope: Scope,
    input: Payload,
) -> (Attempt, Arc<Dispatch>) {
    let Scope {
        cancel,
        callers,
        live,
    } = scope;
    let worker = permits.worker().map(|worker| worker.worker());
    let trace = AttemptTrace::begin(&invoker.runtime().tracer, &mut info, worker);
    let permits = HeldPermits::new(Arc::clone(&route.limit), permits);
    let dispatch = Dispatch::new(invoker, info, permits, cancel, callers, live);
    let attempt = Attempt::new(definition, Arc::clone(&dispatch), input, trace);
    (attempt, dispatch)
}
