//! `cidery purge`.

use clap::Args;

use crate::app::cli::action::{Action, Held};
use crate::app::cli::changes::print_changes;
use crate::app::cli::printer::Printer;
use crate::app::cli::selection::SelectionArgs;
use crate::app::cli::states::StateArg;
use crate::codec::proto::v1;
use crate::codec::proto::v1::operation_action::Action as Change;
use crate::model::error::Result;

const PURGE: Action = Action {
    verb: "purge",
    done: "purged",
    held: Held::AsOthers,
    has_new_cids: false,
    states: &[
        StateArg::Succeeded,
        StateArg::Failed,
        StateArg::Cancelled,
        StateArg::Expired,
    ],
    otherwise: "only ended invocations can be purged",
};

/// Remove ended invocations and their results before their retention ends.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Purge {
    #[command(flatten)]
    selection: SelectionArgs,
}

impl Purge {
    /// Restricts it to dead letters that it can change: failed ones.
    pub(super) fn of_dead_letters(mut self) -> Result<Self> {
        self.selection = self.selection.failed_letters()?;
        Ok(self)
    }

    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let change = Change::Purge(v1::PurgeAction {});
        let Some(selected) = self.selection.select(&PURGE, change, printer).await? else {
            return Ok(());
        };
        let dry_run = selected.dry_run;
        let changes = selected
            .change(async |client, cids| client.purge(cids, dry_run).await)
            .await?;
        print_changes(printer, &PURGE, dry_run, changes)
    }
}
