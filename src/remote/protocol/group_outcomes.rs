//! Outcomes of a group, gathered from its result stream into the order of its requests.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::result_stream::ResultStream;
use crate::codec::convert::outcome_from_proto;
use crate::model::batch::AcceptedGroup;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::Outcome;

/// Waits until all members of a group have ended, and returns their outcomes.
///
/// # Errors
///
/// The node's answer; `UNAVAILABLE` where the connection is lost and cannot be re-established.
pub(in crate::remote) async fn group_outcomes(
    mut results: ResultStream,
    group: &AcceptedGroup,
) -> Result<Vec<(Cid, Outcome)>> {
    let mut by_cid: HashMap<Cid, Outcome, RandomState> = HashMap::default();
    while let Some(event) = results.next().await? {
        let outcome = event.event.map(outcome_from_proto).transpose()?.flatten();
        if let Some(outcome) = outcome {
            by_cid.insert(Cid::parse(&event.cid)?, outcome);
        }
    }
    let members = group.members.iter();
    let outcomes = members.map(|cid| {
        let outcome = by_cid
            .remove(cid)
            .unwrap_or_else(|| Err(result_expired(*cid)));
        (*cid, outcome)
    });
    Ok(outcomes.collect())
}

fn result_expired(cid: Cid) -> Error {
    let message = format!("the outcome of {cid} is no longer stored");
    Error::not_found(reason::RESULT_EXPIRED, message)
}
