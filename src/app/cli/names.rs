//! How the fields of an invocation are displayed: states, reasons, times, CIDs.

use prost_types::Timestamp;

use super::times::age;
use crate::codec::convert::timestamp_from_proto;
pub(super) use crate::codec::objects::{
    failure_of as failure, health_name, on_exhausted_name, reason_name, scope_name, state_name,
    text_value, time_value,
};
use crate::codec::proto::v1;
use crate::codec::proto::v1::operation_action::Action;

/// The length of a CID whose time, to the millisecond, and first random bits are shown.
const SHORT_CID: usize = 18;

/// The age of a timestamp for people; empty where there is none.
pub(super) fn age_of(time: Option<&Timestamp>) -> String {
    let time = time.and_then(timestamp_from_proto);
    time.map(age).unwrap_or_default()
}

/// The name of the state of an operation, such as `SUCCEEDED`.
pub(super) fn operation_state_name(state: i32) -> String {
    let state = v1::OperationState::try_from(state).unwrap_or_default();
    let name = state.as_str_name();
    name.trim_start_matches("OPERATION_STATE_").to_owned()
}

/// What an operation does: `cancel`; empty where this version does not know it.
pub(super) fn action_name(operation: &v1::Operation) -> &'static str {
    action_words(operation).0
}

/// What an operation has done to invocations: `cancelled`.
pub(super) fn action_done(operation: &v1::Operation) -> &'static str {
    action_words(operation).1
}

fn action_words(operation: &v1::Operation) -> (&'static str, &'static str) {
    let action = operation.action.as_ref();
    match action.and_then(|action| action.action.as_ref()) {
        Some(Action::Cancel(_)) => ("cancel", "cancelled"),
        Some(Action::Retry(retry)) => ("retry", retried(retry, operation.filter.as_ref())),
        Some(Action::Release(_)) => ("release", "released"),
        Some(Action::Purge(_)) => ("purge", "purged"),
        None => ("", "changed"),
    }
}

/// What a retry has done to the invocations of a filter: those that are held are released, unless their input is
/// changed.
pub(super) fn retried(
    retry: &v1::RetryAction,
    filter: Option<&v1::InvocationFilter>,
) -> &'static str {
    let held = [i32::from(v1::PendingReason::Held)];
    let are_held = filter.is_some_and(|filter| filter.pending_reasons == held);
    match are_held && retry.input_patch_json.is_empty() {
        true => "released",
        false => "retried",
    }
}

/// The name of the health of a node, such as `DEGRADED`.
pub(super) fn node_health_name(health: i32) -> &'static str {
    let health = v1::NodeHealth::try_from(health).unwrap_or_default();
    health.as_str_name().trim_start_matches("NODE_HEALTH_")
}

/// The name of what is done with a copy of the store, such as `VERIFYING`.
pub(super) fn backup_phase_name(phase: i32) -> &'static str {
    let phase = v1::BackupPhase::try_from(phase).unwrap_or_default();
    phase.as_str_name().trim_start_matches("BACKUP_PHASE_")
}

/// The name of a reason to be pending, such as `QUEUED`.
pub(super) fn pending_reason_name(reason: i32) -> &'static str {
    let reason = v1::PendingReason::try_from(reason).unwrap_or_default();
    reason.as_str_name().trim_start_matches("PENDING_REASON_")
}

/// The name of the kind of an event, such as `INVOCATION_ENDED`.
pub(super) fn event_kind_name(kind: i32) -> &'static str {
    let kind = v1::EventKind::try_from(kind).unwrap_or_default();
    kind.as_str_name().trim_start_matches("EVENT_KIND_")
}

/// The name of the service. A group has no service.
pub(super) fn service_name(invocation: &v1::Invocation) -> &str {
    match invocation.group {
        Some(_) => GROUP,
        None => &invocation.service,
    }
}

/// The name of a service; groups have none.
pub(super) fn service_name_or_group(name: &str) -> &str {
    match name {
        "" => GROUP,
        name => name,
    }
}

/// What is shown in place of the service of a group.
const GROUP: &str = "(group)";

/// The CIDs of a table: whole where `is_narrow` is false, otherwise the shortest prefixes that tell them apart, and
/// identify their invocations at the node.
pub(super) fn shown_cids<'a>(
    cids: impl Iterator<Item = &'a str> + Clone,
    is_narrow: bool,
) -> Vec<String> {
    let all: std::collections::BTreeSet<&str> = cids.clone().collect();
    let are_distinct = |length: &usize| {
        let cut: std::collections::BTreeSet<&str> =
            all.iter().map(|cid| prefix(cid, *length)).collect();
        cut.len() == all.len()
    };
    let length = match is_narrow {
        true => (SHORT_CID..).find(are_distinct).unwrap_or(usize::MAX),
        false => usize::MAX,
    };
    cids.map(|cid| prefix(cid, length).to_owned()).collect()
}

/// The beginning of a CID, which identifies it among those of a node that is not very busy.
pub(super) fn short_cid(cid: &str) -> &str {
    prefix(cid, SHORT_CID)
}

fn prefix(cid: &str, length: usize) -> &str {
    cid.get(..length).unwrap_or(cid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_cids_differ_as_the_whole_ones_do() {
        let cids = [
            "0190f5a2-7b3c-7def-8123-456789abcdef",
            "0190f5a2-7b3c-7def-8124-456789abcdef",
            "0190f5a2-7b3c-7def-8123-456789abcdef",
        ];
        let short = shown_cids(cids.into_iter(), true);
        assert_eq!(short[0], "0190f5a2-7b3c-7def-8123");
        assert_eq!((&short[0], short[1].len()), (&short[2], 23));
        assert_eq!(shown_cids(cids.into_iter(), false), cids);
        assert_eq!(shown_cids(cids.into_iter().take(1), true)[0].len(), 18);
    }
}
