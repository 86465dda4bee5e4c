//! What follows from an outcome: callbacks, accepted together with it.

use jiff::Timestamp;

use crate::codec::payload;
use crate::dict;
use crate::engine::Invoker;
use crate::engine::durable::group_outcomes::{nested_size, without_body};
use crate::engine::results::hub::next_sequence;
use crate::model::error::Error;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{EventKind, InReplyTo, Invocation, Request, State};
use crate::model::payload::Payload;
use crate::model::value::{Dict, Value};

impl Invoker {
    /// The invocations of the callbacks of one that ends with this event.
    pub(in crate::engine) fn callbacks(
        &self,
        invocation: &Invocation,
        last: Option<&EventKind>,
        attempt: u32,
        now: Timestamp,
    ) -> Vec<Invocation> {
        let generation = self.0.store.generation();
        let next = |service: &ServiceName, input: &Payload| {
            follow_up(invocation, service, input.clone(), attempt, now, generation)
        };
        let terms = &invocation.request.terms;
        let (services, input) = match last {
            Some(EventKind::Succeeded(reply)) => (&terms.callbacks, reply.payload.clone()),
            Some(
                EventKind::Failed(error) | EventKind::Cancelled(error) | EventKind::Expired(error),
            ) => (&terms.failure_callbacks, described(error).into()),
            _ => return Vec::new(),
        };
        let mut callbacks: Vec<_> = services.iter().map(|name| next(name, &input)).collect();
        if let (Some(member), Some(last)) = (invocation.request.member(), last)
            && !member.on_each.is_empty()
        {
            let mut outcome = entry(&invocation.request, last, now);
            outcome.insert("group_cid", member.group.to_string());
            if nested_size(&outcome).is_none() {
                outcome = without_body(&outcome);
            }
            let outcome = Payload::from(outcome);
            callbacks.extend(member.on_each.iter().map(|name| next(name, &outcome)));
        }
        callbacks
    }

    /// Tells lanes and followers of what was accepted together with an outcome.
    pub(in crate::engine) fn begin_callbacks(&self, followed_by: &[Invocation]) {
        for next in followed_by {
            self.0.hub.ring(next.request.cid);
            if let Ok(route) = self.0.routes.find(next.request.service.as_str()) {
                self.wake(&route);
            }
        }
    }
}

/// An invocation that gets what another one came to.
pub(in crate::engine) fn follow_up(
    invocation: &Invocation,
    service: &ServiceName,
    input: Payload,
    attempt: u32,
    now: Timestamp,
    generation: u32,
) -> Invocation {
    let request = &invocation.request;
    let mut next = Request::new(Cid::new(), service.clone(), input, now);
    next.parent = Some(request.cid);
    next.root = request.root;
    next.terms.in_reply_to = Some(InReplyTo {
        cid: request.cid,
        service: request.service.clone(),
        attempt,
    });
    Invocation::accepted(next, next_sequence(0, generation))
}

/// What a member of a group came to, as those get it who are told of it.
pub(in crate::engine) fn entry(request: &Request, last: &EventKind, time: Timestamp) -> Dict {
    let state = last.terminal_state().map_or("", State::name);
    let mut entry = dict! {
        "position": request.member().map(|member| member.position),
        "cid": request.cid.to_string(),
        "service": request.service.as_str(),
        "state": state,
        "accept_time": request.accept_time.to_string(),
        "end_time": time.to_string(),
    };
    match last.outcome() {
        Some(Ok(reply)) => match payload::decode(reply.payload) {
            Ok(response) => entry.insert("response", response),
            // A document that is not of its format.
            Err(_) => entry.insert("truncated", true),
        },
        Some(Err(error)) => entry.insert("error", described(&error)),
        None => None,
    };
    entry
}

/// A failure as callbacks get it.
pub(in crate::engine) fn described(error: &Error) -> Dict {
    let violations = error.field_violations().iter().map(|violation| {
        dict! {
            "path": violation.path.as_str(),
            "code": &*violation.code,
            "message": violation.message.as_str(),
        }
    });
    dict! {
        "code": error.kind().name(),
        "reason": error.reason(),
        "message": error.message(),
        "retryable": error.is_retryable(),
        "violations": Value::List(violations.map(Dict::into).collect()),
    }
}
