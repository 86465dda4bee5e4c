//! `cidery retry`.

use clap::Args;

use crate::app::cli::input::DocumentArgs;
use crate::app::cli::printer::Printer;
use crate::app::cli::selection::{SelectionArgs, print_changes, usage_error};
use crate::model::error::Result;
use crate::remote::client::Selector;

/// Retry failed, cancelled or expired invocations under new CIDs; release held ones.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Retry {
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    input: DocumentArgs,
}

impl Retry {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let (node, dry_run) = (self.selection.node.clone(), self.selection.dry_run);
        let selected = self.selection.selected()?;
        let input = self.input.payload()?;
        let client = node.connect().await?;
        let changes = match (input, selected) {
            (None, selected) => client.retry(selected, dry_run).await?,
            (Some(input), Selector::Cids(cids)) if !dry_run && cids.len() == 1 => {
                let cid = cids
                    .first()
                    .copied()
                    .ok_or_else(|| usage_error("no CID is given"))?;
                client.retry_with(cid, input).await?
            }
            (Some(_), _) => {
                let message = "a new input requires exactly one CID, and no `--dry-run`";
                return Err(usage_error(message));
            }
        };
        print_changes(printer, changes)
    }
}
