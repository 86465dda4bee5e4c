//! Counts the invocations that match, by service, state and reason of the last failure.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::selection::Selection;
use crate::codec::convert::{state_to_proto, timestamp_to_proto};
use crate::codec::proto::v1;
use crate::engine::durable::operations::maintenance::Maintenance;
use crate::engine::results::lookup::InvocationView;
use crate::model::error::Result;

/// How many invocations are read at once.
const PAGE: usize = 1_000;
/// The most groups that are told apart while they are counted, and the most that are returned.
const MAX_GROUPS: usize = 1_000;
const MAX_RETURNED: usize = 100;

/// How many invocations match, in all and by group, the largest groups first.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many match.
    pub total: u64,
    /// At most a hundred groups.
    pub summaries: Vec<v1::InvocationSummary>,
}

/// What the invocations of a group have in common: service, state, whether they are held, reason of the last failure.
type Group = (String, i32, bool, String);

/// Counts what matches and was accepted before a position.
///
/// # Errors
///
/// The errors of the store.
pub(super) async fn count(
    maintenance: &Maintenance,
    selection: &Selection,
    position: u64,
) -> Result<Tally> {
    let mut groups: HashMap<Group, v1::InvocationSummary, RandomState> = HashMap::default();
    let (mut total, mut before) = (0, Some(position));
    while before.is_some() {
        let filter = selection.filter.clone();
        let page = maintenance.list(filter, before, PAGE).await?;
        for found in page.found.iter().filter(|found| selection.matches(found)) {
            total += 1;
            let group = group_of(found);
            if let Some(summary) = groups.get_mut(&group) {
                add(summary, found);
            } else if groups.len() < MAX_GROUPS {
                groups.insert(group, first(found));
            }
        }
        before = page.next;
    }
    let mut summaries: Vec<_> = groups.into_values().collect();
    summaries.sort_by(|a, b| (b.count, &a.service, a.state).cmp(&(a.count, &b.service, b.state)));
    summaries.truncate(MAX_RETURNED);
    Ok(Tally { total, summaries })
}

fn group_of(found: &InvocationView) -> Group {
    let invocation = &found.invocation;
    let failure = invocation.failure().map(|error| error.reason().to_owned());
    (
        invocation.request.service.to_string(),
        state_to_proto(invocation.shown_state()).into(),
        found.is_held(),
        failure.unwrap_or_default(),
    )
}

/// The summary of the newest invocation of a group, which is the first one that is listed.
fn first(found: &InvocationView) -> v1::InvocationSummary {
    let invocation = &found.invocation;
    let (service, state, is_held, failure_reason) = group_of(found);
    let accepted = Some(timestamp_to_proto(invocation.request.accept_time));
    let pending_reason = match is_held {
        true => v1::PendingReason::Held,
        false => v1::PendingReason::Unspecified,
    };
    let message = invocation.failure().map(|error| error.message().to_owned());
    v1::InvocationSummary {
        service,
        state,
        pending_reason: pending_reason.into(),
        failure_reason,
        count: 1,
        first_accept_time: accepted,
        last_accept_time: accepted,
        last_end_time: invocation.end_time.map(timestamp_to_proto),
        example_cid: invocation.request.cid.to_string(),
        example_message: message.unwrap_or_default(),
    }
}

fn add(summary: &mut v1::InvocationSummary, found: &InvocationView) {
    let invocation = &found.invocation;
    summary.count += 1;
    summary.first_accept_time = Some(timestamp_to_proto(invocation.request.accept_time));
    let end = invocation.end_time.map(timestamp_to_proto);
    let later = |time: &prost_types::Timestamp| (time.seconds, time.nanos);
    let ends = [summary.last_end_time, end].into_iter().flatten();
    summary.last_end_time = ends.max_by_key(later);
}
