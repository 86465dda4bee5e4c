//! `cidery cancel`.

use clap::Args;

use crate::app::cli::printer::Printer;
use crate::app::cli::selection::{SelectionArgs, print_changes};
use crate::model::error::Result;

/// Cancel invocations: pending ones at once, running ones after their handlers have stopped.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Cancel {
    #[command(flatten)]
    selection: SelectionArgs,
}

impl Cancel {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let (node, dry_run) = (self.selection.node.clone(), self.selection.dry_run);
        let selected = self.selection.selected()?;
        let client = node.connect().await?;
        print_changes(printer, client.cancel(selected, dry_run).await?)
    }
}
