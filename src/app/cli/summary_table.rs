//! The table of counts: invocations by service, state and reason of the last failure, each with an example.

use super::names::{age_of, service_name_or_group, shown_cids, state_name};
use super::objects;
use super::printer::{Column, List, Printer, Row};
use crate::codec::proto::v1;

/// The width of a table with whole CIDs, and with what is beside them.
const WIDE: u16 = 120;

/// Prints counts; `if_empty` is the note where there are none.
pub(super) fn print_summaries(
    printer: &Printer,
    summaries: &[v1::InvocationSummary],
    if_empty: &'static str,
) {
    let is_narrow = printer.width().is_some_and(|width| width < WIDE);
    let cids = summaries.iter().map(|one| one.example_cid.as_str());
    let cids = shown_cids(cids, is_narrow);
    let rows = summaries.iter().zip(cids).map(|(summary, cid)| Row {
        name: summary.example_cid.clone(),
        object: objects::summary(summary),
        cells: [
            service_name_or_group(&summary.service).to_owned(),
            shown_state(summary),
            summary.failure_reason.clone(),
            summary.count.to_string(),
            ages(summary),
            cid,
            summary.example_message.clone(),
        ],
    });
    printer.list(List {
        columns: [
            Column::text("SERVICE"),
            Column::fixed("STATE"),
            Column::text("REASON"),
            Column::fixed("COUNT"),
            Column::fixed("AGE"),
            Column::fixed("EXAMPLE"),
            Column::text("MESSAGE"),
        ],
        rows: rows.collect(),
        if_empty,
    });
}

/// Whether what is counted is held.
pub(super) fn is_held(summary: &v1::InvocationSummary) -> bool {
    summary.pending_reason() == v1::PendingReason::Held
}

/// `HELD`, or the state.
fn shown_state(summary: &v1::InvocationSummary) -> String {
    match is_held(summary) {
        true => "HELD".to_owned(),
        false => state_name(summary.state),
    }
}

/// `2d` for one; `2d..5m` for the oldest and the newest.
fn ages(summary: &v1::InvocationSummary) -> String {
    let oldest = age_of(summary.first_accept_time.as_ref());
    let newest = age_of(summary.last_accept_time.as_ref());
    match oldest == newest {
        true => oldest,
        false => format!("{oldest}..{newest}"),
    }
}
