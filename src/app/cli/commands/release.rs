//! `cidery release`.

use std::time::Duration;

use clap::Args;

use crate::app::cli::action::{Action, Held};
use crate::app::cli::changes::print_changes;
use crate::app::cli::names::reason_name;
use crate::app::cli::printer::Printer;
use crate::app::cli::selection::SelectionArgs;
use crate::app::cli::states::StateArg;
use crate::codec::proto::v1;
use crate::codec::proto::v1::operation_action::Action as Change;
use crate::model::error::{Error, Result, reason};

const RELEASE: Action = Action {
    verb: "release",
    done: "released",
    held: Held::Only,
    has_new_cids: false,
    states: &[StateArg::Pending],
    otherwise: "only held invocations, which are pending, can be released",
};

/// Release held invocations: they run again, under the same CIDs.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Release {
    #[command(flatten)]
    selection: SelectionArgs,
}

impl Release {
    /// Restricts it to dead letters.
    pub(super) fn of_dead_letters(mut self) -> Result<Self> {
        self.selection = self.selection.held_letters()?;
        Ok(self)
    }

    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let change = Change::Release(v1::ReleaseAction {});
        let Some(selected) = self.selection.select(&RELEASE, change, printer).await? else {
            return Ok(());
        };
        // A retry would run others as new invocations.
        for cid in &selected.cids {
            let found = selected.client.invocation(*cid, Duration::ZERO).await?;
            if reason_name(&found) != "HELD" {
                let message = format!("{cid} is not held");
                return Err(Error::failed_precondition(reason::NOT_HELD, message).with_cid(*cid));
            }
        }
        let dry_run = selected.dry_run;
        let changes = selected
            .change(async |client, cids| client.retry(cids, dry_run).await)
            .await?;
        print_changes(printer, &RELEASE, dry_run, changes)
    }
}
