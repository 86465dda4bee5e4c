//! Accepting asynchronous invocations: "accepted" means stored.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::codec::{payload, sio};
use crate::engine::Invoker;
use crate::engine::clock::later;
use crate::engine::dispatch::Dispatch;
use crate::engine::hub::{Live, next_sequence};
use crate::engine::invoke::with_trace_of;
use crate::engine::names;
use crate::engine::routes::Route;
use crate::engine::store::{Acceptance, Stored, Tombstone};
use crate::model::call::{Accepted, Call, DurableOptions, Start};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{HELD, Invocation, Request, Terms, fingerprint};
use crate::model::payload::{Format, Payload};
use crate::model::sio::Ignored;

impl Invoker {
    /// Accepts an invocation for a caller from outside. Once this resolves it is stored and will run.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `ALREADY_EXISTS` / `CID_IN_USE` or `IDEMPOTENCY_MISMATCH`; what a limit says.
    pub async fn invoke_async(&self, call: Call) -> Result<Accepted> {
        self.check_accepting()?;
        self.accept(call, None).await
    }

    pub(super) async fn accept(&self, call: Call, parent: Option<&Dispatch>) -> Result<Accepted> {
        let route = self.0.routes.find(&call.service)?;
        let cid = call.cid.unwrap_or_else(Cid::new);
        let accepted = self.accept_as(cid, call, parent, &route).await;
        accepted.map_err(|error| error.with_cid(cid))
    }

    async fn accept_as(
        &self,
        cid: Cid,
        call: Call,
        parent: Option<&Dispatch>,
        route: &Arc<Route>,
    ) -> Result<Accepted> {
        let name = match call.cid {
            Some(brought) => Some(self.0.names.take_to_accept(brought)?),
            None => None,
        };
        let (invocation, ignored) = self.prepare(cid, call, parent, route)?;
        let request = Arc::clone(&invocation.request);
        if let Err(full) = self.check_room(route, 1) {
            // Said again, it needs no room.
            let Some(first) = self.known(&request).await? else {
                return Err(full);
            };
            return accepted_before(&first, &request, ignored);
        }
        // Whoever asks may go away while it is written: its lane has to hear of it all the same.
        let (invoker, lane) = (self.clone(), Arc::clone(route));
        let wake = invocation.next_wakeup();
        let store = async move {
            let acceptance = invoker.0.store.accept(invocation).await?;
            if matches!(acceptance, Acceptance::Stored) {
                invoker.0.hub.ring(cid);
                invoker.wake_by(&lane, wake);
            }
            drop(name);
            Ok::<_, Error>(acceptance)
        };
        match self.0.tasks.run_to_completion("accept", store).await? {
            Acceptance::Stored => Ok(Accepted {
                cid,
                already_accepted: false,
                ignored,
            }),
            Acceptance::Known(first) => accepted_before(&first, &request, ignored),
            Acceptance::Removed(tombstone) => Err(removed_before(cid, &tombstone)),
            Acceptance::MemberKnown(cid) => Err(names::in_use(cid)),
        }
    }

    /// Checks a call and makes the invocation that it asks for.
    pub(super) fn prepare(
        &self,
        cid: Cid,
        call: Call,
        parent: Option<&Dispatch>,
        route: &Route,
    ) -> Result<(Invocation, Ignored)> {
        sio::check_format(route.definition.declaration(), call.response_format)?;
        let ignored = self.check_storable(route, &call.input)?;
        Ok((self.new_invocation(cid, call, parent, route)?, ignored))
    }

    /// Accepts an invocation together with the response of the handler that asks for it.
    pub(super) async fn accept_with_outcome(
        &self,
        call: Call,
        parent: &Dispatch,
        live: &Live,
    ) -> Result<Accepted> {
        let route = self.0.routes.find(&call.service)?;
        let (cid, is_made_here) = (call.cid.unwrap_or_else(Cid::new), call.cid.is_none());
        let (invocation, ignored) = self.prepare(cid, call, Some(parent), &route)?;
        let request = Arc::clone(&invocation.request);
        // What has neither a CID nor a key that somebody brought is new: the store need not be asked.
        let known = match is_made_here && request.terms.idempotency_key.is_none() {
            true => None,
            false => self.known(&request).await?,
        };
        let first = match known {
            Some(first) => Some(first),
            None => {
                self.check_room(&route, 1)?;
                live.follow_up(invocation)?
            }
        };
        match first {
            Some(first) => accepted_before(&first, &request, ignored),
            None => Ok(Accepted {
                cid,
                already_accepted: false,
                ignored,
            }),
        }
    }

    /// The first request with the CID or the key of one that is not stored yet.
    pub(super) async fn known(&self, request: &Request) -> Result<Option<Arc<Request>>> {
        let store = &self.0.store;
        let by_key = match &request.terms.idempotency_key {
            Some(key) => {
                let (service, key) = (request.service.clone(), key.clone());
                store.find_by_idempotency_key(service, key).await?
            }
            None => None,
        };
        match store.get(by_key.unwrap_or(request.cid)).await? {
            Stored::Found(found) => Ok(Some(found.request)),
            Stored::Removed(_) | Stored::Unknown => Ok(None),
        }
    }

    /// Checks an input before its CID is answered. It is stored as it came, and checked again when it is dispatched.
    fn check_storable(&self, route: &Route, input: &Payload) -> Result<Ignored> {
        match input {
            // Whoever reads it: what is malformed is told before the CID is.
            Payload::Document(..) => {
                let declaration = route.definition.declaration();
                Ok(sio::read_input(declaration, input.clone())?.ignored)
            }
            _ if route.definition.declaration().input.is_some() => {
                Ok(self.admit(route, input.clone())?.ignored)
            }
            encoded => payload::scan(encoded).map(|()| Ignored::default()),
        }
    }

    /// Whether there is room for so many more of a service.
    pub(super) fn check_room(&self, route: &Route, more: usize) -> Result<()> {
        let limit = route.options.pending_limit;
        if self
            .0
            .store
            .pending_count(route.name())
            .saturating_add(more)
            > limit
        {
            let of = format!("of `{}`", route.name());
            return Err(too_many_pending(&of, limit));
        }
        self.check_room_in_all(more)
    }

    /// Whether there is room for so many more, whatever their services.
    pub(super) fn check_room_in_all(&self, more: usize) -> Result<()> {
        let limit = self.0.limits.node_pending;
        match self.0.store.total_pending_count().saturating_add(more) > limit {
            true => Err(too_many_pending("in all", limit)),
            false => Ok(()),
        }
    }

    /// The terms an invocation is accepted under.
    pub(super) fn terms(
        &self,
        asked: Option<Box<DurableOptions>>,
        now: Timestamp,
    ) -> Result<Terms> {
        let Some(asked) = asked else {
            return Ok(Terms::default());
        };
        let start_time = asked.start.map(|start| match start {
            Start::After(delay) => later(now, delay),
            Start::At(time) => time.max(now),
        });
        check_keys(&asked)?;
        Ok(Terms {
            start_time: start_time.map(|time| time.min(HELD)),
            expire_time: asked.expiration.map(|expiration| later(now, expiration)),
            deadline: asked.deadline,
            retry_policy: asked.retry_policy,
            hold: asked.hold,
            callbacks: self.announced(&asked.callbacks)?,
            failure_callbacks: self.announced(&asked.failure_callbacks)?,
            retention: asked.retention,
            idempotency_key: asked.idempotency_key,
            concurrency_key: asked.concurrency_key,
            at_most_once: asked.at_most_once,
            in_reply_to: None,
            retry_of: asked.retry_of,
        })
    }

    /// The names of callbacks: those that nobody ever announced are refused.
    pub(super) fn announced(&self, names: &[String]) -> Result<Vec<ServiceName>> {
        let find = |name: &String| Ok(self.0.routes.find(name)?.name().clone());
        names.iter().map(find).collect()
    }

    fn new_invocation(
        &self,
        cid: Cid,
        call: Call,
        parent: Option<&Dispatch>,
        route: &Route,
    ) -> Result<Invocation> {
        // A caller from outside has said all there is to hand on.
        let metadata = match parent {
            Some(parent) => {
                let own = call.metadata.unwrap_or_default();
                Some(with_trace_of(own, &parent.metadata)?)
            }
            None => call.metadata,
        };
        let now = self.0.clock.now();
        let terms = self.terms(call.durable, now)?;
        let request = Request {
            cid,
            service: route.name().clone(),
            input: storable(call.input)?,
            response_format: call.response_format,
            metadata: metadata.map(Arc::unwrap_or_clone).unwrap_or_default(),
            attempt_timeout: call.timeout,
            parent: parent.map(|parent| parent.cid),
            root: parent.map_or(cid, |parent| parent.root),
            accept_time: now,
            terms,
            grouping: None,
        };
        let sequence = next_sequence(0, self.0.store.generation());
        Ok(Invocation::accepted(request, sequence))
    }
}

fn check_keys(asked: &DurableOptions) -> Result<()> {
    let too_long = |(field, key): (&'static str, &Option<String>)| {
        key.as_ref()
            .filter(|key| key.len() > Terms::MAX_KEY_BYTES)?;
        let message = format!("is longer than {} bytes", Terms::MAX_KEY_BYTES);
        Some(Violation::new(field, "TOO_LARGE", message))
    };
    let violations: Vec<Violation> = [
        ("/idempotency_key", &asked.idempotency_key),
        ("/concurrency_key", &asked.concurrency_key),
    ]
    .into_iter()
    .filter_map(too_long)
    .collect();
    match violations.is_empty() {
        true => Ok(()),
        false => Err(Error::violations(reason::REQUEST_INVALID, violations)),
    }
}

/// What is stored is encoded: as it came, where it came encoded.
fn storable(input: Payload) -> Result<Payload> {
    match input {
        Payload::Value(_) => payload::encode(input, Format::Dict),
        encoded => Ok(encoded),
    }
}

/// Answers with the first request, of which another one is the same said again.
fn accepted_before(first: &Request, again: &Request, ignored: Ignored) -> Result<Accepted> {
    check_same(first, again)?;
    Ok(Accepted {
        cid: first.cid,
        already_accepted: true,
        ignored,
    })
}

/// Whether what was accepted before under a CID, or a key, is the same said again.
pub(super) fn check_same(first: &Request, again: &Request) -> Result<()> {
    let same = first.service == again.service && {
        let decoded = |request: &Request| payload::decode(request.input.clone());
        match (decoded(first), decoded(again)) {
            (Ok(one), Ok(other)) => {
                fingerprint(&first.service, &one) == fingerprint(&again.service, &other)
            }
            // What cannot be read is the same where its bytes are.
            _ => first.input.same_bytes(&again.input),
        }
    };
    if same {
        return Ok(());
    }
    let message = match first.group() {
        Some(_) => format!(
            "{} was accepted before, as a group of other requests",
            first.cid
        ),
        None => format!(
            "CID {} was accepted before, for `{}` with another input or under another name",
            first.cid, first.service
        ),
    };
    Err(Error::already_exists(reason::IDEMPOTENCY_MISMATCH, message))
}

/// `ALREADY_EXISTS` / `RESULT_EXPIRED`.
pub(super) fn removed_before(cid: Cid, tombstone: &Tombstone) -> Error {
    let message = format!(
        "CID {cid} was accepted before; its outcome ({}) is no longer kept",
        tombstone.end_time
    );
    Error::already_exists(reason::RESULT_EXPIRED, message)
}

fn too_many_pending(of: &str, limit: usize) -> Error {
    let message = format!("{limit} invocations {of} are pending already");
    Error::resource_exhausted(reason::PENDING_LIMIT, message)
        .with_info("pending", limit)
        .with_retry_after(Duration::from_secs(1))
}
