//! `--filter`: a filter as text, beside which the other options apply.

use std::collections::hash_map::Entry;

use prost_types::Timestamp;

use super::args::usage_error;
use crate::codec::convert::timestamp_from_proto;
use crate::codec::filter;
use crate::codec::proto::v1;
use crate::engine::clock::Clock;
use crate::model::error::Result;

/// Parses a filter. The error has a line for each violation.
pub(super) fn filter_text(text: &str) -> Result<v1::InvocationFilter, String> {
    filter::parse(text, Clock::System.now()).map_err(|error| {
        let violations = error.field_violations().iter();
        let messages: Vec<_> = violations.map(|one| one.message.as_str()).collect();
        messages.join("\n  ")
    })
}

/// The filter that matches what both match.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `USAGE_INVALID` where both have the same criterion.
pub(super) fn combine(
    options: v1::InvocationFilter,
    text: v1::InvocationFilter,
) -> Result<v1::InvocationFilter> {
    Ok(v1::InvocationFilter {
        services: either("--service", options.services, text.services)?,
        states: either("--state", options.states, text.states)?,
        pending_reasons: either("--pending", options.pending_reasons, text.pending_reasons)?,
        failure_reasons: either("--failure", options.failure_reasons, text.failure_reasons)?,
        failure_text: either("--failure-text", options.failure_text, text.failure_text)?,
        accepted_after: later(options.accepted_after, text.accepted_after),
        accepted_before: earlier(options.accepted_before, text.accepted_before),
        ended_after: later(options.ended_after, text.ended_after),
        ended_before: earlier(options.ended_before, text.ended_before),
        metadata: {
            let mut metadata = options.metadata;
            for (key, value) in text.metadata {
                match metadata.entry(key) {
                    Entry::Occupied(entry) if *entry.get() != value => {
                        return Err(given_twice("--metadata"));
                    }
                    entry => drop(entry.or_insert(value)),
                }
            }
            metadata
        },
        parent_cid: either("--parent", options.parent_cid, text.parent_cid)?,
        root_cid: either("--root", options.root_cid, text.root_cid)?,
        group_cid: either("--group", options.group_cid, text.group_cid)?,
        dead_letter: options.dead_letter || text.dead_letter,
        groups_only: options.groups_only || text.groups_only,
        principals: either("--principal", options.principals, text.principals)?,
    })
}

/// The value of the one that has it.
fn either<T: Default + PartialEq>(option: &str, by_option: T, by_text: T) -> Result<T> {
    let is_empty = |value: &T| *value == T::default();
    if by_option == by_text {
        return Ok(by_option);
    }
    match (is_empty(&by_option), is_empty(&by_text)) {
        (_, true) => Ok(by_option),
        (true, false) => Ok(by_text),
        (false, false) => Err(given_twice(option)),
    }
}

fn given_twice(option: &str) -> crate::model::error::Error {
    usage_error(format!(
        "`{option}` cannot be combined with the same criterion in `--filter`"
    ))
}

fn later(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    let bounds = [one, other].into_iter().flatten();
    bounds.max_by_key(timestamp_from_proto)
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    let bounds = [one, other].into_iter().flatten();
    bounds.min_by_key(timestamp_from_proto)
}
