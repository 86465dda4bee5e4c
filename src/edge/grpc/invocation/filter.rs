//! Filters and pagination of stored invocations.

use crate::codec::convert::{filter_from_proto, state_to_proto};
use crate::codec::proto::v1;
use crate::engine::{InvocationPage, Invoker};
use crate::model::error::{Error, Result, Violation, reason};

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
    let mut page = invoker
        .list(filter_from_proto(filter)?, before, size)
        .await?;
    page.found.retain(|found| {
        let state = i32::from(state_to_proto(found.invocation.shown_state()));
        let reason = i32::from(found.pending_reason());
        (states.is_empty() || states.contains(&state))
            && (reasons.is_empty() || reasons.contains(&reason))
    });
    Ok(page)
}
