//! The events of an invocation in order, with their times.

use crate::app::cli::names::state_name;
use crate::app::cli::times::local_time_exact;
use crate::codec::convert::{failure_from_proto, timestamp_from_proto};
use crate::codec::proto::v1;

/// The rows of the timeline: when, and what. `waits`: what it waits for.
pub(super) fn rows(invocation: &v1::Invocation, waits: Option<&str>) -> Vec<[String; 2]> {
    let mut timeline = vec![[at(invocation.accept_time.as_ref()), "accepted".to_owned()]];
    for attempt in &invocation.attempts {
        let place = match attempt.worker.as_str() {
            "" => "the node",
            worker => worker,
        };
        let number = attempt.number;
        let started = format!("attempt {number} started on {place}");
        timeline.push([at(attempt.start_time.as_ref()), started]);
        timeline.extend(attempt.nested_calls.iter().map(called));
        if let more @ 1.. = attempt.omitted_nested_calls {
            timeline.push([String::new(), format!("  and {more} more calls")]);
        }
        let ended = match &attempt.failure {
            Some(failure) => {
                let error = failure_from_proto(failure.clone());
                format!("attempt {number} failed: {error} ({})", error.reason())
            }
            None if attempt.end_time.is_some() => format!("attempt {number} succeeded"),
            None => continue,
        };
        timeline.push([at(attempt.end_time.as_ref()), ended]);
    }
    match invocation.end_time {
        Some(_) => timeline.extend(end(invocation)),
        None => timeline.extend(next(invocation)),
    }
    timeline.extend(waits.map(|what| [String::new(), format!("waits: {what}")]));
    timeline
}

/// A synchronous call of an attempt, indented by how deep it was.
fn called(call: &v1::NestedCall) -> [String; 2] {
    let indent = "  ".repeat(usize::try_from(call.depth).unwrap_or_default());
    let service = &call.service;
    let what = match &call.failure {
        Some(failure) => format!("{indent}called {service}, which failed: {}", failure.reason),
        None => format!("{indent}called {service}"),
    };
    [at(call.start_time.as_ref()), what]
}

/// How an invocation ended, and when it will be gone.
fn end(invocation: &v1::Invocation) -> [[String; 2]; 2] {
    let ended = state_name(invocation.state).to_lowercase();
    let outcome = invocation.outcome.as_ref();
    let why = match outcome.and_then(|outcome| outcome.outcome.as_ref()) {
        Some(v1::outcome::Outcome::Failure(failure)) => format!(": {}", failure.message),
        _ => String::new(),
    };
    [
        [at(invocation.end_time.as_ref()), ended + &why],
        [
            at(invocation.purge_time.as_ref()),
            "to be removed".to_owned(),
        ],
    ]
}

/// What comes next; nothing for a held one, which has no due time.
fn next(invocation: &v1::Invocation) -> Option<[String; 2]> {
    let due = at(invocation.start_time.as_ref());
    let what = match invocation.state() {
        v1::State::Pending if !due.is_empty() => "due",
        _ if invocation.waiting_for_completion => "times out unless it is completed before",
        _ => return None,
    };
    Some([due, what.to_owned()])
}

fn at(time: Option<&prost_types::Timestamp>) -> String {
    time.and_then(timestamp_from_proto)
        .map(local_time_exact)
        .unwrap_or_default()
}
