//! Filters and pagination of stored invocations.

use super::view::pending_reason;
use crate::codec::convert::{state_to_proto, timestamp_from_proto};
use crate::codec::proto::v1;
use crate::edge::grpc::request;
use crate::engine::store::Filter;
use crate::engine::{InvocationPage, Invoker};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::ServiceName;
use crate::model::invocation::State;

/// Converts a filter of the contract to one of the store.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID`.
fn to_store_filter(filter: Option<v1::InvocationFilter>) -> Result<Filter> {
    let filter = filter.unwrap_or_default();
    let time = |field: &str, time: Option<prost_types::Timestamp>| {
        time.map(|time| {
            timestamp_from_proto(&time).ok_or_else(|| {
                let path = format!("/filter/{field}");
                let violation = Violation::new(path, "OUT_OF_RANGE", "is not a valid timestamp");
                Error::violations(reason::REQUEST_INVALID, vec![violation])
            })
        })
        .transpose()
    };
    for reason in filter.pending_reasons {
        let _: v1::PendingReason = request::known("/filter/pending_reasons", reason)?;
    }
    let mut states = Vec::new();
    for state in filter.states {
        states.extend(states_of(request::known("/filter/states", state)?));
    }
    let services = filter.services.iter().map(|name| ServiceName::parse(name));
    Ok(Filter {
        services: services.collect::<Result<_>>()?,
        states,
        cids: Vec::new(),
        awaited: false,
        accepted_after: time("accepted_after", filter.accepted_after)?,
        accepted_before: time("accepted_before", filter.accepted_before)?,
        ended_after: time("ended_after", filter.ended_after)?,
        ended_before: time("ended_before", filter.ended_before)?,
        failure_reasons: filter.failure_reasons,
        root: request::parse_optional_cid("filter/root_cid", &filter.root_cid)?,
        parent: request::parse_optional_cid("filter/parent_cid", &filter.parent_cid)?,
        group: request::parse_optional_cid("filter/group_cid", &filter.group_cid)?,
    })
}

/// The states of the model that a state of the contract covers.
fn states_of(state: v1::State) -> Vec<State> {
    match state {
        v1::State::Unspecified => Vec::new(),
        v1::State::Pending => [false, true]
            .map(|started| State::Pending { started })
            .into(),
        v1::State::Running => vec![State::Running {
            cancel_requested: false,
        }],
        v1::State::Succeeded => vec![State::Succeeded],
        v1::State::Failed => vec![State::Failed],
        v1::State::Cancelled => vec![State::Cancelled],
        v1::State::Expired => vec![State::Expired],
    }
}

/// Parses a page token; an empty one is the first page.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID`.
pub(super) fn parse_page_token(token: &str) -> Result<Option<u64>> {
    if token.is_empty() {
        return Ok(None);
    }
    token.parse().map(Some).map_err(|_| {
        let message = "is not a `next_page_token` of this node";
        let violation = Violation::new("/page_token", "MALFORMED", message);
        Error::violations(reason::REQUEST_INVALID, vec![violation])
    })
}

/// The token of the next page; empty after the last one.
pub(super) fn page_token(next: Option<u64>) -> String {
    next.map(|next| next.to_string()).unwrap_or_default()
}

/// One page of the invocations that match a filter.
///
/// States and pending reasons are matched again here: the store does not distinguish pending invocations from those
/// whose attempt has just started, and knows no pending reasons.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for the filter, and the errors of the store.
pub(super) async fn page(
    invoker: &Invoker,
    filter: Option<v1::InvocationFilter>,
    before: Option<u64>,
    size: usize,
) -> Result<InvocationPage> {
    let (states, reasons) = filter
        .as_ref()
        .map(|filter| (filter.states.clone(), filter.pending_reasons.clone()))
        .unwrap_or_default();
    let mut page = invoker.list(to_store_filter(filter)?, before, size).await?;
    page.found.retain(|found| {
        let state = i32::from(state_to_proto(found.invocation.shown_state()));
        let reason = i32::from(pending_reason(found));
        (states.is_empty() || states.contains(&state))
            && (reasons.is_empty() || reasons.contains(&reason))
    });
    Ok(page)
}
