//! `cidery invocations`.

use clap::Args;
use prost_types::Timestamp;

use super::NodeArgs;
use super::filter::FilterArgs;
use super::printer::Printer;
use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;
use crate::dict;
use crate::model::error::Result;
use crate::model::value::Value;

/// Lists stored invocations, newest first.
#[derive(Args, Debug)]
pub(super) struct Invocations {
    #[command(flatten)]
    filter: FilterArgs,
    /// How many at most.
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    limit: usize,
    #[command(flatten)]
    node: NodeArgs,
}

impl Invocations {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        let filter = self.filter.filter()?;
        let client = self.node.connect().await?;
        let found = client.invocations(filter, self.limit).await?;
        if printer.is_json() {
            for invocation in &found {
                printer.line(&as_json(invocation));
            }
            return Ok(());
        }
        let rows: Vec<_> = found.iter().map(row).collect();
        printer.table(
            ["CID", "SERVICE", "STATE", "ATTEMPT", "ACCEPTED", "WHY"],
            &rows,
        );
        Ok(())
    }
}

/// What a program may want to know of it: times in full, numbers as numbers.
fn as_json(invocation: &v1::Invocation) -> Value {
    dict! {
        "cid": invocation.cid.as_str(),
        "service": invocation.service.as_str(),
        "state": state_name(invocation.state),
        "attempt": i64::from(invocation.attempt),
        "accepted": time_value(invocation.accept_time.as_ref()),
        "ended": time_value(invocation.end_time.as_ref()),
        "why": why(invocation),
    }
    .into()
}

/// An instant, as programs read it; null where there is none.
pub(super) fn time_value(time: Option<&Timestamp>) -> Value {
    let time = time.and_then(timestamp_from_proto);
    time.map_or(Value::Null, |time| Value::Text(time.to_string()))
}

/// The name of a state, as people read it.
pub(super) fn state_name(state: i32) -> String {
    let state = v1::State::try_from(state).unwrap_or_default();
    state.as_str_name().trim_start_matches("STATE_").to_owned()
}

fn row(invocation: &v1::Invocation) -> [String; 6] {
    let accepted = invocation
        .accept_time
        .as_ref()
        .and_then(timestamp_from_proto);
    [
        invocation.cid.clone(),
        service_name(invocation).to_owned(),
        state_name(invocation.state),
        invocation.attempt.to_string(),
        accepted
            .map(|time| format!("{time:.0}"))
            .unwrap_or_default(),
        why(invocation),
    ]
}

/// The name of the service, as people read it: a group has none.
pub(super) fn service_name(invocation: &v1::Invocation) -> &str {
    match invocation.group {
        Some(_) => "(group)",
        None => &invocation.service,
    }
}

/// Why it waits, or why it failed.
pub(super) fn why(invocation: &v1::Invocation) -> String {
    let pending = v1::PendingReason::try_from(invocation.pending_reason).unwrap_or_default();
    if pending != v1::PendingReason::Unspecified {
        return pending
            .as_str_name()
            .trim_start_matches("PENDING_REASON_")
            .to_owned();
    }
    if invocation.waiting_for_completion {
        return "WAITING_FOR_COMPLETION".to_owned();
    }
    if invocation.cancel_requested {
        return "CANCEL_REQUESTED".to_owned();
    }
    match invocation
        .outcome
        .as_ref()
        .and_then(|outcome| outcome.outcome.as_ref())
    {
        Some(v1::outcome::Outcome::Failure(failure)) => failure.reason.clone(),
        _ => String::new(),
    }
}
