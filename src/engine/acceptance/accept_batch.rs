//! Acceptance of batches: many invocations at once, all of them or none, under the CID of a group.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use tokio::sync::Notify;

use crate::codec::payload;
use crate::dict;
use crate::engine::acceptance::accept::Acceptor;
use crate::engine::acceptance::cost::Cost;
use crate::engine::acceptance::origin::Origin;
use crate::engine::acceptance::repeat::{check_same, removed};
use crate::engine::admission::cid_reservations::{CidReservation, CidReservations};
use crate::engine::clock::Clock;
use crate::engine::control::gate::Accepting;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::limits::Limits;
use crate::engine::results::hub::Hub;
use crate::engine::routing::{Route, Routes};
use crate::engine::store::{Acceptance, Store};
use crate::engine::trace::{Tracer, commit, publish_group};
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::{Call, DurableOptions};
use crate::model::error::{Error, ListLimits, Result, Violation, reason};
use crate::model::id::{Cid, ServiceName, texts};
use crate::model::invocation::{
    Fingerprint, Group, Grouping, Invocation, Member, Request, fingerprint, fingerprint_of_all,
};
use crate::model::payload::{Format, Payload};
use crate::model::sio::Ignored;
use crate::model::value::Value;

/// A checked batch.
struct CheckedBatch {
    group: Invocation,
    members: Members,
}

/// A service of members.
struct MemberRoute {
    route: Arc<Route>,
    /// How many members it has.
    members: usize,
    /// Dropped once the batch is stored, or refused.
    _accepting: Accepting,
}

/// The members of a checked batch.
#[derive(Default)]
struct Members {
    invocations: Vec<Invocation>,
    /// Their services.
    routes: HashMap<ServiceName, MemberRoute, RandomState>,
    /// Input keys that are not declared and are ignored.
    ignored: Ignored,
    /// The fingerprints of the requests, where the batch can be repeated.
    fingerprints: Vec<Fingerprint>,
    /// The CIDs that the caller brought for members.
    caller_cids: Vec<Option<Cid>>,
    /// All CIDs that the caller brought, reserved until the batch is stored.
    reservations: Vec<CidReservation>,
    /// The members whose services, or callbacks, are disabled.
    disabled: MemberFailures,
}

impl Members {
    /// The CIDs of the members of a group that was accepted before, for the same requests.
    fn of_first(caller_cids: &[Option<Cid>], group: Cid) -> Vec<Cid> {
        let cids = caller_cids.iter().zip(0..);
        cids.map(|(cid, position)| cid.unwrap_or_else(|| Cid::derive_member(group, position)))
            .collect()
    }

    fn cids(&self) -> Vec<Cid> {
        let invocations = self.invocations.iter();
        invocations.map(|member| member.request.cid).collect()
    }
}

/// Accepts batches.
#[derive(Debug)]
pub(in crate::engine) struct BatchAcceptor {
    pub(in crate::engine) acceptor: Arc<Acceptor>,
    pub(in crate::engine) routes: Arc<Routes>,
    pub(in crate::engine) store: Arc<dyn Store>,
    pub(in crate::engine) hub: Arc<Hub>,
    pub(in crate::engine) reservations: CidReservations,
    pub(in crate::engine) clock: Clock,
    pub(in crate::engine) limits: Arc<Limits>,
    pub(in crate::engine) lifecycle: Arc<Lifecycle>,
    /// Notified when a group without members was accepted: it has ended.
    pub(in crate::engine) group_wakeup: Arc<Notify>,
    pub(in crate::engine) tracer: Tracer,
}

impl BatchAcceptor {
    /// Whether a batch may have so many requests: checked before they are decoded.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `BATCH_LIMIT`.
    pub(in crate::engine) fn check_size(&self, requests: usize) -> Result<()> {
        let limit = self.limits.batch;
        if requests <= limit {
            return Ok(());
        }
        let message = format!("the batch has {requests} requests; the limit is {limit}");
        Err(Error::invalid_argument(reason::BATCH_LIMIT, message).with_info("batch", limit))
    }

    /// Accepts a batch. It is durable, and all of it will run, once this resolves.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `BATCH_LIMIT`; all violations of all members, by the paths of the requests;
    /// `ALREADY_EXISTS` / `CID_IN_USE` where a member was accepted before, or `IDEMPOTENCY_MISMATCH`;
    /// `RESOURCE_EXHAUSTED` where a limit is reached; `FAILED_PRECONDITION` / `SERVICE_INACTIVE`.
    pub(in crate::engine) async fn accept(
        &self,
        batch: Batch,
        origin: Origin<'_>,
    ) -> Result<AcceptedGroup> {
        let cid = batch.cid.unwrap_or_else(Cid::new);
        let accepted = self.accept_as(cid, batch, origin).await;
        accepted.map_err(|error| match error.cid() {
            Some(_) => error,
            None => error.with_cid(cid),
        })
    }

    async fn accept_as(&self, cid: Cid, batch: Batch, origin: Origin<'_>) -> Result<AcceptedGroup> {
        let max_pending = origin.acting.max_pending();
        let CheckedBatch {
            mut group,
            mut members,
        } = self.prepare(cid, batch, &origin)?;
        let publishing = publish_group(&self.tracer, &mut group, &mut members.invocations);
        let request = Arc::clone(&group.request);
        let ignored = members.ignored.clone();
        let caller_cids = members.caller_cids.clone();
        let mut cost = Cost::of(&group);
        members
            .invocations
            .iter()
            .for_each(|member| cost.add(member));
        cost.check(&self.limits)?;
        let disabled = std::mem::take(&mut members.disabled).into_result();
        let admitted = disabled
            .and_then(|()| self.check_callbacks(&request))
            .and_then(|()| self.check_pending_limits(&members, cost))
            .and_then(|()| {
                let more = members.invocations.len();
                let acceptor = &self.acceptor;
                acceptor.check_principal_pending(request.owner(), max_pending, more)
            });
        if let Err(refused) = admitted {
            drop(members);
            // A repeated batch needs no room, and is nothing new.
            return match self.acceptor.find_first(&request).await? {
                Some(first) => repeated(&first, &request, &caller_cids, ignored),
                None => Err(refused),
            };
        }
        let cids = members.cids();
        let stored = self.store(group, members);
        let tasks = self.lifecycle.tasks();
        let acceptance = tasks.run_to_completion("accept", stored).await;
        if let Some(publishing) = publishing {
            publishing.end(&acceptance);
        }
        match acceptance? {
            Acceptance::Stored => Ok(AcceptedGroup {
                cid,
                members: cids,
                already_accepted: false,
                ignored,
            }),
            Acceptance::Known(first) => repeated(&first, &request, &caller_cids, ignored),
            Acceptance::Removed(tombstone) => Err(removed(&request, &tombstone)),
            Acceptance::MemberKnown(member) => Err(member_known(&cids, member)),
        }
    }

    /// Stores a batch and notifies schedulers and followers, even if the caller disconnects meanwhile.
    fn store(
        &self,
        group: Invocation,
        members: Members,
    ) -> impl Future<Output = Result<Acceptance>> + Send + 'static {
        let (store, hub) = (Arc::clone(&self.store), Arc::clone(&self.hub));
        let group_wakeup = Arc::clone(&self.group_wakeup);
        let committing = commit(&self.tracer, &group.request);
        async move {
            let (cid, cids) = (group.request.cid, members.cids());
            let Members {
                invocations,
                routes,
                reservations,
                ..
            } = members;
            let acceptance = store.accept_group(group, invocations).await;
            if let Some(committing) = committing {
                committing.end(&acceptance);
            }
            let acceptance = acceptance?;
            if matches!(acceptance, Acceptance::Stored) {
                for cid in std::iter::once(cid).chain(cids.iter().copied()) {
                    hub.notify(cid);
                }
                for of_members in routes.values() {
                    of_members.route.scheduler.wake();
                }
                if cids.is_empty() {
                    group_wakeup.notify_one();
                }
            }
            drop((routes, reservations));
            Ok(acceptance)
        }
    }

    /// Whether the outcomes of the members, and that of the batch, go to so many services.
    fn check_callback_lists(&self, batch: &Batch) -> Result<()> {
        let Limits {
            callbacks,
            member_callbacks,
            ..
        } = *self.limits;
        let (each, last) = (batch.on_each.len(), batch.on_final.len());
        ListLimits::default()
            .check("/on_each", each, ("member_callbacks", member_callbacks))
            .check("/on_final", last, ("callbacks", callbacks))
            .reject()
    }

    fn prepare(&self, cid: Cid, batch: Batch, origin: &Origin<'_>) -> Result<CheckedBatch> {
        self.check_size(batch.calls.len())?;
        self.check_callback_lists(&batch)?;
        check_distinct(&batch)?;
        let on_each = self.acceptor.service_names(&batch.on_each)?;
        // A caller that names the batch can repeat it.
        let is_named = batch.cid.is_some() || batch.idempotency_key.is_some();
        let mut members = Members::default();
        if let Some(cid) = batch.cid {
            let reservation = self.reservations.reserve_for_accept(cid)?;
            members.reservations.push(reservation);
        }
        let mut failures = MemberFailures::default();
        for (position, call) in (0..).zip(batch.calls) {
            let member = Member {
                group: cid,
                position,
                on_each: on_each.clone(),
            };
            if let Err(error) = self.prepare_member(&mut members, call, origin, member, is_named) {
                failures.add(position, &error);
            }
        }
        failures.into_result()?;
        let fingerprints = std::mem::take(&mut members.fingerprints);
        // The input of a group tells it from another one with the same CID or key.
        let input = dict! {
            "members": members.invocations.len(),
            "on_each": texts(&on_each),
            "on_final": batch.on_final.clone(),
            "requests": is_named.then(|| fingerprint_of_all(fingerprints).to_string()),
        };
        let group = Group {
            members: u32::try_from(members.invocations.len()).unwrap_or(u32::MAX),
            on_each,
        };
        let options = DurableOptions {
            callbacks: batch.on_final,
            retention: batch.retention,
            idempotency_key: batch.idempotency_key,
            ..DurableOptions::default()
        };
        let mut group = self.new_group(cid, input.into(), group, options, origin)?;
        // What follows from the group is part of the trace in which it was asked for.
        if let Some(first) = members.invocations.first() {
            let trace = first.request.metadata.trace_only();
            Arc::make_mut(&mut group.request).metadata = trace;
        }
        Ok(CheckedBatch { group, members })
    }

    /// Checks a request and adds its invocation.
    fn prepare_member(
        &self,
        members: &mut Members,
        call: Call,
        origin: &Origin<'_>,
        member: Member,
        is_named: bool,
    ) -> Result<()> {
        let options = call.durable.as_deref();
        if options.is_some_and(|options| options.with_outcome) {
            let message = "a member of a batch is accepted with the batch, not with an outcome";
            return Err(Error::invalid_argument(reason::NOT_SUPPORTED, message));
        }
        if let Some(cid) = call.cid {
            let reservation = self.reservations.reserve_for_accept(cid)?;
            members.reservations.push(reservation);
        }
        let route = self.routes.find(&call.service)?;
        members.caller_cids.push(call.cid);
        let cid = call
            .cid
            .unwrap_or_else(|| Cid::derive_member(member.group, member.position));
        let (mut invocation, ignored) = self.acceptor.prepare(cid, call, origin.clone(), &route)?;
        ignored
            .names()
            .for_each(|name| members.ignored.add(name.to_owned()));
        let name = route.name().clone();
        // Before the gate is asked.
        let of_members = members.routes.entry(name).or_insert_with(|| MemberRoute {
            _accepting: route.gate.begin_acceptance(),
            route: Arc::clone(&route),
            members: 0,
        });
        of_members.members += 1;
        if let Err(error) = self.acceptor.check_open(&route, &invocation.request) {
            members.disabled.add(member.position, &error);
        }
        let request = Arc::make_mut(&mut invocation.request);
        if origin.parent.is_none() {
            request.root = member.group;
        }
        request.grouping = Some(Grouping::Member(member));
        if is_named {
            members.fingerprints.push(fingerprint_of(request)?);
        }
        members.invocations.push(invocation);
        Ok(())
    }

    fn new_group(
        &self,
        cid: Cid,
        input: Value,
        group: Group,
        options: DurableOptions,
        origin: &Origin<'_>,
    ) -> Result<Invocation> {
        let input = payload::encode(Payload::Value(input), Format::Dict)?;
        let now = self.clock.now();
        let mut request = Request::new(cid, ServiceName::none(), input, now);
        request.parent = origin.parent.map(|parent| parent.cid);
        request.root = origin.parent.map_or(cid, |parent| parent.root);
        request.principals = origin.acting.principals.clone();
        request.terms = self.acceptor.terms(Some(Box::new(options)), now)?;
        request.grouping = Some(Grouping::Group(group));
        Ok(self.acceptor.pending(request))
    }

    /// Whether the services that get the outcomes of the batch accept them.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `SERVICE_INACTIVE`.
    fn check_callbacks(&self, group: &Request) -> Result<()> {
        let on_each = group.group().into_iter().flat_map(|group| &group.on_each);
        let services = group.terms.callbacks.iter().chain(on_each);
        self.acceptor.check_all_open(services)
    }

    fn check_pending_limits(&self, members: &Members, cost: Cost) -> Result<()> {
        for of_members in members.routes.values() {
            let (route, count) = (&of_members.route, of_members.members);
            self.acceptor.check_pending_limits(route, count, cost)?;
        }
        cost.check_room(&*self.store, &self.limits)
    }
}

/// The answer to a batch that repeats an accepted one.
fn repeated(
    first: &Request,
    repeat: &Request,
    caller_cids: &[Option<Cid>],
    ignored: Ignored,
) -> Result<AcceptedGroup> {
    check_same(first, repeat)?;
    Ok(AcceptedGroup {
        cid: first.cid,
        members: Members::of_first(caller_cids, first.cid),
        already_accepted: true,
        ignored,
    })
}

/// The failures of the members of a batch, as one error.
#[derive(Default)]
struct MemberFailures {
    /// The error that all of them share, without violations.
    common: Option<Error>,
    violations: Vec<Violation>,
}

impl MemberFailures {
    fn add(&mut self, position: u32, error: &Error) {
        let path = format!("/requests/{position}");
        self.violations.extend(error.violations_at(&path));
        self.common = Some(match self.common.take() {
            None => Error::new(error.kind(), error.reason().to_owned(), error.message()),
            Some(common) if common.reason() == error.reason() => common,
            Some(_) => {
                let message = "requests of the batch cannot be accepted: see each violation";
                Error::invalid_argument(reason::REQUEST_INVALID, message)
            }
        });
    }

    fn into_result(self) -> Result<()> {
        match self.common {
            None => Ok(()),
            Some(error) => Err(self
                .violations
                .into_iter()
                .fold(error, Error::with_violation)),
        }
    }
}

/// Whether no two members have the same CID or the same key.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID`.
fn check_distinct(batch: &Batch) -> Result<()> {
    let mut cids: HashSet<_, RandomState> = batch.cid.into_iter().collect();
    let mut keys: HashSet<_, RandomState> = batch.idempotency_key.iter().collect();
    let mut violations = Vec::new();
    for (position, call) in batch.calls.iter().enumerate() {
        let options = call.durable.as_deref();
        let key = options.and_then(|options| options.idempotency_key.as_ref());
        let cid_is_new = call.cid.is_none_or(|cid| cids.insert(cid));
        let key_is_new = key.is_none_or(|key| keys.insert(key));
        for (field, is_new) in [("cid", cid_is_new), ("idempotency_key", key_is_new)] {
            if !is_new {
                let path = format!("/requests/{position}/{field}");
                let message = "is given twice in the batch";
                violations.push(Violation::new(path, "DUPLICATE", message));
            }
        }
    }
    Error::reject(reason::REQUEST_INVALID, violations)
}

/// `ALREADY_EXISTS` / `CID_IN_USE`, with the position of the member.
fn member_known(members: &[Cid], known: Cid) -> Error {
    let position = members.iter().position(|member| *member == known);
    let path = format!("/requests/{}", position.unwrap_or_default());
    let message = "its `cid` or its `idempotency_key` was accepted before";
    let violation = Violation::new(path, reason::CID_IN_USE, message);
    let message = "a member of the batch was accepted before: nothing of it is accepted";
    Error::already_exists(reason::CID_IN_USE, message).with_violation(violation)
}

fn fingerprint_of(request: &Request) -> Result<Fingerprint> {
    let input = payload::decode(request.input.clone())?;
    Ok(fingerprint(&request.service, &input))
}
