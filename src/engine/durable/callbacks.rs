//! Callbacks: invocations of other services with an outcome, accepted in the transaction that records it.

use jiff::Timestamp;

use crate::codec::failure::failure_dict;
use crate::codec::payload;
use crate::dict;
use crate::engine::durable::group_outcomes::{nested_size, without_body};
use crate::engine::results::live::next_sequence;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{EventKind, InReplyTo, Invocation, Request, State};
use crate::model::metadata::Metadata;
use crate::model::payload::Payload;
use crate::model::value::Dict;

/// The callbacks of an invocation that ends with an event, to be accepted together with its outcome. `trace` has the
/// trace context of what ends it.
pub(in crate::engine) fn of(
    invocation: &Invocation,
    last: Option<&EventKind>,
    attempt: u32,
    now: Timestamp,
    generation: u32,
    trace: &Metadata,
) -> Vec<Invocation> {
    let callback = |service: &ServiceName, input: &Payload| {
        let input = input.clone();
        callback(invocation, service, input, attempt, now, generation, trace)
    };
    let terms = &invocation.request.terms;
    let (services, input) = match last {
        Some(EventKind::Succeeded(reply)) => (&terms.callbacks, reply.payload.clone()),
        Some(
            EventKind::Failed(error) | EventKind::Cancelled(error) | EventKind::Expired(error),
        ) => (&terms.failure_callbacks, failure_dict(error).into()),
        _ => return Vec::new(),
    };
    let mut callbacks: Vec<_> = services.iter().map(|name| callback(name, &input)).collect();
    if let (Some(member), Some(last)) = (invocation.request.member(), last)
        && !member.on_each.is_empty()
    {
        let mut outcome = member_outcome(&invocation.request, last, now);
        outcome.insert("group_cid", member.group.to_string());
        if nested_size(&outcome).is_none() {
            outcome = without_body(&outcome);
        }
        let outcome = Payload::from(outcome);
        callbacks.extend(member.on_each.iter().map(|name| callback(name, &outcome)));
    }
    callbacks
}

/// An invocation of a service with the outcome of another invocation; `trace` as for [`of`].
pub(in crate::engine) fn callback(
    invocation: &Invocation,
    service: &ServiceName,
    input: Payload,
    attempt: u32,
    now: Timestamp,
    generation: u32,
    trace: &Metadata,
) -> Invocation {
    let request = &invocation.request;
    let mut next = Request::new(Cid::new(), service.clone(), input, now);
    next.metadata = trace.trace_only();
    next.parent = Some(request.cid);
    next.root = request.root;
    next.principals = request.principals.clone();
    next.terms.in_reply_to = Some(InReplyTo {
        cid: request.cid,
        service: request.service.clone(),
        attempt,
    });
    Invocation::accepted(next, next_sequence(0, generation))
}

/// The outcome of a member of a group, as its callbacks get it.
pub(in crate::engine) fn member_outcome(
    request: &Request,
    last: &EventKind,
    time: Timestamp,
) -> Dict {
    let state = last.terminal_state().map_or("", State::name);
    let mut outcome = dict! {
        "position": request.member().map(|member| member.position),
        "cid": request.cid.to_string(),
        "service": request.service.as_str(),
        "state": state,
        "accept_time": request.accept_time.to_string(),
        "end_time": time.to_string(),
    };
    match last.outcome() {
        Some(Ok(reply)) => match payload::decode(reply.payload) {
            Ok(response) => outcome.insert("response", response),
            // The document is not of its format.
            Err(_) => outcome.insert("truncated", true),
        },
        Some(Err(error)) => outcome.insert("error", failure_dict(&error)),
        None => None,
    };
    outcome
}
