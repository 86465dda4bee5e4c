//! `cidery invocations`.

use clap::Args;

use super::NodeArgs;
use super::printer::Printer;
use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;
use crate::dict;
use crate::model::error::{Error, Result, Violation, reason};

/// Lists stored invocations, newest first.
#[derive(Args, Debug)]
pub(super) struct Invocations {
    /// Only of this service; can be given several times.
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// Only in this state (pending, running, succeeded, failed, cancelled, expired); can be given several times.
    #[arg(long = "state", value_name = "STATE")]
    states: Vec<String>,
    /// Only those that this invocation made.
    #[arg(long, value_name = "CID")]
    parent: Option<crate::model::id::Cid>,
    /// How many at most.
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    limit: usize,
    #[command(flatten)]
    node: NodeArgs,
}

impl Invocations {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        let filter = v1::InvocationFilter {
            services: self.services,
            states: self
                .states
                .iter()
                .map(|name| state(name))
                .collect::<Result<_>>()?,
            parent_cid: self.parent.map(|cid| cid.to_string()).unwrap_or_default(),
            ..v1::InvocationFilter::default()
        };
        let client = self.node.connect().await?;
        let found = client.invocations(filter, self.limit).await?;
        if printer.is_json() {
            for invocation in found {
                let row = row(&invocation);
                let [cid, service, state, attempt, accepted, why] = row;
                printer.line(
                    &dict! {
                        "cid": cid,
                        "service": service,
                        "state": state,
                        "attempt": attempt,
                        "accepted": accepted,
                        "why": why,
                    }
                    .into(),
                );
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

fn state(name: &str) -> Result<i32> {
    let full = format!("STATE_{}", name.to_ascii_uppercase());
    v1::State::from_str_name(&full)
        .map(i32::from)
        .ok_or_else(|| {
            let violation = Violation::new("", "UNKNOWN_VALUE", format!("`{name}` is no state"));
            Error::violations(reason::REQUEST_INVALID, vec![violation])
        })
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
        invocation.service.clone(),
        state_name(invocation.state),
        invocation.attempt.to_string(),
        accepted
            .map(|time| format!("{time:.0}"))
            .unwrap_or_default(),
        why(invocation),
    ]
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
