//! Writes a filter as text.

use std::collections::BTreeMap;

use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;

/// The text of a filter: [`parse`](super::parse) makes the same filter of it. Empty for a filter that matches
/// everything; values that no filter can have are left out.
#[must_use]
pub fn write(filter: &v1::InvocationFilter) -> String {
    let mut terms = Vec::new();
    let mut add = |term: Option<String>| terms.extend(term);
    let states = filter
        .states()
        .map(|it| name(it.as_str_name(), "state_".len()));
    let reasons = filter.pending_reasons();
    let reasons = reasons.map(|it| name(it.as_str_name(), "pending_reason_".len()));
    add(any_of(
        "service",
        filter.services.iter().map(|it| quoted(it)),
    ));
    add(any_of("state", states));
    add(any_of("pending_reason", reasons));
    let failures = filter.failure_reasons.iter().map(|it| quoted(it));
    add(any_of("failure_reason", failures));
    let text = &filter.failure_text;
    add((!text.is_empty()).then(|| format!("failure_message : {}", quoted(text))));
    for (operator, field, time) in [
        (">=", "accept_time", &filter.accepted_after),
        ("<", "accept_time", &filter.accepted_before),
        (">=", "end_time", &filter.ended_after),
        ("<", "end_time", &filter.ended_before),
    ] {
        let time = time.as_ref().and_then(timestamp_from_proto);
        add(time.map(|time| format!("{field} {operator} \"{time}\"")));
    }
    // In the order of the keys.
    let metadata: BTreeMap<_, _> = filter.metadata.iter().collect();
    for (key, value) in metadata {
        let (key, value) = (quoted(key), quoted(value));
        add(Some(format!("metadata.{key} = {value}")));
    }
    let principals = filter.principals.iter().map(|it| quoted(it));
    add(any_of("principal", principals));
    for (field, cid) in [
        ("parent", &filter.parent_cid),
        ("root", &filter.root_cid),
        ("group", &filter.group_cid),
    ] {
        add((!cid.is_empty()).then(|| format!("{field} = {}", quoted(cid))));
    }
    add(filter.groups_only.then(|| "kind = GROUP".to_owned()));
    add(filter.dead_letter.then(|| "dead_letter = true".to_owned()));
    terms.join(" AND ")
}

/// The name of a value of an enum behind the prefix of all its values.
fn name(name: &str, prefix: usize) -> String {
    name.get(prefix..).unwrap_or(name).to_owned()
}

fn any_of(field: &str, values: impl Iterator<Item = String>) -> Option<String> {
    let values: Vec<_> = values.collect();
    match values.as_slice() {
        [] => None,
        [value] => Some(format!("{field} = {value}")),
        values => Some(format!("{field} = ({})", values.join(" OR "))),
    }
}

/// A value in quotes, or without them where it needs none.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let is_keyword = ["AND", "OR", "NOT"].contains(&text);
    if !text.is_empty() && !is_keyword && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
