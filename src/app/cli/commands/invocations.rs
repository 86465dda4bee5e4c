//! `cidery invocations`.

use clap::Args;

use crate::app::cli::args::NodeArgs;
use crate::app::cli::filter::FilterArgs;
use crate::app::cli::names::{reason_name, service_name, state_name, time_value};
use crate::app::cli::printer::Printer;
use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;
use crate::dict;
use crate::model::error::Result;
use crate::model::value::Value;

/// List stored invocations, newest first.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Invocations {
    #[command(flatten)]
    filter: FilterArgs,
    /// Maximum number of invocations.
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    limit: usize,
    #[command(flatten)]
    node: NodeArgs,
}

impl Invocations {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let filter = self.filter.filter()?;
        let client = self.node.connect().await?;
        let found = client.invocations(filter, self.limit).await?;
        if printer.is_json() {
            for invocation in &found {
                printer.line(&to_json(invocation));
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

/// JSON output, with full times.
fn to_json(invocation: &v1::Invocation) -> Value {
    dict! {
        "cid": invocation.cid.as_str(),
        "service": invocation.service.as_str(),
        "state": state_name(invocation.state),
        "attempt": i64::from(invocation.attempt),
        "accepted": time_value(invocation.accept_time.as_ref()),
        "ended": time_value(invocation.end_time.as_ref()),
        "why": reason_name(invocation),
    }
    .into()
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
        reason_name(invocation),
    ]
}
