//! Listing, cancelling and retrying stored invocations, by CIDs or by filter.

use super::invocation::pending_reason;
use super::request;
use crate::codec::convert::{failure_to_proto, state_to_proto, timestamp_from_proto};
use crate::codec::proto::v1;
use crate::engine::store::Filter;
use crate::engine::{InvocationPage, InvocationView, Invoker};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::State;
use crate::model::payload::Payload;

/// How many invocations one call reaches by a filter.
const REACH: usize = 10_000;
/// How many of them it changes at once.
const AT_ONCE: usize = 64;
const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;

/// Which invocations a call is about, and where the next ones begin.
struct Selection {
    cids: Vec<Cid>,
    next_page_token: String,
}

/// Reads a filter.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID`.
pub(super) fn filter(filter: Option<v1::InvocationFilter>) -> Result<Filter> {
    let filter = filter.unwrap_or_default();
    let time = |field: &str, time: Option<prost_types::Timestamp>| {
        time.map(|time| {
            timestamp_from_proto(&time).ok_or_else(|| {
                let path = format!("/filter/{field}");
                let violation = Violation::new(path, "OUT_OF_RANGE", "is no instant");
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
        include_waiting: false,
        accepted_after: time("accepted_after", filter.accepted_after)?,
        accepted_before: time("accepted_before", filter.accepted_before)?,
        ended_after: time("ended_after", filter.ended_after)?,
        ended_before: time("ended_before", filter.ended_before)?,
        failure_reasons: filter.failure_reasons,
        root: request::brought_cid("filter/root_cid", &filter.root_cid)?,
        parent: request::brought_cid("filter/parent_cid", &filter.parent_cid)?,
        group: request::brought_cid("filter/group_cid", &filter.group_cid)?,
    })
}

/// The states that one of the contract stands for.
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

/// Reads a page token.
fn page_token(token: &str) -> Result<Option<u64>> {
    if token.is_empty() {
        return Ok(None);
    }
    token.parse().map(Some).map_err(|_| {
        let message = "is not a `next_page_token` of this node";
        let violation = Violation::new("/page_token", "MALFORMED", message);
        Error::violations(reason::REQUEST_INVALID, vec![violation])
    })
}

/// One page of invocations.
///
/// # Errors
///
/// As for [`filter`], and what the store answers.
pub(super) async fn list(
    invoker: &Invoker,
    message: &v1::ListInvocationsRequest,
) -> Result<(Vec<InvocationView>, String)> {
    let size = request::page_size(message.page_size, DEFAULT_PAGE, MAX_PAGE)?;
    let before = page_token(&message.page_token)?;
    let page = page(invoker, message.filter.clone(), before, size).await?;
    Ok((
        page.found,
        page.next.map(|next| next.to_string()).unwrap_or_default(),
    ))
}

/// A page of what a filter lets through, without what runs where only what waits is asked for: in the store that is
/// one.
async fn page(
    invoker: &Invoker,
    by: Option<v1::InvocationFilter>,
    before: Option<u64>,
    size: usize,
) -> Result<InvocationPage> {
    let (states, reasons) = by
        .as_ref()
        .map(|filter| (filter.states.clone(), filter.pending_reasons.clone()))
        .unwrap_or_default();
    let mut page = invoker.list(filter(by)?, before, size).await?;
    page.found.retain(|found| {
        let state = i32::from(state_to_proto(found.invocation.shown_state()));
        let reason = i32::from(pending_reason(found));
        (states.is_empty() || states.contains(&state))
            && (reasons.is_empty() || reasons.contains(&reason))
    });
    Ok(page)
}

async fn select(
    invoker: &Invoker,
    cids: &[String],
    by_filter: Option<v1::InvocationFilter>,
    token: &str,
) -> Result<Selection> {
    if !cids.is_empty() && by_filter.is_some() {
        let violation = Violation::new("/filter", "CONFLICT", "either `cids` or `filter`");
        return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
    }
    if cids.is_empty() && by_filter.is_none() {
        let violation = Violation::new("/cids", "MISSING", "say which: `cids` or `filter`");
        return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
    }
    if cids.len() > REACH {
        let violation = Violation::new("/cids", "TOO_MANY", format!("are at most {REACH}"));
        return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
    }
    if by_filter.is_none() {
        let cids = cids
            .iter()
            .map(|cid| Cid::parse(cid))
            .collect::<Result<_>>()?;
        let next_page_token = String::new();
        return Ok(Selection {
            cids,
            next_page_token,
        });
    }
    let page = page(invoker, by_filter, page_token(token)?, REACH).await?;
    Ok(Selection {
        cids: page
            .found
            .iter()
            .map(|found| found.invocation.request.cid)
            .collect(),
        next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
    })
}

/// Does the same to each, some at a time: they share the store's commits. Answers in their order.
async fn each<F: Future<Output = v1::InvocationChange>>(
    cids: Vec<Cid>,
    change: impl FnMut(Cid) -> F,
) -> Vec<v1::InvocationChange> {
    use futures_util::StreamExt as _;
    let changes = futures_util::stream::iter(cids).map(change);
    changes.buffered(AT_ONCE).collect().await
}

fn changed(cid: Cid, outcome: Result<InvocationView>) -> v1::InvocationChange {
    outcome.map_or_else(|error| refused(cid, &error), |found| change(&found))
}

fn refused(cid: Cid, error: &Error) -> v1::InvocationChange {
    v1::InvocationChange {
        cid: cid.to_string(),
        failure: Some(failure_to_proto(error)),
        ..v1::InvocationChange::default()
    }
}

fn change(found: &InvocationView) -> v1::InvocationChange {
    let state = found.invocation.shown_state();
    v1::InvocationChange {
        cid: found.invocation.request.cid.to_string(),
        state: state_to_proto(state).into(),
        cancel_requested: matches!(
            state,
            State::Running {
                cancel_requested: true
            }
        ),
        ..v1::InvocationChange::default()
    }
}

/// Cancels what is asked for, each on its own.
///
/// # Errors
///
/// Where it cannot be told which are meant.
pub(super) async fn cancel(
    invoker: &Invoker,
    message: v1::CancelInvocationsRequest,
) -> Result<v1::CancelInvocationsResponse> {
    let selection = select(invoker, &message.cids, message.filter, &message.page_token).await?;
    let dry_run = message.dry_run;
    let change = async |cid| {
        let outcome = match dry_run {
            true => invoker.check_cancel(cid).await,
            false => invoker.cancel(cid).await,
        };
        changed(cid, outcome)
    };
    Ok(v1::CancelInvocationsResponse {
        changes: each(selection.cids, change).await,
        next_page_token: selection.next_page_token,
    })
}

/// Removes what is asked for, each on its own.
///
/// # Errors
///
/// Where it cannot be told which are meant.
pub(super) async fn purge(
    invoker: &Invoker,
    message: v1::PurgeInvocationsRequest,
) -> Result<v1::PurgeInvocationsResponse> {
    let selection = select(invoker, &message.cids, message.filter, &message.page_token).await?;
    let dry_run = message.dry_run;
    let change = async |cid| {
        let outcome = match dry_run {
            true => invoker.check_purge(cid).await,
            false => invoker.purge(cid).await,
        };
        changed(cid, outcome)
    };
    Ok(v1::PurgeInvocationsResponse {
        changes: each(selection.cids, change).await,
        next_page_token: selection.next_page_token,
    })
}

/// Runs again what is asked for, each on its own.
///
/// # Errors
///
/// Where it cannot be told which are meant.
pub(super) async fn retry(
    invoker: &Invoker,
    message: v1::RetryInvocationsRequest,
) -> Result<v1::RetryInvocationsResponse> {
    let has_input = message.input.is_some();
    if has_input && message.cids.len() != 1 {
        let violation = Violation::new("/cids", "CONFLICT", "another input is for one invocation");
        return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
    }
    let input = match has_input {
        true => Some(request::input(message.input, message.data_format)?),
        false => None,
    };
    let selection = select(invoker, &message.cids, message.filter, &message.page_token).await?;
    let dry_run = message.dry_run;
    let change = async |cid| retried(invoker, cid, input.clone(), dry_run).await;
    Ok(v1::RetryInvocationsResponse {
        changes: each(selection.cids, change).await,
        next_page_token: selection.next_page_token,
    })
}

async fn retried(
    invoker: &Invoker,
    cid: Cid,
    input: Option<Payload>,
    dry_run: bool,
) -> v1::InvocationChange {
    let found = match invoker.check_retry(cid, input.is_some()).await {
        Ok(found) => found,
        Err(error) => return refused(cid, &error),
    };
    if dry_run {
        return change(&found);
    }
    match invoker.retry(cid, input).await {
        Ok(accepted) => v1::InvocationChange {
            new_cid: accepted.cid.to_string(),
            ..change(&found)
        },
        Err(error) => refused(cid, &error),
    }
}
