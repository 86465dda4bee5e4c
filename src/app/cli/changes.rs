//! The output of changes of invocations: one row for each, and totals.

use super::action::Action;
use super::names::{shown_cids, state_name};
use super::objects;
use super::printer::{Column, List, Printer, Row, Tone};
use crate::codec::convert::failure_from_proto;
use crate::codec::proto::v1;
use crate::model::error::{Error, Result};

/// The width of a table with whole CIDs, old and new, and with what is beside them.
const WIDE: u16 = 110;

/// Prints changes. Returns the first failure.
pub(super) fn print_changes(
    printer: &Printer,
    action: &Action,
    dry_run: bool,
    changes: Vec<v1::InvocationChange>,
) -> Result<()> {
    let done = action.done;
    let (all, failed) = (
        changes.len(),
        changes.iter().filter(|one| one.failure.is_some()).count(),
    );
    let is_narrow = printer.width().is_some_and(|width| width < WIDE);
    let cids = shown_cids(changes.iter().map(|one| one.cid.as_str()), is_narrow);
    let new_cids = shown_cids(changes.iter().map(|one| one.new_cid.as_str()), is_narrow);
    let mut first_failure: Option<Error> = None;
    let mut released = 0;
    let mut rows = Vec::with_capacity(all);
    for (change, (cid, new_cid)) in changes.into_iter().zip(cids.into_iter().zip(new_cids)) {
        let object = objects::change(&change);
        let state = match change.state {
            0 => String::new(),
            state => state_name(state),
        };
        if change.failure.is_none() && is_released(&change, action, dry_run) {
            released += 1;
        }
        let result = result_of(&change, action, dry_run);
        first_failure = first_failure.or_else(|| change.failure.map(failure_from_proto));
        rows.push(Row {
            name: match change.new_cid.is_empty() {
                true => change.cid,
                false => change.new_cid,
            },
            object,
            // The state of an invocation that continues as a new one is its old outcome.
            cells: match action.has_new_cids {
                true => [cid, new_cid, result],
                false => [cid, state, result],
            },
        });
    }
    if all > 0 {
        printer.list(List {
            columns: [
                Column::fixed("CID"),
                Column::fixed(match action.has_new_cids {
                    true => "NEW CID",
                    false => "STATE",
                }),
                Column::text("RESULT"),
            ],
            rows,
            if_empty: "",
        });
        let mut total = total_text(all - failed - released, released, done, dry_run);
        if failed > 0 {
            total.push_str(&format!(", {failed} not"));
        }
        printer.note(
            if failed == 0 {
                Tone::Good
            } else {
                Tone::Warning
            },
            &total,
        );
    }
    first_failure.map_or(Ok(()), Err)
}

/// Whether the same invocation continues.
fn is_released(change: &v1::InvocationChange, action: &Action, dry_run: bool) -> bool {
    action.has_new_cids
        && match dry_run {
            true => change.state() == v1::State::Pending,
            false => change.new_cid == change.cid,
        }
}

/// What was done with an invocation, or why it was not.
fn result_of(change: &v1::InvocationChange, action: &Action, dry_run: bool) -> String {
    let done = match is_released(change, action, dry_run) {
        true => "released",
        false => action.done,
    };
    match &change.failure {
        // The first failure is printed with its message as the error of the command.
        Some(failure) if action.has_new_cids && change.state != 0 => {
            format!("{} ({})", failure.reason, state_name(change.state))
        }
        Some(failure) => failure.reason.clone(),
        None if dry_run => format!("would be {done}"),
        None if change.cancel_requested => "cancel requested".to_owned(),
        None => done.to_owned(),
    }
}

/// `2 retried, 1 released`
fn total_text(count: usize, released: usize, done: &str, dry_run: bool) -> String {
    let would_be = if dry_run { "would be " } else { "" };
    let of = |count: usize, done: &str| format!("{count} {would_be}{done}");
    match (count, released) {
        (count, 0) => of(count, done),
        (0, released) => of(released, "released"),
        (count, released) => format!("{}, {}", of(count, done), of(released, "released")),
    }
}
