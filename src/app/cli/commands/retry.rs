//! `cidery retry`.

use clap::Args;

use crate::app::cli::action::{Action, Held};
use crate::app::cli::args::usage_error;
use crate::app::cli::changes::print_changes;
use crate::app::cli::input::DocumentArgs;
use crate::app::cli::last;
use crate::app::cli::printer::Printer;
use crate::app::cli::selection::SelectionArgs;
use crate::app::cli::states::StateArg;
use crate::codec::json;
use crate::codec::proto::v1;
use crate::codec::proto::v1::operation_action::Action as Change;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::value::Value;
use crate::remote::client::ContractClient;

/// Held invocations are pending, and an operator decides about each: a filter selects them with `--pending held` only.
const RETRY: Action = Action {
    verb: "retry",
    done: "retried",
    held: Held::LeftOut,
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
    /// With filter options: a JSON merge patch (RFC 7396) of each input, such as `{"retries": 3, "debug": null}`.
    /// Inputs must be dicts.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["json", "file", "format"])]
    patch: Option<String>,
}

impl Retry {
    /// Restricts it to dead letters.
    pub(super) fn of_dead_letters(mut self) -> Result<Self> {
        self.selection = self.selection.dead_letters()?;
        Ok(self)
    }

    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let input = self.input.payload()?;
        let is_by_filter = self.selection.is_by_filter();
        if input.is_some() && is_by_filter {
            return Err(usage_error("a new input requires exactly one CID"));
        }
        if self.patch.is_some() && !is_by_filter {
            let message = "`--patch` requires filter options; `--json` is the new input of one CID";
            return Err(usage_error(message));
        }
        let change = Change::Retry(v1::RetryAction {
            input_patch_json: self.patch.map(check_patch).transpose()?.unwrap_or_default(),
            ..v1::RetryAction::default()
        });
        let Some(selected) = self.selection.select(&RETRY, change, printer).await? else {
            return Ok(());
        };
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
        if let [change] = changes.as_slice()
            && let Ok(cid) = Cid::parse(&change.new_cid)
        {
            last::remember(cid);
        }
        print_changes(printer, &RETRY, dry_run, changes)
    }
}

/// Checks a merge patch. It is sent as it is, with every digit.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED`; `USAGE_INVALID` for JSON that is no dict.
fn check_patch(text: String) -> Result<String> {
    match json::read(text.as_bytes())? {
        Value::Dict(_) => Ok(text),
        other => {
            let kind = other.kind_name();
            Err(usage_error(format!(
                "`--patch` is {kind}, and must be a dict"
            )))
        }
    }
}
