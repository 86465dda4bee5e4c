//! `cidery cancel` and `cidery retry`.

use clap::Args;

use super::NodeArgs;
use super::filter::FilterArgs;
use super::input::DocumentArgs;
use super::invocations::state_name;
use super::printer::{Printer, Tone};
use crate::codec::convert::failure_from_proto;
use crate::codec::proto::v1;
use crate::dict;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::value::Value;
use crate::remote::client::Selector;

/// Cancels invocations: at once where they wait, after their handlers have stopped where they run.
#[derive(Args, Debug)]
pub(super) struct Cancel {
    #[command(flatten)]
    which: Which,
}

/// Runs invocations again that failed, expired or were cancelled, under new CIDs; lets go what is held.
#[derive(Args, Debug)]
pub(super) struct Retry {
    #[command(flatten)]
    which: Which,
    /// Another input, for one invocation. Default: the one it had.
    #[command(flatten)]
    input: DocumentArgs,
}

#[derive(Args, Debug)]
struct Which {
    /// The invocations.
    #[arg(value_name = "CID")]
    cids: Vec<Cid>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    node: NodeArgs,
}

impl Which {
    fn chosen(self) -> Result<Selector> {
        match (self.cids.is_empty(), self.filter.is_empty()) {
            (false, true) => Ok(Selector::Cids(self.cids)),
            (true, false) => Ok(self.filter.filter()?.into()),
            (true, true) => Err(unclear(
                "say which invocations: CIDs, or what they have in common",
            )),
            (false, false) => Err(unclear("either CIDs, or what they have in common")),
        }
    }
}

fn unclear(message: &str) -> Error {
    Error::invalid_argument(reason::REQUEST_INVALID, message)
}

impl Cancel {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        let (node, dry_run) = (self.which.node.clone(), self.which.dry_run);
        let chosen = self.which.chosen()?;
        let client = node.connect().await?;
        show(printer, client.cancel(chosen, dry_run).await?)
    }
}

impl Retry {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        let (node, dry_run) = (self.which.node.clone(), self.which.dry_run);
        let chosen = self.which.chosen()?;
        let input = self.input.payload()?;
        let client = node.connect().await?;
        let changes = match (input, chosen) {
            (None, chosen) => client.retry(chosen, dry_run).await?,
            (Some(input), Selector::Cids(cids)) if !dry_run && cids.len() == 1 => {
                let cid = cids
                    .first()
                    .copied()
                    .ok_or_else(|| unclear("no CID is given"))?;
                client.retry_with(cid, input).await?
            }
            (Some(_), _) => {
                let message = "another input is for one CID, and cannot be tried with `--dry-run`";
                return Err(unclear(message));
            }
        };
        show(printer, changes)
    }
}

fn as_json(change: &v1::InvocationChange) -> Value {
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

/// One line for each; fails with the first that failed.
fn show(printer: &Printer, changes: Vec<v1::InvocationChange>) -> Result<()> {
    let mut first: Option<Error> = None;
    for change in changes {
        if printer.is_json() {
            printer.line(&as_json(&change));
            first = first.or_else(|| change.failure.map(failure_from_proto));
            continue;
        }
        match change.failure {
            Some(failure) => {
                let error = failure_from_proto(failure);
                printer.note(Tone::Warning, &format!("{}  {error}", change.cid));
                first.get_or_insert(error);
            }
            None if !change.new_cid.is_empty() => {
                printer.data(&format!("{}  {}", change.cid, change.new_cid));
            }
            None => {
                let asked = if change.cancel_requested {
                    "  asked to stop"
                } else {
                    ""
                };
                printer.data(&format!(
                    "{}  {}{asked}",
                    change.cid,
                    state_name(change.state)
                ));
            }
        }
    }
    first.map_or(Ok(()), Err)
}
