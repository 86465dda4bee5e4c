//! The filter of a list, applied to one invocation: by the store in memory, and to events.

use jiff::Timestamp;

use super::{Filter, Invocation};

/// Whether an invocation matches a filter.
#[must_use]
pub fn matches(invocation: &Invocation, filter: &Filter) -> bool {
    let request = &invocation.request;
    let among = |empty: bool, found: bool| empty || found;
    let ended = |holds: &dyn Fn(Timestamp) -> bool| invocation.end_time.is_some_and(holds);
    among(
        filter.services.is_empty(),
        filter.services.contains(&request.service),
    ) && among(
        filter.states.is_empty() && filter.cids.is_empty() && !filter.include_waiting,
        filter.states.contains(&invocation.state)
            || filter.cids.contains(&request.cid)
            || (filter.include_waiting
                && (invocation.waits_for_completion() || invocation.waits_for_members())),
    ) && filter
        .accepted_after
        .is_none_or(|time| request.accept_time >= time)
        && filter
            .accepted_before
            .is_none_or(|time| request.accept_time < time)
        && filter
            .ended_after
            .is_none_or(|time| ended(&|end| end >= time))
        && filter
            .ended_before
            .is_none_or(|time| ended(&|end| end < time))
        && among(
            filter.failure_reasons.is_empty(),
            invocation.failure().is_some_and(|failure| {
                let mut reasons = filter.failure_reasons.iter();
                reasons.any(|reason| reason == failure.reason())
            }),
        )
        && filter
            .root
            .is_none_or(|root| request.root == root && request.cid != root)
        && filter
            .parent
            .is_none_or(|parent| request.parent == Some(parent))
        && filter
            .group
            .is_none_or(|group| request.member().is_some_and(|member| member.group == group))
}
