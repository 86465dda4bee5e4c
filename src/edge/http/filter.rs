//! Filters of invocations as parameters of a query, in the words of the contract and of the command line.

use jiff::Timestamp;

use super::query::Query;
use crate::codec::convert::timestamp_to_proto;
use crate::codec::proto::v1;
use crate::model::error::reason;

/// The filter as text.
pub(super) const EXPRESSION: &str = "filter";
/// The prefix of metadata: `metadata.order=7`.
const METADATA: &str = "metadata.";

/// The fields of a filter that a query has; `None` where it has none.
pub(super) fn filter(query: &mut Query, now: Timestamp) -> Option<v1::InvocationFilter> {
    let time = |query: &mut Query, name| query.time(name, now).map(timestamp_to_proto);
    let filter = v1::InvocationFilter {
        services: several(query, "services", "service"),
        states: states(query),
        pending_reasons: pending_reasons(query),
        failure_reasons: several(query, "failure_reasons", "failure"),
        accepted_after: time(query, "accepted_after"),
        accepted_before: time(query, "accepted_before"),
        ended_after: time(query, "ended_after"),
        ended_before: time(query, "ended_before"),
        parent_cid: cid(query, "parent_cid", "parent"),
        root_cid: cid(query, "root_cid", "root"),
        group_cid: cid(query, "group_cid", "group"),
        metadata: query.prefixed(METADATA).into_iter().collect(),
        failure_text: query.text("failure_text").unwrap_or_default(),
        dead_letter: query.flag("dead_letter"),
        principals: several(query, "principals", "principal"),
        groups_only: query.flag("groups_only"),
    };
    (filter != v1::InvocationFilter::default()).then_some(filter)
}

/// The values of a list, by its name in the contract and by that of the command line.
fn several(query: &mut Query, name: &'static str, other: &'static str) -> Vec<String> {
    let mut values = query.texts(name);
    values.extend(query.texts(other));
    let values = values.iter().flat_map(|value| value.split(','));
    values.map(str::to_owned).collect()
}

/// A CID, which the service checks; an empty one would be none.
fn cid(query: &mut Query, name: &'static str, other: &'static str) -> String {
    let value = query.text(name);
    let other = query.text(other);
    let value = value.or(other);
    if value.as_deref() == Some("") {
        query.refuse(name, reason::CID_INVALID, "is empty");
    }
    value.unwrap_or_default()
}

fn states(query: &mut Query) -> Vec<i32> {
    let mut states = Vec::new();
    for name in several(query, "states", "state") {
        let full = format!("STATE_{}", name.to_ascii_uppercase());
        match v1::State::from_str_name(&full) {
            Some(state) if state != v1::State::Unspecified => states.push(state.into()),
            _ => {
                let message = "is one of `PENDING`, `RUNNING`, `SUCCEEDED`, `FAILED`, `CANCELLED` and `EXPIRED`";
                query.refuse("states", "UNKNOWN_VALUE", message);
            }
        }
    }
    states
}

fn pending_reasons(query: &mut Query) -> Vec<i32> {
    let mut reasons = Vec::new();
    for name in several(query, "pending_reasons", "pending") {
        let full = format!("PENDING_REASON_{}", name.to_ascii_uppercase());
        match v1::PendingReason::from_str_name(&full) {
            Some(reason) if reason != v1::PendingReason::Unspecified => reasons.push(reason.into()),
            _ => {
                let message = "is a reason such as `DUE_LATER`, `QUEUED`, `NO_WORKER` or `HELD`";
                query.refuse("pending_reasons", "UNKNOWN_VALUE", message);
            }
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_the_words_of_the_contract_and_of_the_command_line() {
        let text = "service=a.b&services=c,d&state=failed&states=PENDING&pending=held&failure=X&parent=p\
                    &accepted_after=-1h&metadata.order=7&dead_letter&groups_only&principal=me&failure_text=disk";
        let mut query = Query::new(&format!("/x?{text}").parse().unwrap());
        let now: Timestamp = "2026-11-30T10:00:00Z".parse().unwrap();
        let found = filter(&mut query, now).unwrap();
        query.finish().unwrap();
        let hour_ago = "2026-11-30T09:00:00Z".parse().unwrap();
        let expected = v1::InvocationFilter {
            services: ["c", "d", "a.b"].map(str::to_owned).into(),
            states: vec![v1::State::Pending.into(), v1::State::Failed.into()],
            pending_reasons: vec![v1::PendingReason::Held.into()],
            failure_reasons: vec!["X".to_owned()],
            accepted_after: Some(timestamp_to_proto(hour_ago)),
            parent_cid: "p".to_owned(),
            metadata: [("order".to_owned(), "7".to_owned())].into(),
            failure_text: "disk".to_owned(),
            dead_letter: true,
            groups_only: true,
            principals: vec!["me".to_owned()],
            ..v1::InvocationFilter::default()
        };
        assert_eq!(found, expected);
        let mut query = Query::new(&"/x?state=done&pending=x&root_cid=".parse().unwrap());
        filter(&mut query, now);
        let error = query.finish().unwrap_err();
        let paths = error.field_violations().iter().map(|it| it.path.as_str());
        let paths: Vec<_> = paths.collect();
        assert_eq!(paths, ["/states", "/pending_reasons", "/root_cid"]);
    }
}
