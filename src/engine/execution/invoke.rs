//! Synchronous calls: from outside of the node, and nested in another call.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::codec::sio;
use crate::engine::acceptance::origin::Acting;
use crate::engine::admission::cid_reservations::{CidReservation, cid_in_use};
use crate::engine::admission::quota::InFlight;
use crate::engine::execution::call_chain::CallChain;
use crate::engine::execution::call_meter::CallMeter;
use crate::engine::execution::deadline::{CallLimits, Caller, WithDeadline};
use crate::engine::execution::dispatch::{Dispatch, NestedInvoker};
use crate::engine::execution::executor::{Executor, Scope, SyncRequest, start};
use crate::engine::execution::invoke_durable::{DurableCall, invoke_durable};
use crate::engine::execution::response_format::{ResponseFormat, outcome_with_ignored};
use crate::engine::execution::runtime::HandlerRuntime;
use crate::engine::execution::worker_dispatch::dispatch_to_worker;
use crate::engine::metrics::InvocationKind;
use crate::engine::routing::Route;
use crate::engine::store::Stored;
use crate::engine::trace::{Span, SpanKind, Tracer};
use crate::model::call::{Accepted, Call};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::NestedCall;
use crate::model::payload::{Payload, Reply};
use crate::service::{Admitted, BoxFuture, InvocationInfo, Response, of_nested, refused_by};

/// A checked call from outside.
enum PreparedCall<'a> {
    /// It is stored first.
    Durable(BoxFuture<'a, Result<(Cid, Reply)>>),
    /// It is not stored.
    External(Result<ExternalCall>),
}

struct ExternalCall {
    /// The CID that the caller brought, if it did.
    caller_cid: Option<Cid>,
    route: Arc<Route>,
    begun: Instant,
    timeout: Duration,
    response_format: ResponseFormat,
    request: Box<SyncRequest>,
    /// Keeps the node from stopping.
    _work: TaskTrackerToken,
}

impl Executor {
    /// Invokes a service for a caller from outside, and waits. Returns the reply and the CID of its invocation: that of
    /// the first one, where the idempotency key of the call is known.
    ///
    /// `cid` is the CID of the call; the caller brought it if `call.cid` names it. `acting`: the principals of the
    /// call, or why it is refused. `in_flight`: the call in the quota of its caller, until it has ended.
    ///
    /// # Errors
    ///
    /// The failure of the service; `NOT_FOUND` / `SERVICE_UNKNOWN`; `DEADLINE_EXCEEDED`; `RESOURCE_EXHAUSTED` where a
    /// limit is reached; `UNAVAILABLE` / `SERVICE_PAUSED` or `NODE_HELD`; `FAILED_PRECONDITION` / `SERVICE_INACTIVE`.
    /// All of them name the CID.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call: its handler is asked to stop, and dropped after the grace period. A
    /// durable call continues.
    pub(in crate::engine) fn invoke(
        self: &Arc<Self>,
        cid: Cid,
        call: Call,
        acting: Result<Acting>,
        in_flight: Option<InFlight>,
    ) -> impl Future<Output = Result<(Cid, Reply)>> + Send + '_ {
        // PreparedCall before there is a future, which would keep the whole call for as long as it waits.
        let prepared = match (acting, call.is_durable()) {
            (Err(refused), _) => PreparedCall::External(Err(refused)),
            (Ok(acting), true) => {
                let cid = Some(cid);
                let durable = invoke_durable(&self.runtime, Call { cid, ..call }, acting);
                PreparedCall::Durable(Box::pin(durable))
            }
            (Ok(acting), false) => PreparedCall::External(self.prepare(cid, call, acting)),
        };
        async move {
            let _in_flight = in_flight;
            let outcome = match prepared {
                PreparedCall::Durable(outcome) => outcome.await,
                PreparedCall::External(Ok(call)) => {
                    self.invoke_external(call).await.map(|reply| (cid, reply))
                }
                PreparedCall::External(Err(error)) => Err(error),
            };
            outcome.map_err(|error| match error.cid() {
                Some(_) => error,
                None => error.with_cid(cid),
            })
        }
    }

    /// As [`invoke`](Self::invoke) for a durable call: resolves once it is accepted, to its outcome.
    pub(in crate::engine) async fn begin_durable(
        self: &Arc<Self>,
        cid: Cid,
        call: Call,
        acting: Acting,
    ) -> Result<(
        Accepted,
        impl Future<Output = Result<(Cid, Reply)>> + Send + use<>,
    )> {
        let call = Call {
            cid: Some(cid),
            ..call
        };
        let accepted = DurableCall::accept(&self.runtime, call, acting).await;
        let call = accepted.map_err(|error| match error.cid() {
            Some(_) => error,
            None => error.with_cid(cid),
        })?;
        let (this, accepted) = (Arc::clone(self), call.accepted.clone());
        Ok((accepted, async move { call.outcome(&this.runtime).await }))
    }

    fn prepare(&self, cid: Cid, call: Call, acting: Acting) -> Result<ExternalCall> {
        let lifecycle = &self.runtime.lifecycle;
        let accepting = lifecycle.check_accepting();
        accepting.map_err(|error| error.with_info("service", &call.service))?;
        let work = lifecycle.work_token();
        let route = self.runtime.routes.find(&call.service)?;
        self.runtime.limits.check_call(&call)?;
        let declaration = route.definition.declaration();
        let taken = route
            .gate
            .check_call(route.name())
            .and_then(|()| route.check_rate(1))
            .and_then(|()| sio::check_format(declaration, call.response_format));
        let refused = |error: &_| route.tally.metrics.refused(InvocationKind::Sync, error);
        taken.inspect_err(refused)?;
        let response_format = ResponseFormat::new(call.response_format, &call.input);
        let timeout = call.timeout.unwrap_or(route.options.timeout);
        let begun = Instant::now();
        let info = InvocationInfo {
            cid,
            service: route.name().clone(),
            attempt: 1,
            deadline: begun.checked_add(timeout),
            metadata: call
                .metadata
                .unwrap_or_else(|| Arc::clone(&self.no_metadata)),
            parent: None,
            root: cid,
            asynchronous: false,
            last_progress: None,
            in_reply_to: None,
            principals: acting.principals,
            caller: acting.identity,
        };
        Ok(ExternalCall {
            caller_cid: call.cid,
            route,
            begun,
            timeout,
            response_format,
            request: Box::new(SyncRequest {
                info,
                callers: None,
                input: call.input,
            }),
            _work: work,
        })
    }

    async fn invoke_external(self: &Arc<Self>, call: ExternalCall) -> Result<Reply> {
        let InvocationInfo { cid, deadline, .. } = call.request.info;
        let mut meter = CallMeter::new(&call.route.tally, InvocationKind::Sync, cid);
        let _reservation = match call.caller_cid {
            Some(cid) => match Box::pin(self.reserve(cid)).await {
                Ok(reservation) => Some(reservation),
                Err(error) => {
                    let refused = Err(error);
                    meter.end(&refused);
                    return refused;
                }
            },
            None => None,
        };
        let limits = CallLimits {
            route: &call.route,
            begun: call.caller_cid.is_none().then_some(call.begun),
            deadline: deadline.map(|deadline| (deadline, call.timeout)),
            caller: Caller::External(self.runtime.lifecycle.halting()),
        };
        // `run` would put the request on the heap again where a worker runs it.
        let mut outcome = if call.route.limit.pool().is_some() {
            let invoker = self.as_invoker();
            Box::pin(dispatch_to_worker(
                &invoker,
                &call.route,
                limits,
                call.request,
                &mut meter.started,
            ))
            .await
        } else {
            let SyncRequest {
                info,
                callers,
                input,
            } = *call.request;
            let (invoker, started) = (self.as_invoker(), &mut meter.started);
            run(invoker, &call.route, limits, info, callers, input, started).await
        };
        outcome = outcome.and_then(|reply| self.runtime.limits.checked_reply(reply));
        meter.end(&outcome);
        let reply = outcome?;
        call.response_format.write(&call.route.definition, reply)
    }

    /// Reserves the CID that a caller brought for a synchronous call, while that call runs.
    async fn reserve(&self, cid: Cid) -> Result<CidReservation> {
        let reservation = self.reservations.reserve_for_call(cid)?;
        match self.store.get(cid).await? {
            Stored::Unknown => Ok(reservation),
            Stored::Found(_) | Stored::Removed(_) => Err(cid_in_use(cid)),
        }
    }
}

/// Acquires permits and runs the handler, both within `limits`. Notes when the handler started.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would have room for its arguments twice"
)]
fn run<'a>(
    invoker: Arc<dyn NestedInvoker>,
    route: &'a Arc<Route>,
    limits: CallLimits<'a>,
    info: InvocationInfo,
    callers: Option<Arc<CallChain>>,
    input: Payload,
    started: &'a mut Option<Instant>,
) -> impl Future<Output = Result<Reply>> + Send + 'a {
    async move {
        if route.limit.pool().is_some() {
            let request = Box::new(SyncRequest {
                info,
                callers,
                input,
            });
            let call = dispatch_to_worker(&invoker, route, limits, request, started);
            return Box::pin(call).await;
        }
        let Admitted { input, ignored } = invoker.runtime().admit_new(route, input)?;
        let permits = match limits.try_acquire_permits() {
            Some(permits) => {
                *started = Some(limits.begun.unwrap_or_else(Instant::now));
                permits
            }
            None => {
                let tracer = &invoker.runtime().tracer;
                let traced = limits.acquire_traced(tracer, info.cid, &info.metadata);
                let permits = Box::pin(traced).await?;
                *started = Some(Instant::now());
                permits
            }
        };
        let scope = Scope {
            callers,
            ..Scope::default()
        };
        let definition = &route.definition;
        let (attempt, _) = start(invoker, route, definition, permits, info, scope, input);
        let outcome = WithDeadline::new(attempt, limits).await;
        outcome_with_ignored(outcome, &ignored)
    }
}

impl NestedInvoker for Executor {
    fn runtime(&self) -> &HandlerRuntime {
        &self.runtime
    }

    fn invoke_nested<'a>(
        &'a self,
        call: Call,
        parent: &'a Dispatch,
    ) -> BoxFuture<'a, Result<Reply>> {
        Box::pin(self.nested(call, parent))
    }

    fn respond_nested<'a>(
        &'a self,
        call: Call,
        parent: &'a Dispatch,
    ) -> BoxFuture<'a, Result<Response>> {
        let cid = parent.info().cid;
        // One future, not two: each would have room for the call.
        Box::pin(
            self.nested(call, parent)
                .map(move |reply| Response::new(cid, reply?)),
        )
    }
}

impl Executor {
    /// Keeps a nested call with the stored attempt that it is part of, if it is part of one.
    fn remember(
        &self,
        parent: &Dispatch,
        route: &Route,
        depth: u32,
        begun: Instant,
        outcome: &Result<Reply>,
    ) {
        let Some(attempt) = parent.attempt() else {
            return;
        };
        let (now, took) = (self.runtime.clock.now(), begun.elapsed());
        attempt.add_call(NestedCall {
            service: route.name().clone(),
            caller: parent.info().service.clone(),
            depth,
            start: now.checked_sub(took).unwrap_or(now),
            duration: took,
            failure: outcome.as_ref().err().map(NestedCall::failure_of),
        });
    }

    /// Invokes a service as part of the invocation of `parent`.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` would have room for its arguments twice"
    )]
    fn nested<'a>(
        &'a self,
        call: Call,
        parent: &'a Dispatch,
    ) -> impl Future<Output = Result<Reply>> + Send + 'a {
        async move {
            // The clock is read once: for the deadlines, and for when the handler starts if its permits are free.
            let begun = Instant::now();
            if parent.is_cancelled_or_expired(begun) {
                return Err(parent.end_reason());
            }
            let asks_who_calls = self.runtime.requires_authentication;
            parent.check_invoke(&call)?;
            let route = self.runtime.routes.find(&call.service);
            let route = route.map_err(|error| refused_by(error, &call.service))?;
            let refused = |error: &_| route.tally.metrics.refused(InvocationKind::Nested, error);
            route.gate.check_call(route.name()).inspect_err(refused)?;
            self.runtime.limits.check_call(&call)?;
            let rated = route.check_rate(1).inspect_err(refused);
            rated.map_err(|error| refused_by(error, &call.service))?;
            let callers = parent.extend_chain(&call.service)?;
            let options = route.definition.service_options();
            let own_timeout = call.timeout.or(options.timeout);
            let (deadline, own_deadline) =
                nested_deadline(begun, parent.info().deadline, own_timeout);
            let mut info = InvocationInfo {
                cid: parent.info().cid,
                service: route.name().clone(),
                attempt: 1,
                deadline,
                metadata: match call.metadata {
                    Some(metadata) => metadata.with_trace_of(&parent.info().metadata)?,
                    None => Arc::clone(&parent.info().metadata),
                },
                parent: Some(parent.info().cid),
                root: parent.info().root,
                asynchronous: false,
                last_progress: None,
                in_reply_to: None,
                principals: match asks_who_calls {
                    true => parent.principals_of_calls(),
                    false => None,
                },
                caller: match asks_who_calls {
                    true => parent.actor().identity().cloned(),
                    false => None,
                },
            };
            let trace = trace_nested(&self.runtime.tracer, &mut info);
            let limits = CallLimits {
                route: &route,
                begun: Some(begun),
                deadline: own_deadline,
                caller: Caller::Handler(parent),
            };
            let invoker = Arc::clone(&parent.invoker);
            // Not `release_during`, which would have room for the call again.
            let released = parent.permits.release();
            let mut meter = CallMeter::new(&route.tally, InvocationKind::Nested, info.cid);
            let (depth, started) = (callers.depth(), &mut meter.started);
            let callers = Some(callers);
            let outcome = run(invoker, &route, limits, info, callers, call.input, started).await;
            let outcome = outcome.and_then(|reply| self.runtime.limits.checked_reply(reply));
            meter.end(&outcome);
            self.remember(parent, &route, depth, begun, &outcome);
            trace.into_iter().for_each(|trace| trace.end(&outcome));
            released.reacquire(parent.cancelled()).await;
            let reply = outcome
                .map_err(|error| of_nested(error, route.name().as_str()))
                .inspect_err(|error| parent.nested_failure.set(route.name().as_str(), error))?;
            match call.response_format {
                // A handler reads the response as a value, unless it asks for a format.
                None => Ok(reply),
                Some(_) => ResponseFormat::new(call.response_format, &Payload::empty())
                    .write(&route.definition, reply),
            }
        }
    }
}

/// The span of a nested call, if its trace is recorded.
fn trace_nested(tracer: &Tracer, info: &mut InvocationInfo) -> Option<Span> {
    if !tracer.is_on() {
        return None;
    }
    let service = info.service.clone();
    let name = || format!("invoke {service}");
    let mut span = tracer.enter(&mut info.metadata, SpanKind::Internal, name)?;
    span.set_invocation(info.cid, &service);
    Some(span)
}

/// The deadline of a nested call; and the deadline that needs a timer of its own, with its timeout: none if the
/// parent's is earlier.
fn nested_deadline(
    begun: Instant,
    parent: Option<Instant>,
    timeout: Option<Duration>,
) -> (Option<Instant>, Option<(Instant, Duration)>) {
    let own = timeout.and_then(|timeout| Some((begun.checked_add(timeout)?, timeout)));
    match (own, parent) {
        (Some((deadline, _)), Some(parent)) if parent <= deadline => (Some(parent), None),
        (Some((deadline, timeout)), _) => (Some(deadline), Some((deadline, timeout))),
        (None, parent) => (parent, None),
    }
}
