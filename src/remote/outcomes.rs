//! The outcomes of a group, read from its result stream: in the order of the requests, however they came.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use tonic::transport::Channel;

use crate::codec::convert::outcome_from_proto;
use crate::codec::proto::v1;
use crate::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use crate::codec::status::from_status;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::Outcome;
use crate::service::AcceptedGroup;

/// Outcomes as they come.
#[derive(Debug, Default)]
pub(super) struct Gathered(HashMap<Cid, Outcome, RandomState>);

impl Gathered {
    /// Takes note of an event, if it is the end of a member.
    ///
    /// # Errors
    ///
    /// What is wrong with the event.
    pub(super) fn note(&mut self, event: v1::StreamResultsResponse) -> Result<()> {
        let outcome = event.event.map(outcome_from_proto).transpose()?.flatten();
        if let Some(outcome) = outcome {
            self.0.insert(Cid::parse(&event.cid)?, outcome);
        }
        Ok(())
    }

    /// All of them, in the order of the requests.
    pub(super) fn in_order(mut self, group: &AcceptedGroup) -> Vec<(Cid, Outcome)> {
        let members = group.members.iter();
        let outcomes = members.map(|cid| {
            let outcome = self.0.remove(cid).unwrap_or_else(|| Err(removed(*cid)));
            (*cid, outcome)
        });
        outcomes.collect()
    }
}

fn removed(cid: Cid) -> Error {
    let message = format!("the outcome of {cid} is no longer kept");
    Error::not_found(reason::RESULT_EXPIRED, message)
}

/// The outcomes of the members of a group that has ended.
///
/// # Errors
///
/// What the node answered; `UNAVAILABLE` where the connection is lost.
pub(super) async fn outcomes(
    mut stub: InvocationServiceClient<Channel>,
    group: &AcceptedGroup,
) -> Result<Vec<(Cid, Outcome)>> {
    let request = v1::StreamResultsRequest {
        cids: vec![group.cid.to_string()],
        ..v1::StreamResultsRequest::default()
    };
    let stream = stub.stream_results(request).await;
    let mut stream = stream.map_err(|status| from_status(&status))?.into_inner();
    let mut gathered = Gathered::default();
    while let Some(event) = stream
        .message()
        .await
        .map_err(|status| from_status(&status))?
    {
        gathered.note(event)?;
    }
    Ok(gathered.in_order(group))
}
