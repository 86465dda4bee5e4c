//! The outcomes of a group, read from its result stream: in the order of the requests, however they came.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::codec::convert::outcome_from_proto;
use crate::model::batch::AcceptedGroup;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::Outcome;
use crate::remote::client::Results;

/// The outcomes of the members of a group, once all of them have ended.
///
/// # Errors
///
/// What the node answered; `UNAVAILABLE` where the connection is lost and cannot be made again.
pub(super) async fn outcomes(
    mut results: Results,
    group: &AcceptedGroup,
) -> Result<Vec<(Cid, Outcome)>> {
    let mut gathered: HashMap<Cid, Outcome, RandomState> = HashMap::default();
    while let Some(event) = results.next().await? {
        let outcome = event.event.map(outcome_from_proto).transpose()?.flatten();
        if let Some(outcome) = outcome {
            gathered.insert(Cid::parse(&event.cid)?, outcome);
        }
    }
    let members = group.members.iter();
    let outcomes = members.map(|cid| {
        let outcome = gathered.remove(cid).unwrap_or_else(|| Err(removed(*cid)));
        (*cid, outcome)
    });
    Ok(outcomes.collect())
}

fn removed(cid: Cid) -> Error {
    let message = format!("the outcome of {cid} is no longer kept");
    Error::not_found(reason::RESULT_EXPIRED, message)
}
