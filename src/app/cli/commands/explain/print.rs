//! The text of `explain`, for people.

use super::history::History;
use super::timeline;
use crate::app::cli::names::{reason_name, service_name, state_name};
use crate::app::cli::objects;
use crate::app::cli::printer::Printer;
use crate::app::escape;
use crate::codec::json;
use crate::codec::proto::v1;

/// How many workers that serve a service are named.
const MAX_WORKERS: usize = 5;

/// Prints a history.
pub(super) fn history(printer: &Printer, history: &History) {
    let invocation = &history.invocation;
    let reason = reason_name(invocation);
    let state = state_name(invocation.state);
    let reason = match reason.as_str() {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    let (cid, service) = (&invocation.cid, service_name(invocation));
    printer.data(&format!("{cid}  {service}  {state}{reason}"));
    for (key, value) in origin(invocation) {
        printer.data(&format!("{key}: {value}"));
    }
    // The input of a group is internal.
    if invocation.group.is_none() {
        printer.data(&format!("input: {}", input_text(invocation)));
    }
    if let Some(places) = served_by(history.locations()) {
        printer.data(&format!("served by: {places}"));
    }
    printer.data("");
    let rows = timeline::rows(invocation, history.waits.as_deref());
    printer.table(["WHEN", "WHAT"], &rows);
    print_traces(printer, invocation);
    history.members.print(printer, invocation);
    history.tree.print(printer, cid);
}

/// The origin of an invocation, what continues it, and its keys.
fn origin(invocation: &v1::Invocation) -> impl Iterator<Item = (&'static str, &str)> {
    let owner = match invocation.acting_principal == invocation.principal {
        true => "",
        false => invocation.acting_principal.as_str(),
    };
    let labels = [
        ("parent", invocation.parent_cid.as_str()),
        ("in reply to", &invocation.in_reply_to),
        ("retry of", &invocation.retry_of),
        ("retried as", &invocation.retried_as),
        ("member of", &invocation.group_cid),
        ("idempotency key", &invocation.idempotency_key),
        ("concurrency key", &invocation.concurrency_key),
        ("asked by", &invocation.principal),
        ("belongs to", owner),
    ];
    labels.into_iter().filter(|(_, value)| !value.is_empty())
}

/// Who serves a service: `worker-a (build 7), worker-b and 2 more`; `None` if nobody does.
fn served_by(locations: &[v1::ServiceLocation]) -> Option<String> {
    let place = |location: &v1::ServiceLocation| {
        let name = match location.worker_id.as_str() {
            "" => "the node",
            _ => &location.worker_name,
        };
        let build = match location.build_id.as_str() {
            "" => String::new(),
            build => format!(" (build {build})"),
        };
        let away = if location.away { " (away)" } else { "" };
        format!("{name}{build}{away}")
    };
    let named: Vec<String> = locations.iter().take(MAX_WORKERS).map(place).collect();
    let more = match locations.len().saturating_sub(MAX_WORKERS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty()).then(|| named.join(", ") + &more)
}

/// Prints the traces of failed attempts. Consecutive attempts with the same trace are grouped.
fn print_traces(printer: &Printer, invocation: &v1::Invocation) {
    let attempts = invocation.attempts.iter();
    let traced: Vec<_> = attempts.filter(|one| !one.trace.is_empty()).collect();
    for group in traced.chunk_by(|one, next| one.trace == next.trace) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let which = match (first.number, last.number) {
            (first, last) if first == last => format!("attempt {first}"),
            (first, last) => format!("attempts {first} to {last}"),
        };
        printer.data("");
        printer.data(&format!("{which} failed:"));
        for line in first.trace.lines() {
            printer.text(&format!("  {line}"));
        }
    }
}

fn input_text(invocation: &v1::Invocation) -> String {
    objects::input(invocation)
        .and_then(|value| json::write(&value).ok())
        .map(|text| escape::json(&text).into_owned())
        .unwrap_or_else(|| "(cannot be decoded)".to_owned())
}
