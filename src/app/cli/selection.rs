//! The selection of invocations for bulk commands (`cancel`, `retry`), and the output of their changes.

use clap::Args;

use super::args::NodeArgs;
use super::filter::FilterArgs;
use super::names::state_name;
use super::printer::{Printer, Tone};
use crate::codec::convert::failure_from_proto;
use crate::codec::proto::v1;
use crate::dict;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::value::Value;
use crate::remote::client::Selector;

/// Invocations, by CIDs or by filter.
#[derive(Args, Debug)]
pub(super) struct SelectionArgs {
    /// CIDs of the invocations.
    #[arg(value_name = "CID")]
    cids: Vec<Cid>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Show what would be changed, without changing it.
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

impl SelectionArgs {
    /// The selected invocations.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` unless there are either CIDs or a filter.
    pub(super) fn selected(self) -> Result<Selector> {
        match (self.cids.is_empty(), self.filter.is_empty()) {
            (false, true) => Ok(Selector::Cids(self.cids)),
            (true, false) => Ok(self.filter.filter()?.into()),
            (true, true) => Err(usage_error("give CIDs or filter options")),
            (false, false) => Err(usage_error("CIDs and filter options cannot be combined")),
        }
    }
}

/// An error in how a command is used.
pub(super) fn usage_error(message: &str) -> Error {
    Error::invalid_argument(reason::REQUEST_INVALID, message)
}

fn to_json(change: &v1::InvocationChange) -> Value {
    let failure = change.failure.as_ref();
    dict! {
        "cid": change.cid.as_str(),
        "state": state_name(change.state),
        "cancel_requested": change.cancel_requested,
        "new_cid": change.new_cid.as_str(),
        "reason": failure.map_or("", |failure| &failure.reason),
        "message": failure.map_or("", |failure| &failure.message),
    }
    .into()
}

/// Prints one line per change. Returns the first failure.
pub(super) fn print_changes(printer: &Printer, changes: Vec<v1::InvocationChange>) -> Result<()> {
    let mut first_failure: Option<Error> = None;
    for change in changes {
        if printer.is_json() {
            printer.line(&to_json(&change));
            first_failure = first_failure.or_else(|| change.failure.map(failure_from_proto));
            continue;
        }
        match change.failure {
            Some(failure) => {
                let error = failure_from_proto(failure);
                printer.note(Tone::Warning, &format!("{}  {error}", change.cid));
                first_failure.get_or_insert(error);
            }
            None if !change.new_cid.is_empty() => {
                printer.data(&format!("{}  {}", change.cid, change.new_cid));
            }
            None => {
                let note = match change.cancel_requested {
                    true => "  cancel requested",
                    false => "",
                };
                let state = state_name(change.state);
                printer.data(&format!("{}  {state}{note}", change.cid));
            }
        }
    }
    first_failure.map_or(Ok(()), Err)
}
