//! The selection of invocations for bulk commands: by CIDs, or by a filter, which is counted and confirmed first.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};

use clap::Args;

use super::args::usage_error;
use super::cid_arg::CidArg;
use super::detach::INTERRUPTED;
use super::filter::{FilterArgs, StateArg, unknown_services};
use super::names::{service_name, state_name};
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
    /// What has happened to the invocations: `cancelled`.
    pub(super) done: &'static str,
    /// The states in which it is possible.
    pub(super) states: &'static [StateArg],
    /// Why it is not possible in other states: `only pending and running invocations can be cancelled`.
    pub(super) otherwise: &'static str,
    /// Whether a filter without states leaves out held invocations, though it is possible for them.
    pub(super) leaves_out_held: bool,
    /// Whether each invocation continues as a new one.
    pub(super) has_new_cids: bool,
}

/// The selected invocations.
pub(super) struct Selected {
    pub(super) client: ContractClient,
    pub(super) cids: Vec<Cid>,
    pub(super) dry_run: bool,
    /// Whether the user gave CIDs, not a filter.
    pub(super) is_by_cid: bool,
}

impl SelectionArgs {
    /// Selects dead letters alone, unless CIDs are given.
    pub(super) fn dead_letters(self) -> Self {
        self.with_filter(FilterArgs::dead_letters)
    }

    /// Selects held dead letters alone, unless CIDs are given.
    pub(super) fn held_letters(self) -> Self {
        self.with_filter(FilterArgs::held_letters)
    }

    /// Selects failed dead letters alone, unless CIDs are given.
    pub(super) fn failed_letters(self) -> Self {
        self.with_filter(FilterArgs::failed_letters)
    }

    fn with_filter(mut self, change: impl FnOnce(FilterArgs) -> FilterArgs) -> Self {
        if self.cids.is_empty() {
            self.filter = change(self.filter);
        }
        self
    }

    /// Selects invocations. Those that match a filter are counted, and the user confirms the change.
    ///
    /// # Errors
    ///
    /// `USAGE_INVALID` unless there are either CIDs or a filter, and where there is no terminal to ask at; `CANCELLED`
    /// where the user declines; `NOT_FOUND` / `SERVICE_UNKNOWN` where a filter matches nothing because of that; the
    /// errors of the node.
    pub(super) async fn select(mut self, action: &Action, printer: &Printer) -> Result<Selected> {
        let mut held = None;
        match (self.cids.is_empty(), self.filter.is_empty()) {
            (true, true) => return Err(usage_error("give CIDs or filter options")),
            (false, false) => {
                return Err(usage_error("CIDs and filter options cannot be combined"));
            }
            (false, true) => {}
            (true, false) if action.leaves_out_held && self.filter.has_no_states() => {
                held = Some(self.filter.clone().held()?);
                self.filter.restrict(action.otherwise, action.states)?;
            }
            (true, false) => self.filter.restrict(action.otherwise, action.states)?,
        }
        let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
        if self.cids.is_empty() && !self.dry_run && !self.yes && !can_ask {
            let message = "without a terminal, filter options require `--yes`";
            return Err(usage_error(message));
        }
        let client = self.node.connect(printer).await?;
        let mut cids = Vec::new();
        let is_by_cid = !self.cids.is_empty();
        for cid in self.cids {
            cids.push(cid.resolve(&client).await?);
        }
        if !is_by_cid {
            let filter = self.filter.filter()?;
            let services = filter.services.clone();
            let matching = Matching::find(&client, filter).await?;
            if let Some(filter) = held {
                note_held(&client, filter, printer).await?;
            }
            if matching.cids.is_empty() {
                check_services(&client, &services).await?;
            } else if !self.dry_run && !self.yes {
                confirm(matching.question(action.verb)).await?;
            }
            cids = matching.cids;
        }
        if cids.is_empty() {
            printer.note(Tone::Quiet, "no invocations match");
        }
        let dry_run = self.dry_run;
        Ok(Selected {
            client,
            cids,
            dry_run,
            is_by_cid,
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

/// The invocations that match now: later ones were not confirmed.
#[derive(Default)]
struct Matching {
    cids: Vec<Cid>,
    /// How many there are of each service.
    services: BTreeMap<String, usize>,
    /// How many there are in each state.
    states: BTreeMap<i32, usize>,
}

impl Matching {
    async fn find(client: &ContractClient, filter: v1::InvocationFilter) -> Result<Self> {
        let (mut all, mut cids) = (Self::default(), Vec::new());
        let collect = |invocation: v1::Invocation| {
            let service = service_name(&invocation).to_owned();
            *all.services.entry(service).or_default() += 1;
            *all.states.entry(invocation.state).or_default() += 1;
            cids.push(invocation.cid);
        };
        client.each_invocation(filter, usize::MAX, collect).await?;
        let cids: Result<_> = cids.iter().map(|cid| Cid::parse(cid)).collect();
        all.cids = cids?;
        Ok(all)
    }

    /// `Cancel 3 invocations of customer.get (2 PENDING, 1 RUNNING)?`
    fn question(&self, verb: &str) -> String {
        let mut capitals = verb.chars();
        let first = capitals.next().map(|first| first.to_ascii_uppercase());
        let verb: String = first.into_iter().chain(capitals).collect();
        let names = self.services.keys().take(MAX_NAMED).map(String::as_str);
        let mut services = names.collect::<Vec<_>>().join(", ");
        if let more @ 1.. = self.services.len().saturating_sub(MAX_NAMED) {
            services.push_str(&format!(" and {}", counted(more, "other service")));
        }
        let states = self.states.iter();
        let states: Vec<String> = states
            .map(|(state, count)| format!("{count} {}", state_name(*state)))
            .collect();
        let (count, states) = (counted(self.cids.len(), "invocation"), states.join(", "));
        format!("{verb} {count} of {services} ({states})?")
    }
}

/// How many services a question names.
const MAX_NAMED: usize = 3;

/// `1 invocation`, `2 invocations`.
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Says how many held invocations a filter leaves out.
async fn note_held(
    client: &ContractClient,
    filter: v1::InvocationFilter,
    printer: &Printer,
) -> Result<()> {
    let mut count = 0;
    let add = |_| count += 1;
    client.each_invocation(filter, usize::MAX, add).await?;
    if count > 0 {
        let held = counted(count, "held invocation");
        let note = format!("{held} not included: `--pending held` selects held invocations");
        printer.note(Tone::Warning, &note);
    }
    Ok(())
}

/// Fails where a filter that matches nothing names a service that the node does not know.
async fn check_services(client: &ContractClient, names: &[String]) -> Result<()> {
    match unknown_services(client, names).await?.first() {
        Some(name) => {
            let message = format!("no service `{name}` is known");
            Err(Error::not_found(reason::SERVICE_UNKNOWN, message))
        }
        None => Ok(()),
    }
}

/// Asks a question at the terminal. Ctrl-C ends the process.
async fn confirm(question: String) -> Result<()> {
    let ask = move || {
        dialoguer::Confirm::new()
            .with_prompt(question)
            .default(false)
            .interact_opt()
    };
    let answer = async move { tokio::task::spawn_blocking(ask).await };
    // The question hides the cursor, and a signal would end the process before it is shown again: the signal is caught
    // first, then the question is asked.
    let answer = tokio::select! {
        biased;
        Ok(()) = tokio::signal::ctrl_c() => interrupted(),
        answer = answer => answer,
    };
    match answer {
        Ok(Ok(Some(true))) => Ok(()),
        Ok(Err(dialoguer::Error::IO(error))) if error.kind() == io::ErrorKind::Interrupted => {
            interrupted()
        }
        _ => Err(Error::cancelled(
            reason::CANCELLED,
            "not confirmed: nothing was changed",
        )),
    }
}

/// Shows the cursor again, and ends the process as Ctrl-C does.
#[expect(
    clippy::exit,
    reason = "an interrupt ends the process, as it does without a handler of the signal"
)]
fn interrupted() -> ! {
    let terminal = dialoguer::console::Term::stderr();
    let _ = terminal
        .show_cursor()
        .and_then(|()| terminal.write_line(""));
    std::process::exit(i32::from(INTERRUPTED));
}
