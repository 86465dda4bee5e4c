//! `cidery cancel` and `cidery retry`.

use clap::Args;

use super::NodeArgs;
use super::invocations::state_name;
use super::printer::{Printer, Tone};
use crate::codec::convert::failure_from_proto;
use crate::codec::proto::v1;
use crate::model::error::{Error, Result};
use crate::model::id::Cid;

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
}

#[derive(Args, Debug)]
struct Which {
    /// The invocations.
    #[arg(required = true, value_name = "CID")]
    cids: Vec<Cid>,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    node: NodeArgs,
}

impl Cancel {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        let client = self.which.node.connect().await?;
        let changes = client.cancel(&self.which.cids, self.which.dry_run).await?;
        show(printer, changes)
    }
}

impl Retry {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        let client = self.which.node.connect().await?;
        let changes = client.retry(&self.which.cids, self.which.dry_run).await?;
        show(printer, changes)
    }
}

/// One line for each; fails with the first that failed.
fn show(printer: &Printer, changes: Vec<v1::InvocationChange>) -> Result<()> {
    let mut first: Option<Error> = None;
    for change in changes {
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
