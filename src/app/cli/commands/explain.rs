//! `cidery explain`.

use clap::Args;

use crate::app::cli::cid_arg::CidArg;
use crate::app::cli::control_text::{control_text, undo};
use crate::app::cli::names::{reason_name, service_name, state_name};
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::objects;
use crate::app::cli::printer::{List, Printer, Row};
use crate::app::cli::times::local_time_exact;
use crate::app::escape;
use crate::codec::convert::{failure_from_proto, timestamp_from_proto};
use crate::codec::json;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::value::Value;
use crate::remote::client::ContractClient;

/// Show the history of an invocation: its acceptance, attempts, outcome, origin and children.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Explain {
    /// CIDs of the invocations, unique prefixes of them, or `last`.
    ///
    /// `last` is the last stored invocation that this user started with `invoke`, from any terminal and at any node.
    #[arg(required = true, value_name = "CID")]
    cids: Vec<CidArg>,
    #[command(flatten)]
    node: NodeArgs,
}

impl Explain {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let client = self.node.connect(printer).await?;
        let mut histories = Vec::with_capacity(self.cids.len());
        for cid in self.cids {
            let cid = cid.resolve(&client).await?;
            histories.push(History::read(&client, cid).await?);
        }
        match histories.as_slice() {
            _ if printer.is_table() => {
                for (position, history) in histories.iter().enumerate() {
                    if position > 0 {
                        printer.data("");
                    }
                    history.print(printer);
                }
            }
            [history] => {
                printer.object(&history.invocation.cid, || history.object());
            }
            histories => printer.list(List {
                columns: [],
                rows: histories.iter().map(History::row).collect(),
                if_empty: "",
            }),
        }
        Ok(())
    }
}

/// An invocation with all that `explain` shows.
struct History {
    invocation: v1::Invocation,
    waits_for: Option<String>,
    children: Vec<v1::Invocation>,
    members: Vec<v1::Invocation>,
}

impl History {
    async fn read(client: &ContractClient, cid: Cid) -> Result<Self> {
        let invocation = client.explain(cid).await?;
        let filter = v1::InvocationFilter {
            parent_cid: cid.to_string(),
            ..v1::InvocationFilter::default()
        };
        let mut children = client.invocations(filter, MAX_CHILDREN).await?;
        children.reverse();
        let members = match &invocation.group {
            Some(group) => members(client, cid, group.members).await?,
            None => Vec::new(),
        };
        let waits_for = why_it_waits(client, &invocation).await?;
        Ok(Self {
            invocation,
            waits_for,
            children,
            members,
        })
    }

    fn object(&self) -> Value {
        objects::explanation(&self.invocation, &self.children, &self.members)
    }

    fn row(&self) -> Row<0> {
        Row {
            name: self.invocation.cid.clone(),
            object: self.object(),
            cells: [],
        }
    }

    fn print(&self, printer: &Printer) {
        let (invocation, waits_for) = (&self.invocation, self.waits_for.as_deref());
        print_text(
            printer,
            invocation,
            waits_for,
            &self.children,
            &self.members,
        );
    }
}

/// What a pending invocation that is due, or held, waits for; `None` for others.
async fn why_it_waits(
    client: &ContractClient,
    invocation: &v1::Invocation,
) -> Result<Option<String>> {
    let service = &invocation.service;
    let last_failure = invocation.last_failure.as_ref();
    Ok(Some(match invocation.pending_reason() {
        v1::PendingReason::Held => "held: retry or cancel it".to_owned(),
        v1::PendingReason::NoWorker => {
            format!("waits: no worker serves `{service}`: start one")
        }
        v1::PendingReason::NoCompatibleWorker => {
            let why = last_failure.map(|failure| format!(": {}", failure.message));
            let why = why.unwrap_or_default();
            format!("waits: no connected worker accepts its input{why}")
        }
        v1::PendingReason::KeyBusy => {
            let key = &invocation.concurrency_key;
            match key_holder(client, invocation).await? {
                Some(cid) => format!("waits: key `{key}` is held by {cid}"),
                None => {
                    format!("waits: an earlier invocation with the key `{key}` has not ended")
                }
            }
        }
        v1::PendingReason::Queued => {
            format!("waits: as many handlers of `{service}` run as its limit allows")
        }
        v1::PendingReason::Paused => pause(client, service).await?,
        v1::PendingReason::Unspecified
        | v1::PendingReason::DueLater
        | v1::PendingReason::Backoff => return Ok(None),
    }))
}

/// Who paused a service and why; if nobody did, the node is held.
async fn pause(client: &ContractClient, service: &str) -> Result<String> {
    Ok(match client.describe(service).await?.control {
        Some(control) => {
            let (what, undo) = (control_text(&control), undo(&control));
            format!("waits: `{service}` is {what} (`{undo}` lets it go on)")
        }
        None => "waits: the node is held (`cidery resume` lets it go on)".to_owned(),
    })
}

/// The running invocation that holds the concurrency key of another one, if it is among those accepted last.
async fn key_holder(client: &ContractClient, waiting: &v1::Invocation) -> Result<Option<String>> {
    let filter = v1::InvocationFilter {
        services: vec![waiting.service.clone()],
        states: vec![v1::State::Running.into()],
        ..v1::InvocationFilter::default()
    };
    let running = client.invocations(filter, MAX_CHILDREN).await?;
    let mut running = running.into_iter();
    let holder = running.find(|one| one.concurrency_key == waiting.concurrency_key);
    Ok(holder.map(|holder| holder.cid))
}

/// How many children, or members of a group, are shown.
const MAX_CHILDREN: usize = 100;

/// The members of a group in order; of a large group only those that ended without a response.
async fn members(client: &ContractClient, group: Cid, members: u32) -> Result<Vec<v1::Invocation>> {
    let is_large = usize::try_from(members).is_ok_and(|members| members > MAX_CHILDREN);
    let failed = [v1::State::Failed, v1::State::Cancelled, v1::State::Expired];
    let filter = v1::InvocationFilter {
        group_cid: group.to_string(),
        states: match is_large {
            true => failed.map(i32::from).to_vec(),
            false => Vec::new(),
        },
        ..v1::InvocationFilter::default()
    };
    let mut members = client.invocations(filter, MAX_CHILDREN).await?;
    members.reverse();
    Ok(members)
}

/// The origin of an invocation, and its keys.
fn origin(invocation: &v1::Invocation) -> impl Iterator<Item = (&'static str, &str)> {
    let labels = [
        ("parent", invocation.parent_cid.as_str()),
        ("in reply to", &invocation.in_reply_to),
        ("retry of", &invocation.retry_of),
        ("member of", &invocation.group_cid),
        ("idempotency key", &invocation.idempotency_key),
    ];
    labels.into_iter().filter(|(_, value)| !value.is_empty())
}

fn print_text(
    printer: &Printer,
    invocation: &v1::Invocation,
    why_it_waits: Option<&str>,
    children: &[v1::Invocation],
    members: &[v1::Invocation],
) {
    let reason = reason_name(invocation);
    let state = state_name(invocation.state);
    let reason = match reason.as_str() {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    let (cid, service) = (&invocation.cid, service_name(invocation));
    printer.data(&format!("{cid}  {service}  {state}{reason}"));
    for (key, value) in origin(invocation) {
        printer.data(&format!("{key}: {value}"));
    }
    // The input of a group is internal.
    if invocation.group.is_none() {
        printer.data(&format!("input: {}", input_text(invocation)));
    }
    printer.data("");
    let rows: Vec<_> = timeline(invocation, why_it_waits)
        .into_iter()
        .map(|(when, what)| [when, what])
        .collect();
    printer.table(["WHEN", "WHAT"], &rows);
    print_traces(printer, invocation);
    if let Some(group) = &invocation.group {
        let (all, ended) = (group.members, group.ended);
        let note = match usize::try_from(all).is_ok_and(|all| all > MAX_CHILDREN) {
            true if members.is_empty() => {
                format!(" (`cidery invocations --group {cid}` lists them)")
            }
            true => {
                format!(" (`cidery invocations --group {cid}` lists them); not succeeded:")
            }
            false => String::new(),
        };
        printer.data("");
        printer.data(&format!("members: {all}, {ended} ended{note}"));
        for member in members {
            let (position, state) = (member.group_position, state_name(member.state));
            let reason = Some(reason_name(member)).filter(|reason| *reason != state);
            let reason = reason.unwrap_or_default();
            let line = format!(
                "  {position}  {}  {}  {state} {reason}",
                member.cid, member.service
            );
            printer.data(line.trim_end());
        }
    }
    let is_callback = |child: &&v1::Invocation| !child.in_reply_to.is_empty();
    print_list(
        printer,
        "children",
        children.iter().filter(|child| !is_callback(child)),
    );
    print_list(printer, "callbacks", children.iter().filter(is_callback));
}

/// Prints invocations under a title, unless there are none.
fn print_list<'a>(
    printer: &Printer,
    title: &str,
    invocations: impl Iterator<Item = &'a v1::Invocation>,
) {
    let mut invocations = invocations.peekable();
    if invocations.peek().is_some() {
        printer.data("");
        printer.data(&format!("{title}:"));
    }
    for invocation in invocations {
        let (cid, service) = (&invocation.cid, &invocation.service);
        let state = state_name(invocation.state);
        printer.data(&format!("  {cid}  {service}  {state}"));
    }
}

/// Prints the traces of failed attempts. Consecutive attempts with the same trace are grouped.
fn print_traces(printer: &Printer, invocation: &v1::Invocation) {
    let attempts = invocation.attempts.iter();
    let traced: Vec<_> = attempts.filter(|one| !one.trace.is_empty()).collect();
    for group in traced.chunk_by(|one, next| one.trace == next.trace) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let which = match (first.number, last.number) {
            (first, last) if first == last => format!("attempt {first}"),
            (first, last) => format!("attempts {first} to {last}"),
        };
        printer.data("");
        printer.data(&format!("{which} failed:"));
        for line in first.trace.lines() {
            printer.text(&format!("  {line}"));
        }
    }
}

fn input_text(invocation: &v1::Invocation) -> String {
    objects::input(invocation)
        .and_then(|value| json::write(&value).ok())
        .map(|text| escape::json(&text).into_owned())
        .unwrap_or_else(|| "(cannot be decoded)".to_owned())
}

fn at(time: Option<&prost_types::Timestamp>) -> String {
    time.and_then(timestamp_from_proto)
        .map(local_time_exact)
        .unwrap_or_default()
}

/// The events of an invocation in order, with their times.
fn timeline(invocation: &v1::Invocation, why_it_waits: Option<&str>) -> Vec<(String, String)> {
    let mut timeline = vec![(at(invocation.accept_time.as_ref()), "accepted".to_owned())];
    for attempt in &invocation.attempts {
        let place = match attempt.worker.as_str() {
            "" => "the node",
            worker => worker,
        };
        timeline.push((
            at(attempt.start_time.as_ref()),
            format!("attempt {} started on {place}", attempt.number),
        ));
        let ended = match &attempt.failure {
            Some(failure) => {
                let error = failure_from_proto(failure.clone());
                format!(
                    "attempt {} failed: {error} ({})",
                    attempt.number,
                    error.reason()
                )
            }
            None if attempt.end_time.is_some() => format!("attempt {} succeeded", attempt.number),
            None => continue,
        };
        timeline.push((at(attempt.end_time.as_ref()), ended));
    }
    if invocation.end_time.is_some() {
        let ended = state_name(invocation.state).to_lowercase();
        let why = match invocation
            .outcome
            .as_ref()
            .and_then(|one| one.outcome.as_ref())
        {
            Some(v1::outcome::Outcome::Failure(failure)) => format!(": {}", failure.message),
            _ => String::new(),
        };
        timeline.push((at(invocation.end_time.as_ref()), ended + &why));
        timeline.push((
            at(invocation.purge_time.as_ref()),
            "to be removed".to_owned(),
        ));
    } else {
        let due = at(invocation.start_time.as_ref());
        match invocation.state() {
            // A held one has no due time.
            v1::State::Pending if !due.is_empty() => timeline.push((due, "due".to_owned())),
            _ if invocation.waiting_for_completion => {
                timeline.push((due, "times out unless it is completed before".to_owned()));
            }
            _ => {}
        }
        timeline.extend(why_it_waits.map(|why| (String::new(), why.to_owned())));
    }
    timeline
}
