//! `CancelInvocations`, `RetryInvocations` and `PurgeInvocations`: bulk changes of stored invocations, selected by
//! CIDs, by filter, or all of them.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::filter::{self, RequestFilter};
use crate::codec::convert::{
    change_to_proto, failed_change_to_proto, input_from_proto, parse_cids,
};
use crate::codec::filter::{resolve, write};
use crate::codec::proto::v1;
use crate::engine::access::audit;
use crate::engine::{InvocationView, Invoker};
use crate::model::access::Principal;
use crate::model::error::{Error, ListLimits, Result, Violation, reason};
use crate::model::id::{Cid, truncated_to};
use crate::model::invocation::Invocation;
use crate::model::payload::Payload;

/// How many of them are changed concurrently.
const CONCURRENCY: usize = 64;
/// How many characters of its filter are in the audit log.
const MAX_FILTER: usize = 2_000;
/// How many pages one request reads: a filter may read much and find little.
const MAX_PAGES: usize = 8;

/// What a request selects.
struct Selector {
    cids: Vec<String>,
    filter: Option<v1::InvocationFilter>,
    filter_expression: String,
    all: bool,
    page_token: String,
}

/// The invocations that a request selects, and the token of the next page.
struct Selection {
    cids: Vec<Cid>,
    next_page_token: String,
    /// The filter that selects them, as text; `None` for a request that names them.
    filter: Option<String>,
}

/// What became of an invocation.
struct Changed {
    cid: Cid,
    message: v1::InvocationChange,
    /// Whether it belongs to another principal than the caller's.
    is_foreign: bool,
}

/// Refuses a request that selects nothing, or in more than one way.
///
/// An empty filter does not select everything: clients that drop unknown names send it for one that is misspelled.
fn check(selector: &Selector, filter: Option<&RequestFilter>) -> Result<()> {
    let field = match selector.filter_expression.as_str() {
        "" => "/filter",
        _ => "/filter_expression",
    };
    let has_criterion = filter.is_some_and(|filter| !filter.is_empty());
    let (path, code, message) = match (selector.cids.is_empty(), filter, selector.all) {
        (false, Some(_), _) => (field, "CONFLICT", "cannot be combined with `cids`"),
        (false, None, true) => ("/all", "CONFLICT", "cannot be combined with `cids`"),
        (true, Some(_), true) if has_criterion => (
            "/all",
            "CONFLICT",
            "cannot be combined with a criterion in `filter`",
        ),
        (true, Some(_), false) if !has_criterion && !selector.filter_expression.is_empty() => {
            let message = "has no criterion: set `all` to select every invocation";
            (field, "MISSING", message)
        }
        (true, Some(_), false) if !has_criterion => {
            let message = "has no criterion: set one of its fields, whose names are those of `InvocationFilter` (some \
                           clients drop misspelled ones), or set `all` to select every invocation";
            (field, "MISSING", message)
        }
        (true, None, false) => (
            "/cids",
            "MISSING",
            "is required, unless `filter` or `all` is given",
        ),
        (false, None, false) | (true, _, _) => return Ok(()),
    };
    let violation = Violation::new(path, code, message);
    Err(Error::violations(reason::REQUEST_INVALID, vec![violation]))
}

async fn select(invoker: &Invoker, selector: Selector) -> Result<Selection> {
    let by_filter = resolve(
        selector.filter.clone(),
        &selector.filter_expression,
        invoker.now(),
    )?;
    let text = by_filter.as_ref().map(write).unwrap_or_default();
    let by_filter = by_filter.map(|filter| RequestFilter::new(invoker, Some(filter)));
    let by_filter = by_filter.transpose()?;
    check(&selector, by_filter.as_ref())?;
    let Selector {
        cids, page_token, ..
    } = selector;
    let reach = invoker.limits().filter_reach;
    ListLimits::default()
        .check("/cids", cids.len(), ("filter_reach", reach))
        .reject()?;
    if !cids.is_empty() {
        return Ok(Selection {
            cids: parse_cids("cids", &cids)?,
            next_page_token: String::new(),
            filter: None,
        });
    }
    let by_filter = by_filter.unwrap_or_default();
    let mut before = filter::parse_page_token(&page_token)?;
    let mut cids = Vec::new();
    // Pages are limited by bytes, and by what is read for them; the selection by the number of invocations. What is
    // left is for the next request.
    for _ in 0..MAX_PAGES {
        let max = reach - cids.len();
        let page = by_filter.page_to_change(invoker, before, max).await?;
        let found = page.found.iter();
        cids.extend(found.map(|found| found.invocation.request.cid));
        before = page.next;
        if before.is_none() || cids.len() >= reach {
            break;
        }
    }
    Ok(Selection {
        cids,
        next_page_token: filter::page_token(before),
        filter: Some(match text.as_str() {
            "" => "all".to_owned(),
            text => truncated_to(MAX_FILTER, text),
        }),
    })
}

/// The changes of a request, which are logged once it ends: also where its caller leaves before that.
struct Changes<'a> {
    invoker: &'a Invoker,
    /// What is done with them; `None` for a dry run, which is not logged.
    what: Option<&'static str>,
    selection: &'a Selection,
    cancel_reason: Option<&'a str>,
    /// Those that have ended, in the order of the CIDs.
    ended: Vec<Changed>,
    /// How many were begun: they may be done, whether or not their end is known.
    begun: usize,
    is_whole: bool,
}

impl<'a> Changes<'a> {
    fn of(invoker: &'a Invoker, what: Option<&'static str>, selection: &'a Selection) -> Self {
        Self {
            invoker,
            what,
            selection,
            cancel_reason: None,
            ended: Vec::with_capacity(selection.cids.len()),
            begun: 0,
            is_whole: false,
        }
    }

    /// Applies a change to each invocation, several concurrently so that they share commits of the store. Results are
    /// in the order of the CIDs.
    async fn apply<F: Future<Output = Changed>>(
        mut self,
        mut change: impl FnMut(Cid) -> F,
    ) -> Vec<v1::InvocationChange> {
        let Self {
            selection,
            ended,
            begun,
            ..
        } = &mut self;
        let begin = |cid| {
            *begun += 1;
            change(cid)
        };
        let cids = selection.cids.iter().copied();
        let mut changes = futures_util::stream::iter(cids)
            .map(begin)
            .buffered(CONCURRENCY);
        while let Some(one) = changes.next().await {
            ended.push(one);
        }
        drop(changes);
        self.is_whole = true;
        self.log();
        let ended = std::mem::take(&mut self.ended);
        ended.into_iter().map(|one| one.message).collect()
    }

    /// One line for each request that changed something. More than one at once, and one of another principal, is an act
    /// in the audit log, too.
    fn log(&self) {
        let Some(what) = self.what else { return };
        let changes = self
            .ended
            .iter()
            .filter(|one| one.message.failure.is_none());
        let changes: Vec<_> = changes.collect();
        let Some(first) = changes.first() else {
            return;
        };
        let caller = self.invoker.caller();
        if self.ended.len() > 1 || first.is_foreign {
            let cids = changes.iter().map(|one| one.cid);
            let filter = self.selection.filter.as_deref();
            audit::changed_invocations(caller, what, filter, cids, "Ok");
        }
        tracing::info!(
            cid = (self.ended.len() == 1).then(|| tracing::field::display(first.cid)),
            principal = caller.principal().map(Principal::as_str),
            changed = changes.len(),
            refused = self.ended.len() - changes.len(),
            reason = self.cancel_reason,
            "invocations {what}"
        );
    }

    /// The same of a request whose caller has left. What was begun may be done: it is in the audit log.
    fn log_abandoned(&self) {
        let Some(what) = self.what else { return };
        let changed = self
            .ended
            .iter()
            .filter(|one| one.message.failure.is_none());
        let changed: Vec<_> = changed.map(|one| one.cid).collect();
        let begun = self.selection.cids.get(self.ended.len()..self.begun);
        let cids = [&*changed, begun.unwrap_or_default()].concat();
        if cids.is_empty() {
            return;
        }
        let caller = self.invoker.caller();
        let filter = self.selection.filter.as_deref();
        audit::changed_invocations(caller, what, filter, cids.iter().copied(), "Cancelled");
        tracing::info!(
            principal = caller.principal().map(Principal::as_str),
            changed = changed.len(),
            unknown = cids.len() - changed.len(),
            asked = self.selection.cids.len(),
            reason = self.cancel_reason,
            "invocations {what}, until the caller left"
        );
    }
}

impl Drop for Changes<'_> {
    fn drop(&mut self) {
        if !self.is_whole {
            self.log_abandoned();
        }
    }
}

async fn to_change(invoker: &Invoker, cid: Cid, outcome: Result<InvocationView>) -> Changed {
    match outcome {
        Ok(found) => changed(invoker, cid, &found),
        Err(error) => refused(invoker, cid, &error).await,
    }
}

fn changed(invoker: &Invoker, cid: Cid, found: &InvocationView) -> Changed {
    let principal = invoker.caller().principal();
    Changed {
        cid,
        message: change_to_proto(&found.invocation),
        // Where authentication is off, they are of no principal.
        is_foreign: principal.is_some() && principal != found.invocation.request.owner(),
    }
}

/// The refusal of a change, with the state of the invocation as far as it is stored.
async fn refused(invoker: &Invoker, cid: Cid, error: &Error) -> Changed {
    let found = invoker.find(cid, Duration::ZERO).await;
    let current = found.map(|found| change_to_proto(&found.invocation));
    let message = v1::InvocationChange {
        failure: failed_change_to_proto(cid, error).failure,
        ..current.unwrap_or_else(|_| failed_change_to_proto(cid, error))
    };
    Changed {
        cid,
        message,
        is_foreign: false,
    }
}

/// Cancels the selected invocations, each independently.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for the selection; a failure of one invocation is part of the response.
pub(super) async fn cancel(
    invoker: &Invoker,
    message: v1::CancelInvocationsRequest,
) -> Result<v1::CancelInvocationsResponse> {
    let too_large = Invocation::check_cancel_reason("/reason", &message.reason);
    Error::reject(reason::REQUEST_INVALID, too_large.into_iter().collect())?;
    let selector = Selector {
        cids: message.cids,
        filter: message.filter,
        filter_expression: message.filter_expression,
        all: message.all,
        page_token: message.page_token,
    };
    let selection = select(invoker, selector).await?;
    let dry_run = message.dry_run;
    let cancel_reason = Some(message.reason).filter(|text| !text.is_empty());
    let change = async |cid| {
        let outcome = match dry_run {
            true => invoker.check_cancel(cid).await,
            false => invoker.cancel(cid, cancel_reason.clone()).await,
        };
        to_change(invoker, cid, outcome).await
    };
    let what = (!dry_run).then_some("cancelled");
    let mut changes = Changes::of(invoker, what, &selection);
    changes.cancel_reason = cancel_reason.as_deref();
    Ok(v1::CancelInvocationsResponse {
        changes: changes.apply(change).await,
        next_page_token: selection.next_page_token,
    })
}

/// Removes the selected invocations, each independently.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for the selection; a failure of one invocation is part of the response.
pub(super) async fn purge(
    invoker: &Invoker,
    message: v1::PurgeInvocationsRequest,
) -> Result<v1::PurgeInvocationsResponse> {
    let selector = Selector {
        cids: message.cids,
        filter: message.filter,
        filter_expression: message.filter_expression,
        all: message.all,
        page_token: message.page_token,
    };
    let selection = select(invoker, selector).await?;
    let dry_run = message.dry_run;
    let change = async |cid| {
        let outcome = match dry_run {
            true => invoker.check_purge(cid).await,
            false => invoker.purge(cid).await,
        };
        to_change(invoker, cid, outcome).await
    };
    let what = (!dry_run).then_some("purged");
    let changes = Changes::of(invoker, what, &selection);
    Ok(v1::PurgeInvocationsResponse {
        changes: changes.apply(change).await,
        next_page_token: selection.next_page_token,
    })
}

/// Retries the selected invocations, each independently. Of those that a filter selects, what has been retried already
/// is refused.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for the selection; a failure of one invocation is part of the response.
pub(super) async fn retry(
    invoker: &Invoker,
    message: v1::RetryInvocationsRequest,
) -> Result<v1::RetryInvocationsResponse> {
    let has_input = message.input.is_some();
    if has_input && message.cids.len() != 1 {
        let violation = Violation::new(
            "/cids",
            "CONFLICT",
            "must be exactly one CID when an input is given",
        );
        return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
    }
    let input = match has_input {
        true => Some(input_from_proto(message.input, message.data_format)?),
        false => None,
    };
    let selector = Selector {
        cids: message.cids,
        filter: message.filter,
        filter_expression: message.filter_expression,
        all: message.all,
        page_token: message.page_token,
    };
    let retries = match selector.cids.is_empty() {
        true => Retries::Once,
        false => Retries::Again(input),
    };
    let selection = select(invoker, selector).await?;
    let dry_run = message.dry_run;
    let change = async |cid| retry_one(invoker, cid, &retries, dry_run).await;
    let what = (!dry_run).then_some("retried");
    let changes = Changes::of(invoker, what, &selection);
    Ok(v1::RetryInvocationsResponse {
        changes: changes.apply(change).await,
        next_page_token: selection.next_page_token,
    })
}

/// How often an invocation is retried.
enum Retries {
    /// Only where it has not been retried: a caller that selects by filter does not see which ones have.
    Once,
    /// Whether or not it has been, with another input if one is given.
    Again(Option<Payload>),
}

async fn retry_one(invoker: &Invoker, cid: Cid, retries: &Retries, dry_run: bool) -> Changed {
    let found = match retries {
        Retries::Once => invoker.check_retry_once(cid).await,
        Retries::Again(input) => invoker.check_retry(cid, input.as_ref()).await,
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => return refused(invoker, cid, &error).await,
    };
    if dry_run {
        return changed(invoker, cid, &found);
    }
    let was_held = !found.invocation.state.is_terminal();
    let retried = match retries {
        Retries::Once => invoker.retry_once(cid).await,
        Retries::Again(input) => invoker.retry(cid, input.clone()).await,
    };
    match retried {
        Ok(accepted) => {
            // Of one that was held, another one may have taken the place.
            let found = match was_held && accepted.cid != cid {
                true => invoker.find(cid, Duration::ZERO).await,
                false => Ok(found),
            };
            let new_cid = accepted.cid.to_string();
            let mut change = to_change(invoker, cid, found).await;
            change.message.new_cid = new_cid;
            change
        }
        Err(error) => refused(invoker, cid, &error).await,
    }
}
