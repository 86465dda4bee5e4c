//! `cidery explain`.

use clap::Args;

use super::NodeArgs;
use super::invocations::{state_name, why};
use super::printer::Printer;
use crate::codec::convert::{
    PayloadOneof as _, failure_from_proto, format_from_proto, timestamp_from_proto,
};
use crate::codec::proto::v1;
use crate::codec::{json, payload};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::payload::Format;

/// Tells the whole story of an invocation: its acceptance, each attempt, its outcome, what it
/// came from and what it made.
#[derive(Args, Debug)]
pub(super) struct Explain {
    /// The invocation.
    cid: Cid,
    #[command(flatten)]
    node: NodeArgs,
}

impl Explain {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        let client = self.node.connect().await?;
        let invocation = client.explain(self.cid).await?;
        let rows: Vec<_> = story(&invocation)
            .into_iter()
            .map(|(when, what)| [when, what])
            .collect();
        let waits = why(&invocation);
        let state = state_name(invocation.state);
        let waits = if waits.is_empty() {
            String::new()
        } else {
            format!(" ({waits})")
        };
        printer.data(&format!(
            "{}  {}  {state}{waits}",
            invocation.cid, invocation.service
        ));
        for (key, cid) in [
            ("parent", &invocation.parent_cid),
            ("in reply to", &invocation.in_reply_to),
            ("retry of", &invocation.retry_of),
            ("idempotency key", &invocation.idempotency_key),
        ] {
            if !cid.is_empty() {
                printer.data(&format!("{key}: {cid}"));
            }
        }
        printer.data(&format!("input: {}", input(&invocation)));
        printer.data("");
        printer.table(["WHEN", "WHAT"], &rows);
        if !invocation.child_cids.is_empty() {
            printer.data("\nmade:");
            for child in &invocation.child_cids {
                printer.data(&format!("  {child}"));
            }
        }
        Ok(())
    }
}

fn input(invocation: &v1::Invocation) -> String {
    let Some(input) = invocation.input.clone() else {
        return "{}".to_owned();
    };
    let format = format_from_proto("/data_format", input.data_format)
        .ok()
        .flatten();
    let payload = input
        .input
        .and_then(|input| input.into_payload(format.unwrap_or(Format::Json)));
    let value = payload.map(payload::decode).transpose().ok().flatten();
    value
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
        story.push((at(invocation.end_time.as_ref()), ended));
        story.push((
            at(invocation.purge_time.as_ref()),
            "will be removed".to_owned(),
        ));
    } else {
        story.push((at(invocation.start_time.as_ref()), "is due".to_owned()));
    }
    story
}
