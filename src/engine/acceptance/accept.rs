//! Acceptance: checks a call and stores it as a pending invocation. "Accepted" means durable.

use std::sync::Arc;

use jiff::Timestamp;

use crate::codec::{payload, sio};
use crate::engine::acceptance::cost::{Cost, check_principal, too_many_pending};
use crate::engine::acceptance::origin::{Acting, Origin};
use crate::engine::acceptance::repeat::{check_same, removed};
use crate::engine::admission::cid_reservations::{CidReservation, CidReservations, cid_in_use};
use crate::engine::clock::{Clock, saturating_add};
use crate::engine::control::gate::{Accepting, Gate};
use crate::engine::lifecycle::Lifecycle;
use crate::engine::limits::Limits;
use crate::engine::metrics::InvocationKind;
use crate::engine::results::hub::Hub;
use crate::engine::results::live::{Live, next_sequence};
use crate::engine::routing::{Route, Routes};
use crate::engine::store::{Acceptance, Store, Stored};
use crate::engine::trace::{Tracer, commit, publish};
use crate::model::access::Principal;
use crate::model::call::{Accepted, Call, DurableOptions, Start};
use crate::model::error::{ListLimits, Result, Violation};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{HELD, Invocation, Request, Terms};
use crate::model::payload::{Format, Payload};
use crate::model::sio::Ignored;
use crate::service::Admitted;

/// Whether the gate of a service lets a call pass.
type CheckGate = fn(&Gate, &ServiceName) -> Result<()>;

/// Accepts invocations.
#[derive(Debug)]
pub(in crate::engine) struct Acceptor {
    routes: Arc<Routes>,
    store: Arc<dyn Store>,
    hub: Arc<Hub>,
    reservations: CidReservations,
    clock: Clock,
    limits: Arc<Limits>,
    lifecycle: Arc<Lifecycle>,
    tracer: Tracer,
}

impl Acceptor {
    pub(in crate::engine) fn new(
        routes: Arc<Routes>,
        store: Arc<dyn Store>,
        hub: Arc<Hub>,
        reservations: CidReservations,
        clock: Clock,
        limits: Arc<Limits>,
        lifecycle: Arc<Lifecycle>,
    ) -> Self {
        Self {
            routes,
            store,
            hub,
            reservations,
            clock,
            limits,
            lifecycle,
            tracer: Tracer::default(),
        }
    }

    pub(in crate::engine) fn with_tracer(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// Accepts an invocation. It is durable, and will run, once this resolves.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `ALREADY_EXISTS` / `CID_IN_USE` or `IDEMPOTENCY_MISMATCH`;
    /// `INVALID_ARGUMENT` with all violations; `RESOURCE_EXHAUSTED` where a limit is reached; `FAILED_PRECONDITION` /
    /// `SERVICE_INACTIVE`. All of them but the first name the CID.
    pub(in crate::engine) fn accept<'a>(
        &'a self,
        call: Call,
        origin: Origin<'a>,
    ) -> impl Future<Output = Result<Accepted>> + Send + 'a {
        self.accept_for(call, origin, Gate::check_acceptance)
    }

    /// As [`accept`](Self::accept), for a caller that waits for the outcome.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept); `UNAVAILABLE` / `SERVICE_PAUSED` or `NODE_HELD`.
    pub(in crate::engine) fn accept_awaited(
        &self,
        call: Call,
        acting: Acting,
    ) -> impl Future<Output = Result<Accepted>> + Send + '_ {
        let origin = Origin::outside(acting);
        self.accept_for(call, origin, Gate::check_stored_call)
    }

    async fn accept_for(
        &self,
        call: Call,
        origin: Origin<'_>,
        check_gate: CheckGate,
    ) -> Result<Accepted> {
        let route = self.routes.find(&call.service)?;
        let cid = call.cid.unwrap_or_else(Cid::new);
        let tally = Arc::clone(&route.tally);
        let accepted = self.accept_as(cid, call, origin, route, check_gate).await;
        accepted.map_err(|error| {
            tally.metrics.refused(InvocationKind::Async, &error);
            error.with_cid(cid)
        })
    }

    async fn accept_as(
        &self,
        cid: Cid,
        call: Call,
        origin: Origin<'_>,
        route: Arc<Route>,
        check_gate: CheckGate,
    ) -> Result<Accepted> {
        let reservation = match call.cid {
            Some(cid) => Some(self.reservations.reserve_for_accept(cid)?),
            None => None,
        };
        let max_pending = origin.acting.max_pending();
        let (mut invocation, ignored) = self.prepare(cid, call, origin, &route)?;
        let publishing = publish(&self.tracer, &mut invocation);
        let request = Arc::clone(&invocation.request);
        let cost = Cost::of(&invocation);
        cost.check(&self.limits)?;
        // Before the gate is asked: a service that is disabled meanwhile waits until this one is stored.
        let accepting = route.gate.begin_acceptance();
        let admitted = check_gate(&route.gate, route.name())
            .and_then(|()| self.check_callbacks(&request.terms))
            .and_then(|()| self.check_pending_limits(&route, 1, cost))
            .and_then(|()| self.check_principal_pending(request.owner(), max_pending, 1));
        if let Err(refused) = admitted {
            drop(accepting);
            // A repeated request needs no room, and is nothing new.
            let Some(first) = self.find_first(&request).await? else {
                return Err(refused);
            };
            return repeated(&first, &request, ignored);
        }
        let stored = self.store(cid, invocation, route, accepting, reservation);
        // The caller may disconnect during the commit: the scheduler has to be woken all the same.
        let tasks = self.lifecycle.tasks();
        let acceptance = tasks.run_to_completion("accept", stored).await;
        if let Some(publishing) = publishing {
            publishing.end(&acceptance);
        }
        match acceptance? {
            Acceptance::Stored => Ok(Accepted {
                cid,
                already_accepted: false,
                ignored,
            }),
            Acceptance::Known(first) => repeated(&first, &request, ignored),
            Acceptance::Removed(tombstone) => Err(removed(&request, &tombstone)),
            Acceptance::MemberKnown(cid) => Err(cid_in_use(cid)),
        }
    }

    /// Stores an invocation and notifies its scheduler and followers.
    fn store(
        &self,
        cid: Cid,
        invocation: Invocation,
        route: Arc<Route>,
        accepting: Accepting,
        reservation: Option<CidReservation>,
    ) -> impl Future<Output = Result<Acceptance>> + Send + 'static {
        let (store, hub) = (Arc::clone(&self.store), Arc::clone(&self.hub));
        let committing = commit(&self.tracer, &invocation.request);
        async move {
            let wakeup = invocation.next_wakeup();
            let acceptance = store.accept(invocation).await;
            if let Some(committing) = committing {
                committing.end(&acceptance);
            }
            let acceptance = acceptance?;
            if matches!(acceptance, Acceptance::Stored) {
                hub.notify(cid);
                route.scheduler.wake_by(wakeup);
            }
            drop((accepting, reservation));
            Ok(acceptance)
        }
    }

    /// Accepts an invocation together with the response of the handler that asks for it.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept); `CANCELLED` where the attempt has ended.
    pub(in crate::engine) async fn accept_with_outcome(
        &self,
        call: Call,
        origin: Origin<'_>,
        live: &Live,
    ) -> Result<Accepted> {
        let route = self.routes.find(&call.service)?;
        let has_own_cid = call.cid.is_some();
        let cid = call.cid.unwrap_or_else(Cid::new);
        let max_pending = origin.acting.max_pending();
        let (mut invocation, ignored) = self.prepare(cid, call, origin, &route)?;
        let _publishing = publish(&self.tracer, &mut invocation);
        let request = Arc::clone(&invocation.request);
        // With a CID made here and without a key, the invocation is new: the store need not be queried.
        let known = match has_own_cid || request.terms.idempotency_key.is_some() {
            true => self.find_first(&request).await?,
            false => None,
        };
        let first = match known {
            Some(first) => Some(first),
            None => {
                let cost = Cost::of(&invocation);
                cost.check(&self.limits)?;
                self.check_open(&route, &request)?;
                self.check_pending_limits(&route, 1, cost)?;
                self.check_principal_pending(request.owner(), max_pending, 1)?;
                live.add_follow_up(invocation)?
            }
        };
        match first {
            Some(first) => repeated(&first, &request, ignored),
            None => Ok(Accepted {
                cid,
                already_accepted: false,
                ignored,
            }),
        }
    }

    /// Checks a call and makes the invocation that it asks for.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` with all violations; `NOT_FOUND` / `SERVICE_UNKNOWN` for a callback.
    pub(in crate::engine) fn prepare(
        &self,
        cid: Cid,
        call: Call,
        origin: Origin<'_>,
        route: &Route,
    ) -> Result<(Invocation, Ignored)> {
        sio::check_format(route.definition.declaration(), call.response_format)?;
        self.limits.check_call(&call)?;
        let ignored = check_input(route, &call.input, &self.limits)?;
        Ok((self.new_invocation(cid, call, origin, route)?, ignored))
    }

    /// Checks a call whose invocation takes the place of a pending one, which belongs to `owner`, and makes that
    /// invocation.
    ///
    /// # Errors
    ///
    /// As for [`prepare`](Self::prepare); `RESOURCE_EXHAUSTED` where a limit is exceeded.
    pub(in crate::engine) fn prepare_successor(
        &self,
        cid: Cid,
        call: Call,
        acting: Acting,
        owner: Option<&Principal>,
        route: &Route,
    ) -> Result<(Invocation, Ignored)> {
        let max_pending = acting.max_pending();
        let origin = Origin::outside(acting);
        let (invocation, ignored) = self.prepare(cid, call, origin, route)?;
        let cost = Cost::of(&invocation);
        cost.check(&self.limits)?;
        self.check_pending_limits(route, 0, cost)?;
        let new_owner = invocation.request.owner();
        let more = usize::from(new_owner != owner);
        self.check_principal_pending(new_owner, max_pending, more)?;
        Ok((invocation, ignored))
    }

    /// Checks the input of a call of a service, without accepting it.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `INVALID_ARGUMENT` with all violations.
    pub(in crate::engine) fn check_input(&self, service: &str, input: &Payload) -> Result<()> {
        check_input(&*self.routes.find(service)?, input, &self.limits).map(drop)
    }

    /// Whether a service and its callbacks accept a new asynchronous invocation.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `SERVICE_INACTIVE`.
    pub(super) fn check_open(&self, route: &Route, request: &Request) -> Result<()> {
        route.gate.check_acceptance(route.name())?;
        self.check_callbacks(&request.terms)
    }

    /// Whether the services that get an outcome accept it. One that is disabled later gets it all the same: that was
    /// promised.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `SERVICE_INACTIVE`.
    fn check_callbacks(&self, terms: &Terms) -> Result<()> {
        self.check_all_open(terms.callbacks.iter().chain(&terms.failure_callbacks))
    }

    /// Whether all of these services accept new invocations.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `SERVICE_INACTIVE` for the first one that does not.
    pub(super) fn check_all_open<'a>(
        &self,
        mut services: impl Iterator<Item = &'a ServiceName>,
    ) -> Result<()> {
        services.try_for_each(|name| match self.routes.get(name.as_str()) {
            Some(route) => route.gate.check_acceptance(name),
            None => Ok(()),
        })
    }

    /// The first request with the CID or the idempotency key of a request, if it is stored.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub(in crate::engine) async fn find_first(
        &self,
        request: &Request,
    ) -> Result<Option<Arc<Request>>> {
        let by_key = match &request.terms.idempotency_key {
            Some(key) => {
                let (service, key) = (request.service.clone(), key.clone());
                let owner = request.owner().cloned();
                self.store
                    .find_by_idempotency_key(service, key, owner)
                    .await?
            }
            None => None,
        };
        match self.store.get(by_key.unwrap_or(request.cid)).await? {
            Stored::Found(found) => Ok(Some(found.request)),
            Stored::Removed(_) | Stored::Unknown => Ok(None),
        }
    }

    /// Whether `more` invocations of a service may be pending, and what the request costs in all.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `PENDING_LIMIT`.
    pub(super) fn check_pending_limits(
        &self,
        route: &Route,
        more: usize,
        cost: Cost,
    ) -> Result<()> {
        let limit = route.options.pending_limit;
        if self.store.pending_count(route.name()).saturating_add(more) > limit {
            let of = format!("of `{}`", route.name());
            return Err(too_many_pending(&of, limit));
        }
        cost.check_room(&*self.store, &self.limits)
    }

    /// Whether `more` invocations of their owner may be pending. `own_limit`: that of its credential.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `PENDING_LIMIT`.
    pub(super) fn check_principal_pending(
        &self,
        owner: Option<&Principal>,
        own_limit: Option<usize>,
        more: usize,
    ) -> Result<()> {
        let limit = own_limit.or(self.limits.principal_pending);
        match (owner, limit.filter(|limit| *limit > 0)) {
            (Some(owner), Some(limit)) => check_principal(&*self.store, owner, limit, more),
            _ => Ok(()),
        }
    }

    /// The terms of an invocation that is accepted at `now`.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for a key that is too long; `NOT_FOUND` / `SERVICE_UNKNOWN` for a callback.
    pub(in crate::engine) fn terms(
        &self,
        options: Option<Box<DurableOptions>>,
        now: Timestamp,
    ) -> Result<Terms> {
        let Some(options) = options else {
            return Ok(Terms::default());
        };
        let start_time = options.start.map(|start| match start {
            Start::After(delay) => saturating_add(now, delay),
            Start::At(time) => time.max(now),
        });
        check_options(&options, start_time, self.limits.callbacks)?;
        Ok(Terms {
            start_time: start_time.map(|time| time.min(HELD)),
            expire_time: options
                .expiration
                .map(|expiration| saturating_add(now, expiration)),
            deadline: options.deadline,
            retry_policy: options.retry_policy,
            on_exhausted: options.on_exhausted,
            callbacks: self.service_names(&options.callbacks)?,
            failure_callbacks: self.service_names(&options.failure_callbacks)?,
            retention: options.retention,
            idempotency_key: options.idempotency_key,
            concurrency_key: options.concurrency_key,
            at_most_once: options.at_most_once,
            in_reply_to: None,
            retry_of: options.retry_of,
        })
    }

    /// The names of services that have been declared.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN` for the first one that has not.
    pub(in crate::engine) fn service_names(&self, names: &[String]) -> Result<Vec<ServiceName>> {
        let find = |name: &String| Ok(self.routes.find(name)?.name().clone());
        names.iter().map(find).collect()
    }

    fn new_invocation(
        &self,
        cid: Cid,
        call: Call,
        Origin { parent, acting }: Origin<'_>,
        route: &Route,
    ) -> Result<Invocation> {
        // The metadata of a call from outside has its trace context already.
        let metadata = match parent {
            Some(parent) => {
                let own = call.metadata.unwrap_or_default();
                Some(own.with_trace_of(parent.metadata)?)
            }
            None => call.metadata,
        };
        let now = self.clock.now();
        let terms = self.terms(call.durable, now)?;
        let request = Request {
            cid,
            service: route.name().clone(),
            input: encoded(call.input)?,
            response_format: call.response_format,
            metadata: metadata.map(Arc::unwrap_or_clone).unwrap_or_default(),
            attempt_timeout: call.timeout,
            parent: parent.map(|parent| parent.cid),
            root: parent.map_or(cid, |parent| parent.root),
            accept_time: now,
            terms,
            grouping: None,
            principals: acting.principals,
        };
        Ok(self.pending(request))
    }

    /// A new invocation, with its first event.
    pub(in crate::engine) fn pending(&self, request: Request) -> Invocation {
        Invocation::accepted(request, next_sequence(0, self.store.first_generation()))
    }
}

/// Checks an input before its CID is answered. It is stored as it came, and checked again when it is dispatched.
fn check_input(route: &Route, input: &Payload, limits: &Limits) -> Result<Ignored> {
    let declaration = route.definition.declaration();
    let (read, ignored) = match input {
        // A malformed document is refused even if the service declares nothing.
        Payload::Document(..) => {
            let read = sio::read_input(declaration, input.clone())?;
            (Payload::Value(read.value), read.ignored)
        }
        _ if declaration.input.is_some() => {
            let Admitted { input, ignored } = route.definition.admit(input.clone())?;
            (input, ignored)
        }
        encoded => {
            payload::scan(encoded)?;
            limits.check_payload(encoded)?;
            return Ok(Ignored::default());
        }
    };
    limits.check_payload(&read)?;
    Ok(ignored)
}

/// Checks the limits of options, all violations at once.
fn check_options(
    options: &DurableOptions,
    start_time: Option<Timestamp>,
    max_callbacks: usize,
) -> Result<()> {
    let is_too_early = |deadline: &Timestamp| start_time.is_some_and(|start| *deadline <= start);
    let deadline = options.deadline.filter(is_too_early).map(|_| {
        let message = "is not after the start: the invocation would never run";
        Violation::new("/deadline", "OUT_OF_RANGE", message)
    });
    let too_long = |(field, key): (&'static str, &Option<String>)| {
        key.as_ref()
            .filter(|key| key.len() > Terms::MAX_KEY_BYTES)?;
        let message = format!("is longer than {} bytes", Terms::MAX_KEY_BYTES);
        Some(Violation::new(field, "TOO_LARGE", message))
    };
    let keys = [
        ("/idempotency_key", &options.idempotency_key),
        ("/concurrency_key", &options.concurrency_key),
    ];
    let keys = keys.into_iter().filter_map(too_long);
    let (after, failed) = (options.callbacks.len(), options.failure_callbacks.len());
    ListLimits::default()
        .with(keys.chain(deadline))
        .check("/callbacks", after, ("callbacks", max_callbacks))
        .check("/failure_callbacks", failed, ("callbacks", max_callbacks))
        .reject()
}

/// An input in the form in which it is stored: encoded, and as it came where it came encoded.
fn encoded(input: Payload) -> Result<Payload> {
    match input {
        Payload::Value(_) => payload::encode(input, Format::Dict),
        encoded => Ok(encoded),
    }
}

/// The answer to a request that repeats an accepted one.
fn repeated(first: &Request, repeat: &Request, ignored: Ignored) -> Result<Accepted> {
    check_same(first, repeat)?;
    Ok(Accepted {
        cid: first.cid,
        already_accepted: true,
        ignored,
    })
}
