//! `cidery explain`.

use clap::Args;

use crate::app::cli::args::NodeArgs;
use crate::app::cli::names::{reason_name, service_name, state_name, time_value};
use crate::app::cli::printer::Printer;
use crate::codec::convert::{
    PayloadOneof as _, failure_from_proto, format_from_proto, timestamp_from_proto,
};
use crate::codec::proto::v1;
use crate::codec::{json, payload};
use crate::dict;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::payload::Format;
use crate::model::value::Value;
use crate::remote::Client;

/// Tells the whole story of an invocation: its acceptance, each attempt, its outcome, what it
/// came from and what it made.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Explain {
    /// The invocation.
    cid: Cid,
    #[command(flatten)]
    node: NodeArgs,
}

impl Explain {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let client = self.node.connect().await?;
        let invocation = client.explain(self.cid).await?;
        let filter = v1::InvocationFilter {
            parent_cid: self.cid.to_string(),
            ..v1::InvocationFilter::default()
        };
        let mut children = client.invocations(filter, CHILDREN).await?;
        children.reverse();
        let members = match &invocation.group {
            Some(group) => members(&client, self.cid, group.members).await?,
            None => Vec::new(),
        };
        match printer.is_json() {
            true => printer.line(&for_programs(&invocation, &children, &members)),
            false => for_people(printer, &invocation, &children, &members),
        }
        Ok(())
    }
}

/// How many of those that it made, or of its members, are shown.
const CHILDREN: usize = 100;

/// The members of a group, in their order; of a large one those that ended without a response.
async fn members(client: &Client, group: Cid, members: u32) -> Result<Vec<v1::Invocation>> {
    let is_large = usize::try_from(members).is_ok_and(|members| members > CHILDREN);
    let failed = [v1::State::Failed, v1::State::Cancelled, v1::State::Expired];
    let filter = v1::InvocationFilter {
        group_cid: group.to_string(),
        states: match is_large {
            true => failed.map(i32::from).to_vec(),
            false => Vec::new(),
        },
        ..v1::InvocationFilter::default()
    };
    let mut members = client.invocations(filter, CHILDREN).await?;
    members.reverse();
    Ok(members)
}

/// What it came from, and how it is known.
fn origin(invocation: &v1::Invocation) -> impl Iterator<Item = (&'static str, &str)> {
    let facts = [
        ("parent", invocation.parent_cid.as_str()),
        ("in reply to", &invocation.in_reply_to),
        ("retry of", &invocation.retry_of),
        ("member of", &invocation.group_cid),
        ("idempotency key", &invocation.idempotency_key),
    ];
    facts.into_iter().filter(|(_, fact)| !fact.is_empty())
}

fn for_people(
    printer: &Printer,
    invocation: &v1::Invocation,
    children: &[v1::Invocation],
    members: &[v1::Invocation],
) {
    let waits = reason_name(invocation);
    let state = state_name(invocation.state);
    let waits = match waits.as_str() {
        "" => String::new(),
        waits => format!(" ({waits})"),
    };
    let (cid, service) = (&invocation.cid, service_name(invocation));
    printer.data(&format!("{cid}  {service}  {state}{waits}"));
    for (key, fact) in origin(invocation) {
        printer.data(&format!("{key}: {fact}"));
    }
    // That of a group is the platform's own.
    if invocation.group.is_none() {
        printer.data(&format!("input: {}", shown_input(invocation)));
    }
    printer.data("");
    let rows: Vec<_> = story(invocation)
        .into_iter()
        .map(|(when, what)| [when, what])
        .collect();
    printer.table(["WHEN", "WHAT"], &rows);
    traces(printer, invocation);
    if let Some(group) = &invocation.group {
        let (all, ended) = (group.members, group.ended);
        let left_out = match usize::try_from(all).is_ok_and(|all| all > CHILDREN) {
            true if members.is_empty() => {
                format!(" (`cidery invocations --group {cid}` lists them)")
            }
            true => {
                format!(" (`cidery invocations --group {cid}` lists them); without a response:")
            }
            false => String::new(),
        };
        printer.data(&format!(
            "\nmembers: {all}, of which {ended} have ended{left_out}"
        ));
        for member in members {
            let (place, state) = (member.group_position, state_name(member.state));
            let why = Some(reason_name(member)).filter(|why| *why != state);
            let why = why.unwrap_or_default();
            let line = format!(
                "  {place}  {}  {}  {state} {why}",
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
        printer.data(&format!("\n{title}:"));
    }
    for invocation in invocations {
        let (cid, service) = (&invocation.cid, &invocation.service);
        let state = state_name(invocation.state);
        printer.data(&format!("  {cid}  {service}  {state}"));
    }
}

/// How attempts failed; those that failed alike, one after the other, together.
fn traces(printer: &Printer, invocation: &v1::Invocation) {
    let attempts = invocation.attempts.iter();
    let traced: Vec<_> = attempts.filter(|one| !one.trace.is_empty()).collect();
    for alike in traced.chunk_by(|one, next| one.trace == next.trace) {
        let (Some(first), Some(last)) = (alike.first(), alike.last()) else {
            continue;
        };
        let which = match (first.number, last.number) {
            (first, last) if first == last => format!("attempt {first}"),
            (first, last) => format!("attempts {first} to {last}"),
        };
        printer.data(&format!("\nhow {which} failed:"));
        for line in first.trace.lines() {
            printer.data(&format!("  {line}"));
        }
    }
}

fn for_programs(
    invocation: &v1::Invocation,
    children: &[v1::Invocation],
    members: &[v1::Invocation],
) -> Value {
    let text = |text: &str| match text {
        "" => Value::Null,
        text => Value::from(text),
    };
    let attempts = invocation.attempts.iter().map(|attempt| {
        let failure = attempt.failure.as_ref();
        Value::from(dict! {
            "number": i64::from(attempt.number),
            "worker": text(&attempt.worker),
            "start_time": time_value(attempt.start_time.as_ref()),
            "end_time": time_value(attempt.end_time.as_ref()),
            "reason": text(failure.map_or("", |failure| &failure.reason)),
            "message": text(failure.map_or("", |failure| &failure.message)),
            "trace": text(&attempt.trace),
        })
    });
    let children = children.iter().map(|child| {
        Value::from(dict! {
            "cid": child.cid.as_str(),
            "service": child.service.as_str(),
            "state": state_name(child.state),
            "in_reply_to": text(&child.in_reply_to),
        })
    });
    let members = members.iter().map(|member| {
        Value::from(dict! {
            "position": member.group_position,
            "cid": member.cid.as_str(),
            "service": member.service.as_str(),
            "state": state_name(member.state),
            "why": text(&reason_name(member)),
        })
    });
    let group = invocation.group.as_ref().map(|group| {
        Value::from(dict! {
            "members": group.members,
            "ended": group.ended,
            "on_each": group.on_each.clone(),
            "on_final": group.on_final.clone(),
            "shown": members.collect::<Vec<_>>(),
        })
    });
    dict! {
        "cid": invocation.cid.as_str(),
        "service": text(&invocation.service),
        "state": state_name(invocation.state),
        "why": text(&reason_name(invocation)),
        "input": input(invocation).unwrap_or_default(),
        "accept_time": time_value(invocation.accept_time.as_ref()),
        "end_time": time_value(invocation.end_time.as_ref()),
        "purge_time": time_value(invocation.purge_time.as_ref()),
        "attempts": attempts.collect::<Vec<_>>(),
        "parent_cid": text(&invocation.parent_cid),
        "in_reply_to": text(&invocation.in_reply_to),
        "retry_of": text(&invocation.retry_of),
        "idempotency_key": text(&invocation.idempotency_key),
        "group_cid": text(&invocation.group_cid),
        "group": group,
        "made": children.collect::<Vec<_>>(),
    }
    .into()
}

/// What it got; `None` where that cannot be read.
fn input(invocation: &v1::Invocation) -> Option<Value> {
    let Some(input) = invocation.input.clone() else {
        return Some(dict! {}.into());
    };
    let format = format_from_proto("/data_format", input.data_format).ok()?;
    let payload = input
        .input
        .and_then(|input| input.into_payload(format.unwrap_or(Format::Json)));
    payload::decode(payload?).ok()
}

fn shown_input(invocation: &v1::Invocation) -> String {
    input(invocation)
        .and_then(|value| json::write(&value).ok())
        .unwrap_or_else(|| "(cannot be shown)".to_owned())
}

fn at(time: Option<&prost_types::Timestamp>) -> String {
    time.and_then(timestamp_from_proto)
        .map(|time| format!("{time:.3}"))
        .unwrap_or_default()
}

/// What happened, in order.
fn story(invocation: &v1::Invocation) -> Vec<(String, String)> {
    let mut story = vec![(at(invocation.accept_time.as_ref()), "accepted".to_owned())];
    for attempt in &invocation.attempts {
        let place = match attempt.worker.as_str() {
            "" => "the node",
            worker => worker,
        };
        story.push((
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
            None if attempt.end_time.is_some() => format!("attempt {} answered", attempt.number),
            None => continue,
        };
        story.push((at(attempt.end_time.as_ref()), ended));
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
        story.push((at(invocation.end_time.as_ref()), ended + &why));
        story.push((
            at(invocation.purge_time.as_ref()),
            "will be removed".to_owned(),
        ));
    } else {
        let due = at(invocation.start_time.as_ref());
        match (reason_name(invocation).as_str(), invocation.state()) {
            ("HELD", _) => story.push((String::new(), "is held: retry or cancel it".to_owned())),
            (_, v1::State::Pending) => story.push((due, "is due".to_owned())),
            _ if invocation.waiting_for_completion => {
                story.push((
                    due,
                    "is over, unless its outcome has come by then".to_owned(),
                ));
            }
            _ => {}
        }
    }
    story
}
