//! Synchronous invocations: from outside, and nested in another one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::codec::{payload, sio};
use crate::engine::Invoker;
use crate::engine::attempt::Attempt;
use crate::engine::dispatch::{Dispatch, Link};
use crate::engine::gate::Permits;
use crate::engine::names::{self, Name};
use crate::engine::routes::Route;
use crate::engine::slot::Slot;
use crate::engine::store::Stored;
use crate::engine::wanted::{Wanted, with_ignored};
use crate::engine::watched::{Bounds, Caller, Watched};
use crate::model::call::Call;
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::metadata::{Metadata, TRACEPARENT};
use crate::model::payload::{Payload, Reply};
use crate::service::{Admitted, BoxFuture, InvocationInfo, output_invalid};

/// A call on its way to a handler, for those who wait with it: on the heap, since it is handed from one future to the
/// next, and each would have room of its own for it.
pub(super) struct Order {
    pub(super) facts: InvocationInfo,
    pub(super) callers: Option<Arc<Link>>,
    pub(super) input: Payload,
}

/// What a caller from outside asks for.
enum Asked<'a> {
    /// An invocation that is stored.
    Stored(BoxFuture<'a, Result<(Cid, Reply)>>),
    /// One that is not.
    Outside(Result<Outside>),
}

struct Outside {
    brought: Option<Cid>,
    route: Arc<Route>,
    timeout: Duration,
    wanted: Wanted,
    order: Box<Order>,
    /// The node does not stop before it.
    _work: TaskTrackerToken,
}

impl Invoker {
    /// Invokes a service for a caller from outside and waits for its reply. Answers as well with the CID that it is of:
    /// that of the first invocation, where `call` has an idempotency key that is known.
    ///
    /// `cid` is the CID of the call, which the caller brought if `call.cid` names it.
    ///
    /// # Errors
    ///
    /// What the service answered; `NOT_FOUND` / `SERVICE_UNKNOWN`; `DEADLINE_EXCEEDED`; what a limit says. All of them
    /// name the CID.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the invocation: its handler is asked to stop, and dropped after the grace period.
    /// One that is stored ([`Call::background`]) goes on.
    pub fn invoke(
        &self,
        cid: Cid,
        call: Call,
    ) -> impl Future<Output = Result<(Cid, Reply)>> + Send + '_ {
        // Read before there is a future: it would keep the whole call for as long as it waits.
        let asked = match call.is_durable() {
            true => Asked::Stored(Box::pin(self.invoke_stored(Call {
                cid: Some(cid),
                ..call
            }))),
            false => Asked::Outside(self.ask(cid, call)),
        };
        async move {
            let named = |error: Error| match error.cid() {
                Some(_) => error,
                None => error.with_cid(cid),
            };
            let answered = match asked {
                Asked::Stored(waits) => waits.await,
                Asked::Outside(Ok(call)) => self.invoke_outside(call).await.map(|r| (cid, r)),
                Asked::Outside(Err(error)) => Err(error),
            };
            answered.map_err(named)
        }
    }

    fn ask(&self, cid: Cid, call: Call) -> Result<Outside> {
        let refused = self.check_accepting();
        refused.map_err(|error| error.with_info("service", &call.service))?;
        let work = self.0.work.token();
        let route = self.0.routes.find(&call.service)?;
        let wanted = Wanted::of(&call);
        sio::check_format(route.definition.declaration(), call.response_format)?;
        let timeout = call.timeout.unwrap_or(route.options.timeout);
        let facts = InvocationInfo {
            cid,
            service: route.name().clone(),
            attempt: 1,
            deadline: Instant::now().checked_add(timeout),
            metadata: call
                .metadata
                .unwrap_or_else(|| Arc::clone(&self.0.no_metadata)),
            parent: None,
            root: cid,
            asynchronous: false,
            last_progress: None,
            in_reply_to: None,
        };
        Ok(Outside {
            brought: call.cid,
            route,
            timeout,
            wanted,
            order: Box::new(Order {
                facts,
                callers: None,
                input: call.input,
            }),
            _work: work,
        })
    }

    async fn invoke_outside(&self, call: Outside) -> Result<Reply> {
        let _name = match call.brought {
            Some(brought) => Some(Box::pin(self.take_name(brought)).await?),
            None => None,
        };
        let deadline = call.order.facts.deadline;
        let bounds = Bounds {
            route: &call.route,
            deadline: deadline.map(|deadline| (deadline, call.timeout)),
            caller: Caller::Outside(&self.0.halting),
        };
        // Not `run` for both: what waits for a worker is on the heap already.
        let reply = if call.route.gate.pool().is_some() {
            Box::pin(self.run_elsewhere(&call.route, bounds, call.order)).await?
        } else {
            let Order {
                facts,
                callers,
                input,
            } = *call.order;
            self.run(&call.route, bounds, facts, callers, input).await?
        };
        reply.metadata.check().map_err(output_invalid)?;
        call.wanted.write(&call.route, reply)
    }

    /// Invokes a service as part of the invocation that `parent` is a dispatch of.
    pub(super) async fn invoke_nested(&self, call: Call, parent: &Arc<Dispatch>) -> Result<Reply> {
        if parent.is_over() {
            return Err(parent.ended());
        }
        let route = self.0.routes.find(&call.service)?;
        let callers = parent.as_caller(&call.service)?;
        let options = route.definition.service_options();
        let own_timeout = call.timeout.or(options.timeout);
        let (deadline, shorter) = nested_deadline(parent.deadline, own_timeout);
        let facts = InvocationInfo {
            cid: parent.cid,
            service: route.name().clone(),
            attempt: 1,
            deadline,
            metadata: match call.metadata {
                Some(metadata) => with_trace_of(metadata, &parent.metadata)?,
                None => Arc::clone(&parent.metadata),
            },
            parent: Some(parent.cid),
            root: parent.root,
            asynchronous: false,
            last_progress: None,
            in_reply_to: None,
        };
        let bounds = Bounds {
            route: &route,
            deadline: shorter,
            caller: Caller::Handler(parent),
        };
        let nested = self.run(&route, bounds, facts, Some(callers), call.input);
        let reply = parent.slot.lend(&parent.cancel, nested).await?;
        match call.response_format {
            // A handler reads the response as a value, unless it asks for something else.
            None => Ok(reply),
            Some(_) => Wanted::asked(call.response_format).write(&route, reply),
        }
    }

    /// Waits for a slot and runs the handler in it, both within `bounds`.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` would have room twice for what it is given"
    )]
    fn run<'a>(
        &'a self,
        route: &'a Arc<Route>,
        bounds: Bounds<'a>,
        facts: InvocationInfo,
        callers: Option<Arc<Link>>,
        input: Payload,
    ) -> impl Future<Output = Result<Reply>> + Send + 'a {
        async move {
            if route.gate.pool().is_some() {
                let order = Box::new(Order {
                    facts,
                    callers,
                    input,
                });
                return Box::pin(self.run_elsewhere(route, bounds, order)).await;
            }
            let Admitted { input, ignored } = self.admit(route, input)?;
            let permits = enter(route, bounds).await?;
            let slot = Slot::new(Arc::clone(&route.gate), permits);
            let cancel = CancellationToken::new();
            let (dispatch, context) =
                Dispatch::new(self.clone(), facts, slot, cancel, callers, None);
            let attempt = Attempt::new(&route.definition, dispatch, context, input);
            let reply = Watched::new(attempt, bounds).await?;
            Ok(with_ignored(reply, &ignored))
        }
    }

    /// Checks an input once, where it enters.
    pub(super) fn admit(&self, route: &Route, input: Payload) -> Result<Admitted> {
        // Hooks of the node see it before a handler that would read it.
        if !self.0.hooks.is_empty() && route.definition.declaration().input.is_none() {
            payload::scan(&input)?;
        }
        route.definition.admit(input)
    }

    /// Takes the CID that a caller brought for a synchronous call, while that call runs.
    async fn take_name(&self, cid: Cid) -> Result<Name> {
        let name = self.0.names.take_alone(cid)?;
        match self.0.store.get(cid).await? {
            Stored::Unknown => Ok(name),
            Stored::Found(_) | Stored::Removed(_) => Err(names::in_use(cid)),
        }
    }
}

/// Metadata of a call's own, with the trace context of its caller unless it brings one.
pub(super) fn with_trace_of(
    mut metadata: Arc<Metadata>,
    caller: &Metadata,
) -> Result<Arc<Metadata>> {
    metadata.check()?;
    if let Some(trace) = caller.get(TRACEPARENT)
        && metadata.get(TRACEPARENT).is_none()
    {
        Arc::make_mut(&mut metadata).insert(TRACEPARENT, trace);
    }
    Ok(metadata)
}

/// The deadline of a nested call; where it is before the parent's, which has a timer of its own, once more with the
/// timeout it came from.
fn nested_deadline(
    parent: Option<Instant>,
    timeout: Option<Duration>,
) -> (Option<Instant>, Option<(Instant, Duration)>) {
    let own = timeout.and_then(|timeout| Some((Instant::now().checked_add(timeout)?, timeout)));
    match (own, parent) {
        (Some((deadline, _)), Some(parent)) if parent <= deadline => (Some(parent), None),
        (Some((deadline, timeout)), _) => (Some(deadline), Some((deadline, timeout))),
        (None, parent) => (parent, None),
    }
}

/// Takes a slot; mostly there is one.
pub(super) async fn enter(route: &Route, bounds: Bounds<'_>) -> Result<Permits> {
    match route.gate.try_enter() {
        Some(permits) => Ok(permits),
        None => Box::pin(wait_for_slot(route, bounds)).await,
    }
}

async fn wait_for_slot(route: &Route, bounds: Bounds<'_>) -> Result<Permits> {
    tokio::select! {
        biased;
        permits = route.gate.enter(route.name()) => permits,
        error = bounds.passed() => Err(error),
    }
}
