//! The selection of invocations for commands that change them: by CIDs, which are changed at once, or by a filter.

use std::io::{self, IsTerminal as _};
use std::num::NonZero;

use clap::Args;

use super::action::{Action, Held};
use super::args::usage_error;
use super::bulk::Bulk;
use super::cid_arg::CidArg;
use super::filter::FilterArgs;
use super::node_option::NodeArgs;
use super::printer::Printer;
use crate::codec::proto::v1;
use crate::codec::proto::v1::operation_action::Action as Change;
use crate::model::error::Result;
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
    /// With filter options: the most invocations that the node changes in a second. Default: 2 000.
    #[arg(long, value_name = "NUMBER")]
    rate: Option<NonZero<u32>>,
    /// With filter options: do not wait until the node has changed them, and print the ID of the operation.
    #[arg(long, conflicts_with = "dry_run")]
    detach: bool,
    #[command(flatten)]
    node: NodeArgs,
}

/// The invocations that a user has named.
pub(super) struct Selected {
    pub(super) client: ContractClient,
    pub(super) cids: Vec<Cid>,
    pub(super) dry_run: bool,
}

impl SelectionArgs {
    /// Selects dead letters alone, unless CIDs are given.
    pub(super) fn dead_letters(self) -> Result<Self> {
        self.with_filter(|filter| Ok(filter.dead_letters()))
    }

    /// Selects held dead letters alone, unless CIDs are given.
    ///
    /// # Errors
    ///
    /// As for [`FilterArgs::held_letters`].
    pub(super) fn held_letters(self) -> Result<Self> {
        self.with_filter(FilterArgs::held_letters)
    }

    /// Selects failed dead letters alone, unless CIDs are given.
    ///
    /// # Errors
    ///
    /// As for [`FilterArgs::failed_letters`].
    pub(super) fn failed_letters(self) -> Result<Self> {
        self.with_filter(FilterArgs::failed_letters)
    }

    fn with_filter(
        mut self,
        change: impl FnOnce(FilterArgs) -> Result<FilterArgs>,
    ) -> Result<Self> {
        if self.cids.is_empty() {
            self.filter = change(self.filter)?;
        }
        Ok(self)
    }

    /// Whether invocations are selected by a filter.
    pub(super) fn is_by_filter(&self) -> bool {
        self.cids.is_empty()
    }

    /// Selects invocations by CID. Those that match a filter are counted and, once the user has confirmed it, changed
    /// by the node: then there is nothing left to do, and this returns `None`.
    ///
    /// # Errors
    ///
    /// `USAGE_INVALID` unless there are either CIDs or a filter, and where there is no terminal to ask at; `CANCELLED`
    /// where the user declines; `NOT_FOUND` / `SERVICE_UNKNOWN` where a filter matches nothing because of that; the
    /// errors of the node.
    pub(super) async fn select(
        mut self,
        action: &Action,
        change: Change,
        printer: &Printer,
    ) -> Result<Option<Selected>> {
        match (self.cids.is_empty(), self.filter.is_empty()) {
            (true, true) => return Err(usage_error("give CIDs or filter options")),
            (false, false) => {
                return Err(usage_error("CIDs and filter options cannot be combined"));
            }
            (false, true) => return self.by_cid(printer).await.map(Some),
            (true, false) => {}
        }
        let left_out = match action.held {
            Held::LeftOut if self.filter.has_no_states() => Some(self.filter.clone().held()?),
            _ => None,
        };
        self.filter.restrict(action)?;
        let filter = match action.held {
            Held::Only => self.filter.held()?,
            Held::LeftOut | Held::AsOthers => self.filter.filter()?,
        };
        let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
        if !self.dry_run && !self.yes && !can_ask {
            let message = "without a terminal, filter options require `--yes`";
            return Err(usage_error(message));
        }
        let bulk = Bulk {
            client: self.node.connect(printer).await?,
            filter,
            change,
            rate: self.rate.map_or(0, NonZero::get),
            dry_run: self.dry_run,
            is_confirmed: self.yes,
            detach: self.detach,
        };
        Box::pin(bulk.run(action, left_out, printer))
            .await
            .map(|()| None)
    }

    async fn by_cid(self, printer: &Printer) -> Result<Selected> {
        if self.rate.is_some() || self.detach {
            let message = "`--rate` and `--detach` require filter options: by CID, invocations are changed at once";
            return Err(usage_error(message));
        }
        let client = self.node.connect(printer).await?;
        let mut cids = Vec::new();
        for cid in self.cids {
            cids.push(cid.resolve(&client).await?);
        }
        Ok(Selected {
            client,
            cids,
            dry_run: self.dry_run,
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
