//! The members of a group: how many are in each state, why those failed that did, and the first of them.

use std::collections::BTreeMap;

use crate::app::cli::names::{reason_name, state_name};
use crate::app::cli::printer::Printer;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::remote::client::ContractClient;

/// How many members of a group are shown.
const MAX_SHOWN: usize = 100;

/// The members of a group; none of an invocation that is no group.
#[derive(Default)]
pub(super) struct Members {
    /// How many there are of each service, state and reason, the most frequent first.
    pub(super) counts: Vec<v1::InvocationSummary>,
    /// In order; of a large group only those that ended without a response.
    pub(super) shown: Vec<v1::Invocation>,
}

impl Members {
    pub(super) async fn read(client: &ContractClient, group: Cid, members: u32) -> Result<Self> {
        let failed = [v1::State::Failed, v1::State::Cancelled, v1::State::Expired];
        let filter = v1::InvocationFilter {
            group_cid: group.to_string(),
            states: match is_large(members) {
                true => failed.map(i32::from).to_vec(),
                false => Vec::new(),
            },
            ..v1::InvocationFilter::default()
        };
        let counts = client.member_counts(group).await?.summaries;
        let mut shown = client.invocations(filter, MAX_SHOWN).await?;
        shown.reverse();
        Ok(Self { counts, shown })
    }

    /// What a group waits for; `None` once it has ended, and of an invocation that is no group.
    pub(super) fn waits(&self, invocation: &v1::Invocation) -> Option<String> {
        let group = invocation.group.as_ref()?;
        let open = group.members.saturating_sub(group.ended);
        if invocation.end_time.is_some() || open == 0 {
            return None;
        }
        let (cid, all) = (&invocation.cid, group.members);
        let held = self
            .counts
            .iter()
            .filter(|counted| counted.pending_reason == i32::from(v1::PendingReason::Held));
        let held: u64 = held.map(|counted| counted.count).sum();
        let waits = format!("{open} of its {all} members have not ended");
        Some(match held {
            0 => waits,
            held => format!(
                "{waits}. {held} of them are held, for an operator. Release them: `cidery release --group {cid}`, or \
                 end them: `cidery cancel --group {cid} --pending held`"
            ),
        })
    }

    /// Prints them, if the invocation is a group.
    pub(super) fn print(&self, printer: &Printer, invocation: &v1::Invocation) {
        let Some(group) = &invocation.group else {
            return;
        };
        let (cid, all, ended) = (&invocation.cid, group.members, group.ended);
        printer.data("");
        printer.data(&format!("members: {all}, {ended} ended{}", self.states()));
        self.print_failures(printer);
        if is_large(all) {
            let more = match self.shown.is_empty() {
                true => "",
                false => "; the first that did not succeed:",
            };
            let list = format!("`cidery invocations --group {cid}` lists them{more}");
            printer.data(&list);
        }
        for member in &self.shown {
            let (position, state) = (member.group_position, state_name(member.state));
            let reason = Some(reason_name(member)).filter(|reason| *reason != state);
            let reason = reason.unwrap_or_default();
            let (cid, service) = (&member.cid, &member.service);
            let line = format!("  {position}  {cid}  {service}  {state} {reason}");
            printer.data(line.trim_end());
        }
    }

    /// `: 3 SUCCEEDED, 2 FAILED`
    fn states(&self) -> String {
        let mut states = BTreeMap::new();
        for counted in &self.counts {
            *states.entry(counted.state).or_insert(0) += counted.count;
        }
        let states: Vec<String> = states
            .into_iter()
            .map(|(state, count)| format!("{count} {}", state_name(state)))
            .collect();
        match states.is_empty() {
            true => String::new(),
            false => format!(": {}", states.join(", ")),
        }
    }

    /// Prints why members failed, or why their last attempts did, each with an example.
    fn print_failures(&self, printer: &Printer) {
        let failures = self.counts.iter();
        let failures: Vec<_> = failures
            .filter(|counted| !counted.failure_reason.is_empty())
            .collect();
        if failures.is_empty() {
            return;
        }
        let rows = failures.into_iter().map(|counted| {
            [
                counted.count.to_string(),
                counted.service.clone(),
                state_name(counted.state),
                counted.failure_reason.clone(),
                counted.example_cid.clone(),
                counted.example_message.clone(),
            ]
        });
        let headings = ["COUNT", "SERVICE", "STATE", "REASON", "EXAMPLE", "MESSAGE"];
        printer.table(headings, &rows.collect::<Vec<_>>());
    }
}

fn is_large(members: u32) -> bool {
    usize::try_from(members).is_ok_and(|members| members > MAX_SHOWN)
}
