//! The members of a group.

use crate::app::cli::names::{reason_name, state_name};
use crate::app::cli::printer::Printer;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::remote::client::ContractClient;

/// How many members of a group are shown.
const MAX_SHOWN: usize = 100;

/// The members of a group in order; of a large group only those that ended without a response.
pub(super) async fn read(
    client: &ContractClient,
    group: Cid,
    members: u32,
) -> Result<Vec<v1::Invocation>> {
    let failed = [v1::State::Failed, v1::State::Cancelled, v1::State::Expired];
    let filter = v1::InvocationFilter {
        group_cid: group.to_string(),
        states: match is_large(members) {
            true => failed.map(i32::from).to_vec(),
            false => Vec::new(),
        },
        ..v1::InvocationFilter::default()
    };
    let mut members = client.invocations(filter, MAX_SHOWN).await?;
    members.reverse();
    Ok(members)
}

fn is_large(members: u32) -> bool {
    usize::try_from(members).is_ok_and(|members| members > MAX_SHOWN)
}

/// Prints the members of a group, if the invocation is one.
pub(super) fn print(printer: &Printer, invocation: &v1::Invocation, members: &[v1::Invocation]) {
    let Some(group) = &invocation.group else {
        return;
    };
    let (cid, all, ended) = (&invocation.cid, group.members, group.ended);
    let note = match is_large(all) {
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
