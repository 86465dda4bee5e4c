//! Stored invocations, as `GetInvocation` and `ListInvocations` return them.

use super::event::{due_to_proto, progress_to_proto};
use super::state::state_to_proto;
use crate::codec::convert::failure::failure_of_invocation_to_proto;
use crate::codec::convert::metadata::metadata_to_proto;
use crate::codec::convert::payload::{PayloadOneof as _, format_of};
use crate::codec::convert::time::timestamp_to_proto;
use crate::codec::proto::v1;
use crate::model::access::Principal;
use crate::model::error::{Error, Result};
use crate::model::id::{Cid, texts};
use crate::model::invocation::{EventKind, Group, Invocation, NestedCall, State};

/// Converts an invocation to the contract's form; `full` adds the input and the attempts.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for a value that cannot be encoded.
pub fn invocation_to_proto(
    invocation: &Invocation,
    pending_reason: v1::PendingReason,
    full: bool,
) -> Result<v1::Invocation> {
    let request = &invocation.request;
    let time = |time: Option<jiff::Timestamp>| time.map(timestamp_to_proto);
    let cancel_requested = matches!(
        invocation.shown_state(),
        State::Running {
            cancel_requested: true
        }
    );
    // The current attempt is counted in `attempts` only when it ends.
    let waiting_for_completion = invocation.waits_for_completion();
    let last_failure = invocation.last_failure.as_ref();
    Ok(v1::Invocation {
        cid: request.cid.to_string(),
        service: request.service.to_string(),
        state: state_to_proto(invocation.shown_state()).into(),
        pending_reason: pending_reason.into(),
        cancel_requested,
        attempt: invocation.attempts + u32::from(waiting_for_completion),
        waiting_for_completion,
        accept_time: time(Some(request.accept_time)),
        start_time: due_to_proto(invocation.due),
        first_attempt_time: time(invocation.first_attempt_time),
        end_time: time(invocation.end_time),
        purge_time: time(invocation.purge_time),
        parent_cid: cid_to_proto(request.parent),
        root_cid: request.root.to_string(),
        concurrency_key: request.terms.concurrency_key.clone().unwrap_or_default(),
        expire_time: time(request.terms.expire_time),
        deadline: time(request.terms.deadline),
        retry_of: cid_to_proto(request.terms.retry_of),
        idempotency_key: request.terms.idempotency_key.clone().unwrap_or_default(),
        in_reply_to: request
            .terms
            .in_reply_to
            .as_ref()
            .map(|reply| reply.cid.to_string())
            .unwrap_or_default(),
        principal: principal(
            request
                .principals
                .as_deref()
                .and_then(|it| it.principal.as_ref()),
        ),
        acting_principal: principal(request.owner()),
        metadata: metadata_to_proto(&request.metadata),
        progress: invocation
            .progress
            .as_deref()
            .map(|shown| progress_to_proto(&shown.progress))
            .transpose()?,
        outcome: outcome_to_proto(invocation)?,
        last_failure: last_failure
            .map(|failure| failure_of_invocation_to_proto(request.cid, failure)),
        input: full.then(|| input_to_proto(invocation)).transpose()?,
        attempts: if full {
            attempts_to_proto(invocation)
        } else {
            Vec::new()
        },
        sequence: invocation.sequence(),
        group_cid: cid_to_proto(request.member().map(|member| member.group)),
        group_position: request.member().map_or(0, |member| member.position),
        group: request
            .group()
            .map(|group| group_to_proto(invocation, group)),
        retried_as: cid_to_proto(invocation.retried_as),
        ..v1::Invocation::default()
    })
}

/// The name of a principal; empty where there is none.
fn principal(principal: Option<&Principal>) -> String {
    principal.map(ToString::to_string).unwrap_or_default()
}

/// The text of a CID; empty where there is none.
fn cid_to_proto(cid: Option<Cid>) -> String {
    cid.map(|cid| cid.to_string()).unwrap_or_default()
}

fn group_to_proto(invocation: &Invocation, group: &Group) -> v1::Group {
    v1::Group {
        members: group.members,
        ended: group.members.saturating_sub(invocation.open_members),
        on_each: texts(&group.on_each),
        on_final: texts(&invocation.request.terms.callbacks),
    }
}

fn outcome_to_proto(invocation: &Invocation) -> Result<Option<v1::Outcome>> {
    let Some(outcome) = invocation.outcome() else {
        return Ok(None);
    };
    let cid = invocation.request.cid;
    Ok(Some(match outcome {
        Ok(reply) => v1::Outcome {
            data_format: format_of(&reply.payload).into(),
            metadata: metadata_to_proto(&reply.metadata),
            outcome: Some(v1::outcome::Outcome::from_payload(reply.payload)?),
        },
        Err(error) => v1::Outcome {
            outcome: Some(v1::outcome::Outcome::Failure(
                failure_of_invocation_to_proto(cid, &error),
            )),
            ..v1::Outcome::default()
        },
    }))
}

fn input_to_proto(invocation: &Invocation) -> Result<v1::Input> {
    let input = invocation.request.input.clone();
    Ok(v1::Input {
        data_format: format_of(&input).into(),
        input: Some(v1::input::Input::from_payload(input)?),
    })
}

fn nested_calls_to_proto(cid: Cid, calls: &[NestedCall]) -> Vec<v1::NestedCall> {
    let to_proto = |call: &NestedCall| v1::NestedCall {
        service: call.service.to_string(),
        caller: call.caller.to_string(),
        depth: call.depth,
        start_time: Some(timestamp_to_proto(call.start)),
        end_time: call
            .start
            .checked_add(call.duration)
            .ok()
            .map(timestamp_to_proto),
        failure: call
            .failure
            .as_ref()
            .map(|error| failure_of_invocation_to_proto(cid, error)),
    };
    calls.iter().map(to_proto).collect()
}

/// Rebuilds the attempts: each begins with a `Started` event and ends with the next event that is not an item. What
/// ends the invocation later, such as a cancellation while it is held, is not part of its last attempt.
fn attempts_to_proto(invocation: &Invocation) -> Vec<v1::Attempt> {
    let cid = invocation.request.cid;
    let mut attempts: Vec<v1::Attempt> = Vec::new();
    for event in &invocation.events {
        let time = Some(timestamp_to_proto(event.time));
        let (failure, end_time) = match &event.kind {
            EventKind::Accepted { .. } | EventKind::Item(_) => continue,
            EventKind::Started { worker, calls } => {
                // Stores of earlier versions have no event for the end of an attempt that does not count.
                attempts.pop_if(|last| last.number == event.attempt && last.end_time.is_none());
                attempts.push(v1::Attempt {
                    number: event.attempt,
                    start_time: time,
                    worker: worker.clone(),
                    nested_calls: nested_calls_to_proto(cid, &calls.calls),
                    omitted_nested_calls: calls.omitted,
                    ..v1::Attempt::default()
                });
                continue;
            }
            EventKind::Succeeded(_) => (None, time),
            EventKind::RetryScheduled { failure, .. } => (Some(failure), time),
            EventKind::Failed(error) | EventKind::Cancelled(error) | EventKind::Expired(error) => {
                (Some(error), time)
            }
        };
        if let Some(attempt) = attempts
            .last_mut()
            .filter(|last| last.number == event.attempt && last.end_time.is_none())
        {
            attempt.end_time = end_time;
            attempt.failure = failure.map(|failure| failure_of_invocation_to_proto(cid, failure));
            attempt.trace = failure.and_then(Error::trace).unwrap_or_default();
        }
    }
    attempts
}
