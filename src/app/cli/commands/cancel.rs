//! `cidery cancel`.

use clap::Args;

use crate::app::cli::action::{Action, Held};
use crate::app::cli::changes::print_changes;
use crate::app::cli::printer::Printer;
use crate::app::cli::selection::SelectionArgs;
use crate::app::cli::states::StateArg;
use crate::codec::proto::v1;
use crate::codec::proto::v1::operation_action::Action as Change;
use crate::model::error::Result;

const CANCEL: Action = Action {
    verb: "cancel",
    done: "cancelled",
    held: Held::AsOthers,
    has_new_cids: false,
    states: &[StateArg::Pending, StateArg::Running],
    otherwise: "only pending and running invocations can be cancelled",
};

/// Cancel invocations: pending ones at once, running ones after their handlers have stopped.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Cancel {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Reason for the cancellation, at most 1 KiB.
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
}

impl Cancel {
    /// Restricts it to dead letters that it can change: held ones.
    pub(super) fn of_dead_letters(mut self) -> Result<Self> {
        self.selection = self.selection.held_letters()?;
        Ok(self)
    }

    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let change = Change::Cancel(v1::CancelAction {
            reason: self.reason.clone(),
        });
        let Some(selected) = self.selection.select(&CANCEL, change, printer).await? else {
            return Ok(());
        };
        let (reason, dry_run) = (self.reason.as_str(), selected.dry_run);
        let changes = selected
            .change(async |client, cids| client.cancel_for(cids, reason, dry_run).await)
            .await?;
        print_changes(printer, &CANCEL, dry_run, changes)
    }
}
