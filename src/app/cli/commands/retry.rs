//! `cidery retry`.

use clap::Args;

use crate::app::cli::args::usage_error;
use crate::app::cli::changes::print_changes;
use crate::app::cli::filter::StateArg;
use crate::app::cli::input::DocumentArgs;
use crate::app::cli::last;
use crate::app::cli::printer::Printer;
use crate::app::cli::selection::{Action, SelectionArgs};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::remote::client::ContractClient;

/// Held invocations are pending, and an operator decides about each: a filter selects them with `--pending held` only.
const RETRY: Action = Action {
    verb: "retry",
    done: "retried",
    leaves_out_held: true,
    has_new_cids: true,
    states: &[StateArg::Failed, StateArg::Cancelled, StateArg::Expired],
    otherwise: "only failed, cancelled, expired and held (`--pending held`) invocations can be retried",
};

/// Retry failed, cancelled or expired invocations under new CIDs; release held ones.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Retry {
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    input: DocumentArgs,
}

impl Retry {
    /// Retries what is selected, as it is.
    pub(super) fn of(selection: SelectionArgs) -> Self {
        Self {
            selection,
            input: DocumentArgs::default(),
        }
    }

    /// Restricts it to dead letters.
    pub(super) fn of_dead_letters(mut self) -> Self {
        self.selection = self.selection.dead_letters();
        self
    }

    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let input = self.input.payload()?;
        let selected = self.selection.select(&RETRY, printer).await?;
        let dry_run = selected.dry_run;
        let changes = match (input, selected.cids.as_slice()) {
            (None, _) => {
                let retry =
                    async |client: &_, cids| ContractClient::retry(client, cids, dry_run).await;
                selected.change(retry).await?
            }
            (Some(input), [cid]) if !dry_run => selected.client.retry_with(*cid, input).await?,
            (Some(_), _) => {
                let message = "a new input requires exactly one CID, and no `--dry-run`";
                return Err(usage_error(message));
            }
        };
        // The one that the user works on from now on, as after `invoke`.
        if selected.is_by_cid
            && let [change] = changes.as_slice()
            && let Ok(cid) = Cid::parse(&change.new_cid)
        {
            last::remember(cid);
        }
        print_changes(printer, &RETRY, dry_run, changes)
    }
}
