//! Changes of all invocations that a filter selects: they are counted, confirmed, and changed by the node, as an
//! operation that the command follows.

use std::collections::BTreeMap;
use std::io;

use super::action::Action;
use super::detach::INTERRUPTED;
use super::filter::unknown_services;
use super::names::{retried, service_name_or_group, state_name};
use super::operation_progress;
use super::printer::{Printer, Tone};
use super::summary_table::print_summaries;
use crate::codec::proto::v1;
use crate::codec::proto::v1::operation_action::Action as Change;
use crate::model::error::{Error, Result, reason};
use crate::model::operation::OperationId;
use crate::remote::client::ContractClient;

/// How many services a question names.
const MAX_NAMED: usize = 3;

/// A change of the invocations that match a filter.
pub(super) struct Bulk {
    pub(super) client: ContractClient,
    pub(super) filter: v1::InvocationFilter,
    pub(super) change: Change,
    /// The most invocations in a second; 0 for the default.
    pub(super) rate: u32,
    pub(super) dry_run: bool,
    pub(super) is_confirmed: bool,
    pub(super) detach: bool,
}

impl Bulk {
    /// Counts the invocations, asks, and has them changed. `left_out`: a filter of those that could be changed, and are
    /// not selected.
    ///
    /// # Errors
    ///
    /// `CANCELLED` where the user declines; `NOT_FOUND` / `SERVICE_UNKNOWN` where nothing matches because of that; the
    /// failure of the operation; the errors of the node.
    pub(super) async fn run(
        self,
        action: &Action,
        left_out: Option<v1::InvocationFilter>,
        printer: &Printer,
    ) -> Result<()> {
        let matching = self.count(self.filter.clone()).await?;
        if let Change::Retry(_) = self.change {
            self.note_retried(matching.total, printer).await?;
        }
        if let Some(filter) = left_out
            && let count @ 1.. = self.count(filter).await?.total
        {
            let held = counted(count, "held invocation");
            let note = format!("{held} not included: `--pending held` selects held invocations");
            printer.note(Tone::Warning, &note);
        }
        if matching.total == 0 {
            check_services(&self.client, &self.filter.services).await?;
            printer.note(Tone::Quiet, "no invocations match");
        }
        if self.dry_run {
            let done = match &self.change {
                Change::Retry(retry) => retried(retry, Some(&self.filter)),
                _ => action.done,
            };
            matching.print(done, printer);
            return Ok(());
        }
        if matching.total == 0 {
            return Ok(());
        }
        if !self.is_confirmed {
            confirm(matching.question(action.verb)).await?;
        }
        let request = v1::StartOperationRequest {
            max_per_second: self.rate,
            ..self.request(self.filter.clone())
        };
        let started = self.client.start_operation(request).await?.operation;
        let started = started.unwrap_or_default();
        match self.detach {
            true => {
                operation_progress::print_started(&started, printer);
                Ok(())
            }
            false => {
                let id = OperationId::parse(&started.id)?;
                operation_progress::follow(&self.client, id, printer).await
            }
        }
    }

    /// Says how many of those that match were retried already.
    async fn note_retried(&self, to_retry: u64, printer: &Printer) -> Result<()> {
        let matching = self.client.summarize(self.filter.clone()).await?.total;
        if let retried @ 1.. = matching.saturating_sub(to_retry) {
            let note = format!("{retried} already retried, and not included");
            printer.note(Tone::Warning, &note);
        }
        Ok(())
    }

    async fn count(&self, filter: v1::InvocationFilter) -> Result<Matching> {
        let request = v1::StartOperationRequest {
            dry_run: true,
            ..self.request(filter)
        };
        let counted = self.client.start_operation(request).await?;
        Ok(Matching {
            total: counted.operation.map_or(0, |operation| operation.matched),
            summaries: counted.summaries,
        })
    }

    fn request(&self, filter: v1::InvocationFilter) -> v1::StartOperationRequest {
        v1::StartOperationRequest {
            action: Some(v1::OperationAction {
                action: Some(self.change.clone()),
            }),
            filter: Some(filter),
            ..v1::StartOperationRequest::default()
        }
    }
}

/// The invocations that match.
struct Matching {
    total: u64,
    /// By service, state and reason, the most frequent first.
    summaries: Vec<v1::InvocationSummary>,
}

impl Matching {
    /// `Cancel 3 invocations of customer.get (2 PENDING, 1 RUNNING)?`
    fn question(&self, verb: &str) -> String {
        let mut capitals = verb.chars();
        let first = capitals.next().map(|first| first.to_ascii_uppercase());
        let verb: String = first.into_iter().chain(capitals).collect();
        let (mut services, mut states) = (BTreeMap::new(), BTreeMap::new());
        for summary in &self.summaries {
            *services
                .entry(service_name_or_group(&summary.service))
                .or_insert(0) += summary.count;
            *states.entry(summary.state).or_insert(0) += summary.count;
        }
        let names: Vec<&str> = services.keys().take(MAX_NAMED).copied().collect();
        let mut named = names.join(", ");
        let others = services.len().saturating_sub(MAX_NAMED);
        if let more @ 1.. = u64::try_from(others).unwrap_or(u64::MAX) {
            named.push_str(&format!(" and {}", counted(more, "other service")));
        }
        let states = states.iter();
        let states: Vec<String> = states
            .map(|(state, count)| format!("{count} {}", state_name(*state)))
            .collect();
        let (count, states) = (counted(self.total, "invocation"), states.join(", "));
        format!("{verb} {count} of {named} ({states})?")
    }

    /// Prints what would be changed.
    fn print(&self, done: &str, printer: &Printer) {
        print_summaries(printer, &self.summaries, "");
        if self.total > 0 {
            let note = format!("{} would be {done}", self.total);
            printer.note(Tone::Good, &note);
        }
    }
}

/// `1 invocation`, `2 invocations`.
fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
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
