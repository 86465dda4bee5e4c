//! The selection of invocations for bulk commands: by CIDs, or by a filter, which is counted and confirmed first.

use std::io::{self, IsTerminal as _};

use clap::Args;

use super::args::usage_error;
use super::cid_arg::CidArg;
use super::filter::{FilterArgs, StateArg, note_unknown_services};
use super::node_option::NodeArgs;
use super::printer::{Printer, Tone};
use crate::codec::proto::v1;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::remote::client::{ContractClient, Selector};

/// How many invocations one request changes.
const MAX_CHANGED: usize = 1_000;

/// Invocations, by CIDs or by filter.
#[derive(Args, Debug)]
pub(super) struct SelectionArgs {
    /// CIDs of the invocations, unique prefixes of them, or `last`.
    ///
    /// `last` is the last stored invocation that this user started with `invoke`, from any terminal and at any node.
    #[arg(value_name = "CID")]
    cids: Vec<CidArg>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Show what would be changed, without changing it.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before the invocations that a filter selects are changed.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    node: NodeArgs,
}

/// What a bulk command does.
pub(super) struct Action {
    /// `cancel`
    pub(super) verb: &'static str,
    /// The states in which it is possible.
    pub(super) states: &'static [StateArg],
    /// Why it is not possible in other states: `only pending and running invocations can be cancelled`.
    pub(super) otherwise: &'static str,
}

/// The selected invocations.
pub(super) struct Selected {
    pub(super) client: ContractClient,
    pub(super) cids: Vec<Cid>,
    pub(super) dry_run: bool,
}

impl SelectionArgs {
    /// Selects invocations. Those that match a filter are counted, and the user confirms the change.
    ///
    /// # Errors
    ///
    /// `USAGE_INVALID` unless there are either CIDs or a filter, and where there is no terminal to ask at; `CANCELLED`
    /// where the user declines; the errors of the node.
    pub(super) async fn select(mut self, action: &Action, printer: &Printer) -> Result<Selected> {
        match (self.cids.is_empty(), self.filter.is_empty()) {
            (true, true) => return Err(usage_error("give CIDs or filter options")),
            (false, false) => {
                return Err(usage_error("CIDs and filter options cannot be combined"));
            }
            (false, true) => {}
            (true, false) => self.filter.restrict(action.otherwise, action.states)?,
        }
        let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
        if self.cids.is_empty() && !self.dry_run && !self.yes && !can_ask {
            let message = "without a terminal, filter options require `--yes`";
            return Err(usage_error(message));
        }
        let client = self.node.connect(printer).await?;
        let mut cids = Vec::new();
        if self.cids.is_empty() {
            let filter = self.filter.filter()?;
            let services = filter.services.clone();
            cids = matching(&client, filter).await?;
            if cids.is_empty() {
                note_unknown_services(&client, &services, printer).await?;
            }
            if !cids.is_empty() && !self.dry_run && !self.yes {
                confirm(action.verb, cids.len()).await?;
            }
        } else {
            for cid in self.cids {
                cids.push(cid.resolve(&client).await?);
            }
        }
        if cids.is_empty() {
            printer.note(Tone::Quiet, "no invocations match");
        }
        let dry_run = self.dry_run;
        Ok(Selected {
            client,
            cids,
            dry_run,
        })
    }
}

impl Selected {
    /// Changes the invocations, in several requests where they are many.
    ///
    /// # Errors
    ///
    /// The errors of the node; the invocations of earlier requests are changed then.
    pub(super) async fn change(
        &self,
        change: impl AsyncFn(&ContractClient, Selector) -> Result<Vec<v1::InvocationChange>>,
    ) -> Result<Vec<v1::InvocationChange>> {
        let mut changes = Vec::with_capacity(self.cids.len());
        for cids in self.cids.chunks(MAX_CHANGED) {
            changes.extend(change(&self.client, cids.into()).await?);
        }
        Ok(changes)
    }
}

/// The CIDs of the invocations that match now: later ones were not confirmed.
async fn matching(client: &ContractClient, filter: v1::InvocationFilter) -> Result<Vec<Cid>> {
    let mut found = Vec::new();
    let collect = |invocation: v1::Invocation| found.push(invocation.cid);
    client.each_invocation(filter, usize::MAX, collect).await?;
    found.iter().map(|cid| Cid::parse(cid)).collect()
}

async fn confirm(verb: &str, count: usize) -> Result<()> {
    let what = match count {
        1 => "1 invocation".to_owned(),
        count => format!("{count} invocations"),
    };
    let mut capitals = verb.chars();
    let first = capitals.next().map(|first| first.to_ascii_uppercase());
    let question: String = first.into_iter().chain(capitals).collect();
    let question = format!("{question} {what}?");
    let ask = move || {
        dialoguer::Confirm::new()
            .with_prompt(question)
            .default(false)
            .interact_opt()
    };
    let answer = tokio::task::spawn_blocking(ask).await;
    match answer.ok().and_then(|answer| answer.ok()).flatten() {
        Some(true) => Ok(()),
        _ => Err(Error::cancelled(
            reason::CANCELLED,
            "not confirmed: nothing was changed",
        )),
    }
}
