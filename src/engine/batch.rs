//! Accepting many invocations at once: all of them or none, under a group CID.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::codec::payload;
use crate::dict;
use crate::engine::Invoker;
use crate::engine::accept::{check_same, removed_before};
use crate::engine::dispatch::Dispatch;
use crate::engine::hub::next_sequence;
use crate::engine::names::Name;
use crate::engine::routes::Route;
use crate::engine::store::Acceptance;
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::{Call, DurableOptions};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::{Cid, ServiceName, texts};
use crate::model::invocation::{
    Fingerprint, Group, Grouping, Invocation, Member, Request, fingerprint, fingerprint_of_all,
};
use crate::model::payload::{Format, Payload};
use crate::model::sio::Ignored;
use crate::model::value::Value;

/// A batch that was checked, ready to be stored.
struct Prepared {
    group: Invocation,
    members: Members,
}

/// The members of a batch.
#[derive(Default)]
struct Members {
    invocations: Vec<Invocation>,
    /// Their services, each once, with how many it gets.
    routes: HashMap<ServiceName, (Arc<Route>, usize), RandomState>,
    /// The keys that are not declared and are dropped.
    ignored: Ignored,
    /// What tells them from others, where that may be asked.
    fingerprints: Vec<Fingerprint>,
    /// The CIDs that the caller brought for them, if any.
    brought: Vec<Option<Cid>>,
    /// All that the caller brought: taken until all is stored.
    names: Vec<Name>,
}

impl Members {
    /// The members of a group that was accepted before, by the same requests.
    fn of_first(brought: &[Option<Cid>], group: Cid) -> Vec<Cid> {
        let brought = brought.iter().zip(0..);
        brought
            .map(|(cid, position)| cid.unwrap_or_else(|| Cid::derive_member(group, position)))
            .collect()
    }

    fn cids(&self) -> Vec<Cid> {
        let invocations = self.invocations.iter();
        invocations.map(|member| member.request.cid).collect()
    }
}

impl Invoker {
    /// Accepts a batch for a caller from outside. Once this resolves all of it is stored and will run.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `BATCH_LIMIT`; what is wrong with members, all of it, by the paths of the requests;
    /// `ALREADY_EXISTS` / `CID_IN_USE` where a member was accepted before, or `IDEMPOTENCY_MISMATCH`; what a limit
    /// says.
    pub async fn invoke_batch(&self, batch: Batch) -> Result<AcceptedGroup> {
        self.check_accepting()?;
        self.accept_batch(batch, None).await
    }

    /// Whether a batch may have so many requests: asked before they are read.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `BATCH_LIMIT`.
    pub fn check_batch_size(&self, requests: usize) -> Result<()> {
        let limit = self.limits().batch;
        if requests <= limit {
            return Ok(());
        }
        let message = format!("{requests} requests in one batch; the limit is {limit}");
        Err(Error::invalid_argument(reason::BATCH_LIMIT, message).with_info("batch", limit))
    }

    pub(super) async fn accept_batch(
        &self,
        batch: Batch,
        parent: Option<&Dispatch>,
    ) -> Result<AcceptedGroup> {
        let cid = batch.cid.unwrap_or_else(Cid::new);
        let accepted = self.accept_batch_as(cid, batch, parent).await;
        accepted.map_err(|error| match error.cid() {
            Some(_) => error,
            None => error.with_cid(cid),
        })
    }

    async fn accept_batch_as(
        &self,
        cid: Cid,
        batch: Batch,
        parent: Option<&Dispatch>,
    ) -> Result<AcceptedGroup> {
        let prepared = self.prepare_batch(cid, batch, parent)?;
        let request = Arc::clone(&prepared.group.request);
        let ignored = prepared.members.ignored.clone();
        let brought = prepared.members.brought.clone();
        if let Err(full) = self.check_room_for_all(&prepared.members) {
            // Said again, it needs no room.
            return match self.known(&request).await? {
                Some(first) => accepted_before(&first, &request, &brought, ignored),
                None => Err(full),
            };
        }
        let members = prepared.members.cids();
        let store = self.clone().store_batch(cid, prepared);
        match self.0.tasks.run_to_completion("accept", store).await? {
            Acceptance::Stored => Ok(AcceptedGroup {
                cid,
                members,
                already_accepted: false,
                ignored,
            }),
            Acceptance::Known(first) => accepted_before(&first, &request, &brought, ignored),
            Acceptance::Removed(tombstone) => Err(removed_before(cid, &tombstone)),
            Acceptance::MemberKnown(member) => Err(member_known(&members, member)),
        }
    }

    /// Stores a batch and tells whoever waits for it; its caller may go away meanwhile.
    async fn store_batch(self, cid: Cid, prepared: Prepared) -> Result<Acceptance> {
        let Prepared { group, members } = prepared;
        let cids = members.cids();
        let Members {
            invocations,
            routes,
            names,
            ..
        } = members;
        let acceptance = self.0.store.accept_group(group, invocations).await?;
        if matches!(acceptance, Acceptance::Stored) {
            for cid in std::iter::once(cid).chain(cids.iter().copied()) {
                self.0.hub.ring(cid);
            }
            for (route, _) in routes.values() {
                self.wake(route);
            }
            // One without members is over.
            if cids.is_empty() {
                self.look_after_groups();
            }
        }
        drop(names);
        Ok(acceptance)
    }

    fn prepare_batch(&self, cid: Cid, batch: Batch, parent: Option<&Dispatch>) -> Result<Prepared> {
        self.check_batch_size(batch.calls.len())?;
        check_distinct(&batch)?;
        let on_each = self.announced(&batch.on_each)?;
        // Whoever names what it asks for may ask for it again.
        let is_named = batch.cid.is_some() || batch.idempotency_key.is_some();
        let mut members = Members::default();
        if let Some(brought) = batch.cid {
            members.names.push(self.0.names.take_to_accept(brought)?);
        }
        let mut faults = Faults::default();
        for (position, call) in (0..).zip(batch.calls) {
            let place = Member {
                group: cid,
                position,
                on_each: on_each.clone(),
            };
            if let Err(error) = self.prepare_member(&mut members, call, parent, place, is_named) {
                faults.add(position, &error);
            }
        }
        faults.check()?;
        let Members {
            invocations,
            fingerprints,
            ..
        } = &mut members;
        let fingerprints = std::mem::take(fingerprints);
        let said = dict! {
            "members": invocations.len(),
            "on_each": texts(&on_each),
            "on_final": batch.on_final.clone(),
            "requests": is_named.then(|| fingerprint_of_all(fingerprints).to_string()),
        };
        let group = Group {
            members: u32::try_from(invocations.len()).unwrap_or(u32::MAX),
            on_each,
        };
        let background = DurableOptions {
            callbacks: batch.on_final,
            retention: batch.retention,
            idempotency_key: batch.idempotency_key,
            ..DurableOptions::default()
        };
        let group = self.new_group(cid, said.into(), group, background, parent)?;
        Ok(Prepared { group, members })
    }

    /// Checks a request and adds what it asks for.
    fn prepare_member(
        &self,
        members: &mut Members,
        call: Call,
        parent: Option<&Dispatch>,
        place: Member,
        is_named: bool,
    ) -> Result<()> {
        let asked = call.durable.as_deref();
        if asked.is_some_and(|asked| asked.with_outcome) {
            let message = "a member of a batch is accepted with the batch, not with an outcome";
            return Err(Error::invalid_argument(reason::NOT_SUPPORTED, message));
        }
        if let Some(brought) = call.cid {
            members.names.push(self.0.names.take_to_accept(brought)?);
        }
        let route = self.0.routes.find(&call.service)?;
        members.brought.push(call.cid);
        let cid = call
            .cid
            .unwrap_or_else(|| Cid::derive_member(place.group, place.position));
        let (mut invocation, ignored) = self.prepare(cid, call, parent, &route)?;
        ignored
            .names()
            .for_each(|name| members.ignored.add(name.to_owned()));
        let request = Arc::make_mut(&mut invocation.request);
        if parent.is_none() {
            request.root = place.group;
        }
        request.grouping = Some(Grouping::Member(place));
        if is_named {
            members.fingerprints.push(fingerprint_of(request)?);
        }
        let name = route.name().clone();
        let (_, count) = members.routes.entry(name).or_insert((route, 0));
        *count += 1;
        members.invocations.push(invocation);
        Ok(())
    }

    fn new_group(
        &self,
        cid: Cid,
        said: Value,
        group: Group,
        background: DurableOptions,
        parent: Option<&Dispatch>,
    ) -> Result<Invocation> {
        let now = self.0.clock.now();
        let input = payload::encode(Payload::Value(said), Format::Dict)?;
        let mut request = Request::new(cid, ServiceName::none(), input, now);
        request.parent = parent.map(|parent| parent.cid);
        request.root = parent.map_or(cid, |parent| parent.root);
        request.terms = self.terms(Some(Box::new(background)), now)?;
        request.grouping = Some(Grouping::Group(group));
        let sequence = next_sequence(0, self.0.store.generation());
        Ok(Invocation::accepted(request, sequence))
    }

    fn check_room_for_all(&self, members: &Members) -> Result<()> {
        let mut routes = members.routes.values();
        routes.try_for_each(|(route, count)| self.check_room(route, *count))?;
        self.check_room_in_all(members.invocations.len())
    }
}

/// Answers with the first group, of which another one is the same said again.
fn accepted_before(
    first: &Request,
    again: &Request,
    brought: &[Option<Cid>],
    ignored: Ignored,
) -> Result<AcceptedGroup> {
    check_same(first, again)?;
    Ok(AcceptedGroup {
        cid: first.cid,
        members: Members::of_first(brought, first.cid),
        already_accepted: true,
        ignored,
    })
}

/// What is wrong with the members of a batch.
#[derive(Default)]
struct Faults {
    /// The failure they have in common, but for its violations.
    common: Option<Error>,
    violations: Vec<Violation>,
}

impl Faults {
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

    fn check(self) -> Result<()> {
        match self.common {
            None => Ok(()),
            Some(error) => Err(self
                .violations
                .into_iter()
                .fold(error, Error::with_violation)),
        }
    }
}

/// Two members with one CID, or one key, would be one.
fn check_distinct(batch: &Batch) -> Result<()> {
    let mut cids: HashSet<_, RandomState> = batch.cid.into_iter().collect();
    let mut keys: HashSet<_, RandomState> = batch.idempotency_key.iter().collect();
    let mut violations = Vec::new();
    for (position, call) in batch.calls.iter().enumerate() {
        let asked = call.durable.as_deref();
        let key = asked.and_then(|asked| asked.idempotency_key.as_ref());
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
    match violations.is_empty() {
        true => Ok(()),
        false => Err(Error::violations(reason::REQUEST_INVALID, violations)),
    }
}

/// `ALREADY_EXISTS` / `CID_IN_USE`, with the place of the member.
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
