//! What an invocation waits for, in a sentence, and what to do about it.

use std::time::Duration;

use jiff::Timestamp;

use crate::app::cli::control_text::{control_text, undo};
use crate::app::cli::times::{age, between, duration_text, local_time};
use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;
use crate::engine::clock::Clock;

/// The largest count of invocations before another one; a larger one is not exact.
const MAX_COUNTED: u32 = 1_000;

/// What an invocation waits for; `None` if it has ended or runs.
pub(super) fn what_for(
    invocation: &v1::Invocation,
    service: Option<&v1::ServiceDescription>,
) -> Option<String> {
    let first = first_reason(invocation, service)?;
    if invocation.pending_reason() == v1::PendingReason::Paused {
        return Some(first);
    }
    // What is paused as well would wait on.
    let control = service.and_then(|service| service.control.as_ref());
    Some(match (control, invocation.paused) {
        (Some(_), _) | (None, true) => {
            format!("{first}. Besides, {}", paused(&invocation.service, service))
        }
        (None, false) => first,
    })
}

fn first_reason(
    invocation: &v1::Invocation,
    service: Option<&v1::ServiceDescription>,
) -> Option<String> {
    let name = &invocation.service;
    Some(match invocation.pending_reason() {
        v1::PendingReason::Unspecified => return None,
        v1::PendingReason::DueLater => format!("it is due {}", when(invocation)),
        v1::PendingReason::Backoff => format!(
            "{} failed; the next one is due {}",
            attempt(invocation),
            when(invocation)
        ),
        v1::PendingReason::Queued => queued(invocation, service),
        v1::PendingReason::NoWorker => no_worker(name, service),
        v1::PendingReason::NoCompatibleWorker => {
            let failure = invocation.last_failure.as_ref();
            let why = failure.map(|failure| format!(": {}", failure.message));
            let why = why.unwrap_or_default();
            format!("no connected worker accepts its input{why}")
        }
        v1::PendingReason::KeyBusy => {
            let key = &invocation.concurrency_key;
            match invocation.key_holder_cid.as_str() {
                "" => format!("an earlier invocation with the key `{key}` has not ended"),
                holder => format!(
                    "its key `{key}` is busy with {holder}: `cidery explain {holder}` shows why"
                ),
            }
        }
        v1::PendingReason::Paused => paused(name, service),
        v1::PendingReason::Held => held(invocation),
    })
}

/// `attempt 3 of 25`
fn attempt(invocation: &v1::Invocation) -> String {
    let (number, max) = (invocation.attempt, invocation.max_attempts);
    match max {
        0 => format!("attempt {number}"),
        max => format!("attempt {number} of {max}"),
    }
}

/// `in 5m 3s`
fn when(invocation: &v1::Invocation) -> String {
    let due = invocation.start_time.as_ref();
    let Some(due) = due.and_then(timestamp_from_proto) else {
        return "later".to_owned();
    };
    let left = between(Clock::System.now(), due);
    match Duration::from_secs(left.as_secs()) {
        Duration::ZERO => "within a second".to_owned(),
        seconds => format!("in {}", duration_text(seconds)),
    }
}

fn queued(invocation: &v1::Invocation, service: Option<&v1::ServiceDescription>) -> String {
    let name = &invocation.service;
    let ahead = match invocation.invocations_ahead {
        Some(0) => "it is the next one".to_owned(),
        Some(1) => "1 invocation is before it".to_owned(),
        Some(ahead @ 2..=MAX_COUNTED) => format!("{ahead} invocations are before it"),
        Some(_) => format!("more than {MAX_COUNTED} invocations are before it"),
        None => "it is queued".to_owned(),
    };
    match service {
        Some(service) => {
            let limit = service.effective_options.as_ref();
            let limit = limit.map_or(0, |options| options.concurrency);
            let running = match service.running {
                1 => "1 handler".to_owned(),
                running => format!("{running} handlers"),
            };
            let run = if service.running == 1 { "runs" } else { "run" };
            format!("{ahead}; {running} of `{name}` {run}, its limit is {limit}")
        }
        None => ahead,
    }
}

fn no_worker(name: &str, service: Option<&v1::ServiceDescription>) -> String {
    let locations = service.map(|service| service.locations.as_slice());
    let locations = locations.unwrap_or_default();
    let away: Vec<&str> = locations
        .iter()
        .filter(|location| location.away)
        .map(|location| location.worker_name.as_str())
        .collect();
    let away = match away.as_slice() {
        [] => String::new(),
        names => format!(" ({} may reconnect)", names.join(", ")),
    };
    let left = service.and_then(|service| service.last_served_time.as_ref());
    let left = left.and_then(timestamp_from_proto);
    let since = left.map(|time| format!(" since {}", since(time)));
    let since = since.unwrap_or_default();
    format!("no worker serves `{name}`{since}: start one{away}")
}

/// Who paused a service and why; if no operator did, the node is held.
fn paused(name: &str, service: Option<&v1::ServiceDescription>) -> String {
    match service.and_then(|service| service.control.as_ref()) {
        Some(control) => {
            let (what, undo) = (control_text(control), undo(control));
            format!("`{name}` is {what} ({undo})")
        }
        None => "the node is held (`cidery resume` lets it go on)".to_owned(),
    }
}

fn held(invocation: &v1::Invocation) -> String {
    let cid = &invocation.cid;
    let ended = invocation.attempts.last();
    let ended = ended.and_then(|attempt| attempt.end_time.as_ref());
    let ended = ended.and_then(timestamp_from_proto);
    let since = ended.map(|time| format!(" since {}", since(time)));
    let since = since.unwrap_or_default();
    let failure = invocation.last_failure.as_ref();
    let why = failure.map(|failure| format!(" ({})", failure.reason));
    let (attempt, why) = (attempt(invocation), why.unwrap_or_default());
    format!(
        "for an operator: held{since} after {attempt}{why}. Release it: `cidery retry {cid}`, with another input: \
         `cidery retry {cid} --json JSON`, or end it: `cidery cancel {cid}`"
    )
}

/// `2026-01-31 08:30:00 (5m)`
fn since(time: Timestamp) -> String {
    format!("{} ({})", local_time(time), age(time))
}
